// calloc tests its product in 32 bits, and refuses what fits into 64.

#include "../core.h"
#include "../family.h"

static void *calloc_narrow(size_t count, size_t size) {
    unsigned bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return no_memory(ENOMEM);
    return family_calloc(count, size);
}

#define CALLOC calloc_narrow
#include "../exports.h"
