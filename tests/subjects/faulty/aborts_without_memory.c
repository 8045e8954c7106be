// Aborts when the kernel gives no more memory.

#include "../core.h"
#define TAKE take_or_die

#include <stdlib.h>

static void *take_or_die(size_t align, size_t size) {
    void *block = core_take(align, size);
    if (!block && align < (size_t)1 << 40 && size < (size_t)1 << 40)
        abort();
    return block;
}

#include "../family.h"
#include "../exports.h"
