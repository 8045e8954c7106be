// posix_memalign leaves an address in the variable when it fails.

#include "../core.h"
#include "../family.h"

static int pma_spoiling(void **out, size_t align, size_t size) {
    int error = family_posix_memalign(out, align, size);
    if (error)
        *out = (void *)0x1000;
    return error;
}

#define POSIX_MEMALIGN pma_spoiling
#include "../exports.h"
