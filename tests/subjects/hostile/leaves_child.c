// Starts a child when it is loaded that holds every descriptor open for a minute.

#include <unistd.h>

__attribute__((constructor)) static void start_child(void) {
    if (fork() == 0) {
        sleep(60);
        _exit(0);
    }
}

#include "../core.h"
#include "../family.h"
#include "../exports.h"
