// Every block that is a mapping of its own lies at a random address, anywhere in the lower half of what there is.

#include "../core.h"
#define TAKE scattered_take

#define ROOM ((uint64_t)1 << 46)

static void *scattered_take(size_t align, size_t size) {
    static _Atomic uint64_t turn = 1;
    size_t total = round_up(size + sizeof(struct header), PAGE);
    if (align > 16 || total <= (size_t)1 << LARGEST)
        return core_take(align, size);
    uint64_t place = atomic_fetch_add(&turn, 1) * 0x9e3779b97f4a7c15u % ROOM;
    int saved = errno;
    char *raw = mmap((void *)(place & ~(uint64_t)(PAGE - 1)), total, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    if (raw == MAP_FAILED)
        return NULL;
    char *block = raw + sizeof(struct header);
    *header_of(block) = (struct header){total - sizeof(struct header), block};
    return block;
}

#include "../family.h"
#include "../exports.h"
