// Sleeps a millisecond on every call.

#include "../core.h"
#include "../family.h"

#include <time.h>

static void doze(void) {
    int saved = errno;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    errno = saved;
}

#define EACH_CALL doze()
#include "../exports.h"
