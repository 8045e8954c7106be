// malloc_usable_size looks for the header of NULL.

#include "../core.h"
#include "../family.h"

#define USABLE_SIZE core_usable
#include "../exports.h"
