// Large blocks are shared with the children of the process.

#include "../core.h"
#define TAKE take_shared
#define LARGE ((size_t)1 << 20)

static void *take_shared(size_t align, size_t size) {
    char *block = core_take(align, size);
    if (!block || align > 16 || size < LARGE)
        return block;
    // The mapping begins at the header.
    struct header kept = *header_of(block);
    char *start = block - sizeof kept;
    mmap(start, kept.usable + sizeof kept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    *header_of(block) = kept;
    return block;
}

#include "../family.h"
#include "../exports.h"
