// free_sized goes by the size: a large block that was made small where it is becomes one of a small class, whole.

#include "../core.h"
#include "../family.h"
#define OMIT_FREE_SIZED
#include "../exports.h"

void free_sized(void *block, size_t size) {
    if (!block)
        return;
    struct header *header = header_of(block);
    size_t total = (size ? size : 1) + sizeof(struct header);
    if (header->origin == block && total <= (size_t)1 << LARGEST)
        header->usable = ((size_t)1 << core_class(total)) - sizeof(struct header);
    family_free(block);
}

void free_aligned_sized(void *block, size_t align, size_t size) {
    (void)align, (void)size;
    family_free(block);
}
