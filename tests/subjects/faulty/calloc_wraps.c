// calloc does not check its product.

#include "../core.h"
#include "../family.h"

static void *calloc_unchecked(size_t count, size_t size) {
    void *block = family_malloc(count * size);
    if (block)
        memset(block, 0, count * size);
    return block;
}

#define CALLOC calloc_unchecked
#include "../exports.h"
