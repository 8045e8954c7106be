// Every realloc moves the block, even to the size it has.

#define REALLOC_MOVES
#include "../core.h"
#include "../family.h"
#include "../exports.h"
