// A realloc to a quarter or less moves, and copies all of the old block.

#include "../core.h"
#include "../family.h"

static void *realloc_long(void *block, size_t size) {
    if (!block || size > core_usable(block) / 4)
        return family_realloc(block, size);
    void *moved = family_malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, block, core_usable(block));
    family_free(block);
    return moved;
}

#define REALLOC realloc_long
#include "../exports.h"
