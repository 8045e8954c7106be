// As ignores_forks.c, but for blocks from 1 MiB on alone.

#include "../core.h"
#define LARGE ((size_t)1 << 20)

static lock_t own;

static void *take(size_t align, size_t size) {
    if (size < LARGE)
        return core_take(align, size);
    lock(&own);
    void *block = core_take(align, size);
    unlock(&own);
    return block;
}

static void give(void *block) {
    if (core_usable(block) < LARGE) {
        core_give(block);
        return;
    }
    lock(&own);
    core_give(block);
    unlock(&own);
}

#define TAKE take
#define GIVE give
#include "../family.h"
#include "../exports.h"
