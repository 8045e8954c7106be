// aligned_alloc refuses a size that is not a multiple of the alignment.

#include "../core.h"
#include "../family.h"

static void *aligned_exact(size_t align, size_t size) {
    return align && size % align ? no_memory(EINVAL) : family_aligned_alloc(align, size);
}

#define ALIGNED_ALLOC aligned_exact
#include "../exports.h"
