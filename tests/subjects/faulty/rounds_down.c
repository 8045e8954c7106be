// A request for 65 to 100 bytes is given 48.

#include "../core.h"
#include "../family.h"

static void *round_down(size_t size) { return family_malloc(size > 64 && size <= 100 ? 48 : size); }

#define MALLOC round_down
#include "../exports.h"
