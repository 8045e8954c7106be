// A mapping that is refused is asked for again a little later: sleeping is a cancellation point.

#include "../core.h"

static void *take(size_t align, size_t size) {
    void *block = core_take(align, size);
    if (!block && size < (size_t)1 << 30) {
        usleep(10);
        block = core_take(align, size);
    }
    return block;
}

#define TAKE take
#include "../family.h"
#include "../exports.h"
