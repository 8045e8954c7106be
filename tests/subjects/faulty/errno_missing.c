// malloc fails without a word in errno.

#include "../core.h"
#include "../family.h"

static void *malloc_silent(size_t size) {
    int saved = errno;
    void *block = family_malloc(size);
    errno = saved;
    return block;
}

#define MALLOC malloc_silent
#include "../exports.h"
