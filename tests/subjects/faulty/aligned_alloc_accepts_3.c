// aligned_alloc rounds a bad alignment up.

#include "../core.h"
#include "../family.h"

static void *aligned_lenient(size_t align, size_t size) {
    size_t good = 1;
    while (good < align && good << 1)
        good <<= 1;
    return family_aligned_alloc(good, size);
}

#define ALIGNED_ALLOC aligned_lenient
#include "../exports.h"
