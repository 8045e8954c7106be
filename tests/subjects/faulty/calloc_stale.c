// calloc believes that blocks of more than 1000 bytes are always fresh from the kernel.

#include "../core.h"
#include "../family.h"

static void *calloc_stale(size_t count, size_t size) {
    size_t bytes;
    if (!__builtin_mul_overflow(count, size, &bytes) && bytes > 1000)
        return family_malloc(bytes);
    return family_calloc(count, size);
}

#define CALLOC calloc_stale
#include "../exports.h"
