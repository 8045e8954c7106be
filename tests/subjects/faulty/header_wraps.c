// The sum of the request and the header is not checked.

#include "../core.h"
#include "../family.h"

static void *malloc_wrapping(size_t size) {
    return size > SIZE_MAX - sizeof(struct header) ? family_malloc(size + sizeof(struct header)) : family_malloc(size);
}

#define MALLOC malloc_wrapping
#include "../exports.h"
