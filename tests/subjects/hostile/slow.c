// Works a millisecond on every call.

#include "../core.h"
#include "../family.h"

#include <time.h>

static void work(void) {
    struct timespec start, now;
    int saved = errno;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < 1000000);
    errno = saved;
}

#define EACH_CALL work()
#include "../exports.h"
