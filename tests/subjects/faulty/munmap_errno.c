// Freeing a large block leaves in errno what munmap put there when it fails.

#include "../core.h"
#include "../family.h"

static void free_unguarded(void *block) {
    char *origin = block ? header_of(block)->origin : NULL;
    size_t total = block ? header_of(origin)->usable + sizeof(struct header) : 0;
    if (total > (size_t)1 << LARGEST)
        munmap(origin - sizeof(struct header), total);
    else
        family_free(block);
}

#define FREE free_unguarded
#include "../exports.h"
