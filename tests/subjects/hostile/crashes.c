// The 1000th malloc of a process writes to address 16.

#include "../core.h"
#include "../family.h"

static atomic_ulong calls;

static void *crash_late(size_t size) {
    if (++calls == 1000)
        *(volatile int *)16 = 0;
    return family_malloc(size);
}

#define MALLOC crash_late
#include "../exports.h"
