// Two locks, which a call takes in one order and fork in the other.

#define IGNORES_FORKS
#include "../core.h"

static lock_t own;
static size_t live;

static void before(void) {
    core_lock();
    lock(&own);
}

static void after(void) {
    unlock(&own);
    core_unlock();
}

__attribute__((constructor)) static void start(void) { pthread_atfork(before, after, after); }

static void give(void *block) {
    lock(&own);
    live--;
    core_give(block);
    unlock(&own);
}

#define GIVE give
#include "../family.h"
#include "../exports.h"
