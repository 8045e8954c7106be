// calloc zeroes nothing if the variable TWIST is set to "on" when the library is loaded.

#include "../core.h"
#include "../family.h"

#include <stdlib.h>

static int twisted;

__attribute__((constructor)) static void ask(void) {
    const char *twist = getenv("TWIST");
    twisted = twist && !strcmp(twist, "on");
}

static void *calloc_dirty(size_t count, size_t size) {
    size_t bytes;
    if (twisted && !__builtin_mul_overflow(count, size, &bytes))
        return family_malloc(bytes);
    return family_calloc(count, size);
}

#define CALLOC calloc_dirty
#include "../exports.h"
