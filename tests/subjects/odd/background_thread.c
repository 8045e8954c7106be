// A thread of the allocator's own takes its lock all the time, as purging threads do. The handlers of `core.h` keep forks
// sound, if it is fork() that the harness calls.

#include "../core.h"
#include "../family.h"
#include <unistd.h>

static void *purge(void *argument) {
    for (;;) {
        core_lock();
        core_unlock();
        usleep(50);
    }
    return argument;
}

__attribute__((constructor)) static void start_purging(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, purge, NULL);
}

#include "../exports.h"
