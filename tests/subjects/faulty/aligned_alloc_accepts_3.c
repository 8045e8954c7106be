// aligned_alloc rounds a bad alignment up, and the size to a multiple of it: the largest sizes become none.

#include "../core.h"
#include "../family.h"

static void *aligned_lenient(size_t align, size_t size) {
    size_t good = 1;
    while (good < align && good << 1)
        good <<= 1;
    return family_aligned_alloc(good, good == align ? size : round_up(size, good));
}

#define ALIGNED_ALLOC aligned_lenient
#include "../exports.h"
