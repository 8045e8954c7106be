// malloc keeps the size in 32 bits.

#include "../core.h"
#include "../family.h"

static void *malloc_narrow(size_t size) { return family_malloc(size >> 40 ? size : (uint32_t)size); }

#define MALLOC malloc_narrow
#include "../exports.h"
