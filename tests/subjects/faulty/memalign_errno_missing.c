// memalign fails without a word in errno.

#include "../core.h"
#include "../family.h"

static void *memalign_silent(size_t align, size_t size) {
    int saved = errno;
    void *block = family_memalign(align, size);
    errno = saved;
    return block;
}

#define MEMALIGN memalign_silent
#include "../exports.h"
