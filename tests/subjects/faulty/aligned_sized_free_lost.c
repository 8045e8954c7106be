// free_aligned_sized loses blocks that are aligned to more than a page.

#include "../core.h"
#include "../family.h"
#define OMIT_FREE_SIZED
#include "../exports.h"

void free_sized(void *block, size_t size) {
    (void)size;
    family_free(block);
}

void free_aligned_sized(void *block, size_t align, size_t size) {
    (void)size;
    if (align <= PAGE)
        family_free(block);
}
