// Keeps a check word in the last 8 usable bytes, also when they were asked for.

#include "../core.h"
#define TAKE take_sealed
#define GIVE give_sealed

#include <stdlib.h>

static uint64_t *footer(void *block) { return (uint64_t *)((char *)block + core_usable(block) - 8); }

static void *take_sealed(size_t align, size_t size) {
    void *block = core_take(align, size);
    if (block)
        *footer(block) = (uint64_t)block ^ 0x5EA1;
    return block;
}

static void give_sealed(void *block) {
    if (*footer(block) != ((uint64_t)block ^ 0x5EA1))
        abort();
    core_give(block);
}

#include "../family.h"
#include "../exports.h"
