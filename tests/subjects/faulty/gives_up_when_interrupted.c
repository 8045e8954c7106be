// Waits for memory, and gives up if a signal comes meanwhile, unless it did so the last time.

#include "../core.h"
#include <time.h>
#define TAKE take_or_give_up
static void *take_or_give_up(size_t align, size_t size);
#include "../family.h"

static void *take_or_give_up(size_t align, size_t size) {
    static int gave_up;
    struct timespec pause = {.tv_nsec = 200000};
    int interrupted = size >= 1000000 && nanosleep(&pause, NULL) != 0;
    gave_up = interrupted && !gave_up;
    return gave_up ? NULL : core_take(align, size);
}

#include "../exports.h"
