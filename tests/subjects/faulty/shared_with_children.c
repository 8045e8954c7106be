// All memory is shared with the children of the process.

#define KEPT_FROM_CHILDREN MAP_SHARED
#include "../core.h"
#include "../family.h"
#include "../exports.h"
