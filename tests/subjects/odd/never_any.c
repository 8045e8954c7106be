// There is no memory at all: every request fails as documented.

#include "../core.h"
#define TAKE take_nothing

static void *take_nothing(size_t align, size_t size) {
    (void)align, (void)size;
    return NULL;
}

#include "../family.h"
#include "../exports.h"
