// A calloc that overflows leaves the lock closed.

#include "../core.h"
#include "../family.h"

static void *calloc_locking(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        core_lock();
        return no_memory(ENOMEM);
    }
    return family_calloc(count, size);
}

#define CALLOC calloc_locking
#include "../exports.h"
