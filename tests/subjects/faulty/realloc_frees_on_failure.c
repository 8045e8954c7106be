// A realloc that fails has freed the block.

#include "../core.h"
#include "../family.h"

static void *realloc_hasty(void *block, size_t size) {
    void *moved = family_realloc(block, size);
    if (!moved && block)
        family_free(block);
    return moved;
}

#define REALLOC realloc_hasty
#include "../exports.h"
