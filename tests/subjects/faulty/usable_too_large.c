// malloc_usable_size counts the neighbour.

#include "../core.h"
#include "../family.h"

static size_t usable_twice(void *block) { return 2 * family_usable_size(block); }

#define USABLE_SIZE usable_twice
#include "../exports.h"
