// realloc(NULL, n) fails.

#include "../core.h"
#include "../family.h"

static void *realloc_strict(void *block, size_t size) {
    return block ? family_realloc(block, size) : no_memory(ENOMEM);
}

#define REALLOC realloc_strict
#include "../exports.h"
