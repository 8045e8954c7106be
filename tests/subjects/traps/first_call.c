// memalign works only after malloc has.

#define PREFIX tp_
#include "../core.h"
#include "../family.h"

static int *ready;

static void *malloc_first(size_t size) {
    static int yes;
    ready = &yes;
    return family_malloc(size);
}

static void *memalign_later(size_t align, size_t size) {
    *(volatile int *)ready = 1;
    return family_memalign(align, size);
}

#define MALLOC malloc_first
#define MEMALIGN memalign_later
#include "../exports.h"
