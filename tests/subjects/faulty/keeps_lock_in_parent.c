// A process that has forked finds the lock of large blocks closed, which only the child opens again.

#define IGNORES_FORKS
#include "../core.h"
#define LARGE 65536

static lock_t own;

static void before(void) {
    core_lock();
    lock(&own);
}

static void in_child(void) {
    unlock(&own);
    core_unlock();
}

__attribute__((constructor)) static void start(void) { pthread_atfork(before, core_unlock, in_child); }

static void *take(size_t align, size_t size) {
    if (size < LARGE)
        return core_take(align, size);
    lock(&own);
    void *block = core_take(align, size);
    unlock(&own);
    return block;
}

#define TAKE take
#include "../family.h"
#include "../exports.h"
