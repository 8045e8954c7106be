// Every block is a mapping of its own at an address that was never used before, 2 MiB beyond the last.

#include "../core.h"
#define TAKE map_take
#define GIVE map_give
#define USABLE map_usable
#define FRESH map_fresh

#define APART ((size_t)2 << 20)

static atomic_size_t next_place = (size_t)0x1000 << 32;

// `start` and `bytes` lie in the page before the block's own.
static void *map_take(size_t align, size_t size) {
    if (align < PAGE)
        align = PAGE;
    size_t bytes = round_up(size, PAGE) + align;
    if (size > (size_t)1 << 46 || align > (size_t)1 << 40)
        return errno = ENOMEM, NULL;
    char *place = (char *)atomic_fetch_add(&next_place, round_up(bytes, APART));
    char *start = mmap(place, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (start == MAP_FAILED)
        return errno = ENOMEM, NULL;
    char *block = (char *)round_up((size_t)start + PAGE, align);
    ((size_t *)(block - PAGE))[0] = (size_t)start;
    ((size_t *)(block - PAGE))[1] = bytes;
    return block;
}

static size_t *record_of(void *block) { return (size_t *)((char *)block - PAGE); }

static void map_give(void *block) {
    int saved = errno;
    munmap((void *)record_of(block)[0], record_of(block)[1]);
    errno = saved;
}

static size_t map_usable(void *block) {
    return record_of(block)[0] + record_of(block)[1] - (size_t)block;
}

static int map_fresh(void *block) {
    (void)block;
    return 1;
}

#include "../family.h"
#include "../exports.h"
