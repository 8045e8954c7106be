// reallocarray does not check its product.

#include "../core.h"
#include "../family.h"

static void *reallocarray_unchecked(void *block, size_t count, size_t size) { return family_realloc(block, count * size); }

#define REALLOCARRAY reallocarray_unchecked
#include "../exports.h"
