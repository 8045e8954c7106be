// Every function begins by clearing errno.

#include "../core.h"
#include "../family.h"

#define EACH_CALL errno = 0
#include "../exports.h"
