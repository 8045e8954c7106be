// aligned_alloc refuses alignments below that of a pointer.

#include "../core.h"
#include "../family.h"

static void *aligned_proud(size_t align, size_t size) {
    return align < sizeof(void *) ? no_memory(EINVAL) : family_aligned_alloc(align, size);
}

#define ALIGNED_ALLOC aligned_proud
#include "../exports.h"
