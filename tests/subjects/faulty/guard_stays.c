// The page behind a block of more than 1 MiB stays mapped when the block is freed.

#include "../core.h"
#define TAKE guarded_take

#define LARGE ((size_t)1 << 20)

static void *guarded_take(size_t align, size_t size) {
    if (align > 16 || size <= LARGE)
        return core_take(align, size);
    size_t total = round_up(size + sizeof(struct header), PAGE);
    char *raw = core_map(total + PAGE);
    if (!raw)
        return NULL;
    char *block = raw + sizeof(struct header);
    *header_of(block) = (struct header){total - sizeof(struct header), block};
    return block;
}

#include "../family.h"
#include "../exports.h"
