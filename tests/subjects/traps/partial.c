// Leaves four functions to libc, whose blocks it cannot free.

#define OMIT_MEMALIGN
#define OMIT_VALLOC
#define OMIT_PVALLOC
#define OMIT_REALLOCARRAY
#include "../core.h"
#include "../family.h"
#include "../exports.h"
