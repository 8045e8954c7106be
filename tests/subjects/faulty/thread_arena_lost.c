// Each thread maps an arena when it first asks for a block, which is never unmapped.

#include "../core.h"
#define TAKE take_in_arena

static _Thread_local char *arena;

static void *take_in_arena(size_t align, size_t size) {
    if (!arena)
        arena = core_map(CHUNK);
    return core_take(align, size);
}

#include "../family.h"
#include "../exports.h"
