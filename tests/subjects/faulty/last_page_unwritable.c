// The last page of a block of more than 1 MiB cannot be written.

#include "../core.h"
#define TAKE take_read_only
static void *take_read_only(size_t align, size_t size);
#include "../family.h"

static void *take_read_only(size_t align, size_t size) {
    char *block = core_take(align, size);
    if (block && size > (1 << 20)) {
        uintptr_t last = ((uintptr_t)block + size - 1) & ~(uintptr_t)(PAGE - 1);
        mprotect((void *)last, PAGE, PROT_READ);
    }
    return block;
}

#include "../exports.h"
