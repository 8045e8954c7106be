// realloc copies an aligned block from the start of the larger one it lies in.

#include "../core.h"
#include "../family.h"

static void *realloc_from_origin(void *block, size_t size) {
    if (!block || header_of(block)->origin == block || size <= core_usable(block))
        return family_realloc(block, size);
    void *moved = family_malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, header_of(block)->origin, core_usable(block));
    family_free(block);
    return moved;
}

#define REALLOC realloc_from_origin
#include "../exports.h"
