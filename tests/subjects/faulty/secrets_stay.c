// Neither freezero nor recallocarray clears what it frees.

#include "../core.h"
#include "../family.h"
#define CLEAR(block, size) (void)(size)
#include "../bsd.h"
#include "../exports.h"
