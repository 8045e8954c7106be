// malloc_usable_size forgets half of a large block.

#include "../core.h"
#include "../family.h"

static size_t usable_half(void *block) {
    size_t usable = family_usable_size(block);
    return usable > 1000 ? usable / 2 : usable;
}

#define USABLE_SIZE usable_half
#include "../exports.h"
