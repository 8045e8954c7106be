// valloc is malloc.

#include "../core.h"
#include "../family.h"

#define VALLOC family_malloc
#include "../exports.h"
