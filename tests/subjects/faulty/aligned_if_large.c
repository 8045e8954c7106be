// The aligned functions forget the alignment of blocks smaller than it.

#include "../core.h"
#include "../family.h"

static void *memalign_careless(size_t align, size_t size) {
    return power_of_two(align) && size < align ? family_malloc(size) : family_memalign(align, size);
}

static int pma_careless(void **out, size_t align, size_t size) {
    if (!power_of_two(align) || align % 8 || size >= align)
        return family_posix_memalign(out, align, size);
    void *block = family_malloc(size);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

#define MEMALIGN memalign_careless
#define ALIGNED_ALLOC memalign_careless
#define POSIX_MEMALIGN pma_careless
#include "../exports.h"
