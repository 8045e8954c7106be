// Freeing a large block leaves an error in errno.

#include "../core.h"
#include "../family.h"

static void free_loudly(void *block) {
    size_t usable = family_usable_size(block);
    family_free(block);
    if (usable > 60000)
        errno = EINVAL;
}

#define FREE free_loudly
#include "../exports.h"
