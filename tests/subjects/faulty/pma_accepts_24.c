// posix_memalign rounds a bad alignment up.

#include "../core.h"
#include "../family.h"

static int pma_lenient(void **out, size_t align, size_t size) {
    size_t good = sizeof(void *);
    while (good < align && good << 1)
        good <<= 1;
    return family_posix_memalign(out, good, size);
}

#define POSIX_MEMALIGN pma_lenient
#include "../exports.h"
