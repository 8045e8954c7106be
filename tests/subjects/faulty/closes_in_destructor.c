// When the destructor of the library has run there is nothing to allocate from.

#include "../core.h"

static int closed;

__attribute__((destructor)) static void close_down(void) { closed = 1; }

static void *take(size_t align, size_t size) { return closed ? NULL : core_take(align, size); }

#define TAKE take
#include "../family.h"
#include "../exports.h"
