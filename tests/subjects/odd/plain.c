// Nothing odd: the allocator the others are twisted from, with a 16-byte header below every block.

#include "../core.h"
#include "../family.h"
#include "../exports.h"
