// Nothing odd, with the functions that BSD adds.

#include "../core.h"
#include "../family.h"
#include "../bsd.h"
#include "../exports.h"
