// A realloc that moves forgets the last 16 bytes.

#include "../core.h"
#include "../family.h"

static void *realloc_short(void *block, size_t size) {
    if (!block || size <= core_usable(block))
        return family_realloc(block, size);
    void *moved = family_malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, block, core_usable(block) - 16);
    family_free(block);
    return moved;
}

#define REALLOC realloc_short
#include "../exports.h"
