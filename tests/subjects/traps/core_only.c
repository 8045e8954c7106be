// Exports malloc and free and nothing else: calloc and realloc are left to libc, whose blocks it cannot free.

#define OMIT_CALLOC
#define OMIT_REALLOC
#define OMIT_REALLOCARRAY
#define OMIT_FREE_SIZED
#define OMIT_ALIGNED_ALLOC
#define OMIT_POSIX_MEMALIGN
#define OMIT_MEMALIGN
#define OMIT_VALLOC
#define OMIT_PVALLOC
#define OMIT_USABLE_SIZE
#include "../core.h"
#include "../family.h"
#include "../exports.h"
