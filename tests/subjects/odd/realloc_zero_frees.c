// realloc(p, 0) frees and returns NULL without a word in errno, as the GNU C library does; malloc(0) gives a block.

#define REALLOC_ZERO_FREES
#include "../core.h"
#include "../family.h"
#include "../exports.h"
