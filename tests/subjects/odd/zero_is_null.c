// Every request for no bytes gives NULL, and realloc to none frees.

#define ZERO_IS_NULL
#define REALLOC_ZERO_FREES
#include "../core.h"
#include "../family.h"
#include "../exports.h"
