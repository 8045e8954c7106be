// Never opens its lock again once a block of 12345 bytes was asked for: whoever waits for it lets everybody else go first.

#include "../core.h"
#define TAKE take_and_keep

static void *take_and_keep(size_t align, size_t size) {
    void *block = core_take(align, size);
    if (size == 12345)
        core_lock();
    return block;
}

#include "../family.h"
#include "../exports.h"
