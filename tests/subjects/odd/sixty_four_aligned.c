// Every block lies on a cache line of its own.

#include "../core.h"
#define TAKE take_line

static void *take_line(size_t align, size_t size) { return core_take(align < 64 ? 64 : align, size); }

#include "../family.h"
#include "../exports.h"
