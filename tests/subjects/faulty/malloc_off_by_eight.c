// Blocks of 16 to 31 bytes lie 8 bytes behind a multiple of 16.

#include "../core.h"
#include "../family.h"

static void *malloc_shifted(size_t size) {
    char *origin = family_malloc(size >= 16 && size < 32 ? 64 : size);
    if (!origin || size < 16 || size >= 32)
        return origin;
    char *block = origin + 24;
    *header_of(block) = (struct header){core_usable(origin) - 24, origin};
    return block;
}

#define MALLOC malloc_shifted
#include "../exports.h"
