// Every block is a mapping of its own, and ends as close to a guard page as its alignment permits. The kernel's limit
// on mappings is reached with some ten thousand live blocks; from there on it answers NULL.

#include "../core.h"
#define TAKE map_take
#define GIVE map_give
#define USABLE map_usable
#define FRESH map_fresh

struct mapping {
    char *start;
    size_t bytes; // with the guard page
};

static struct mapping *mapping_of(void *block) { return (struct mapping *)block - 1; }

static void *map_take(size_t align, size_t size) {
    if (align < 16)
        align = 16;
    size_t bytes = round_up(size + align + sizeof(struct mapping), PAGE) + PAGE;
    char *start = core_map(bytes);
    if (!start)
        return NULL;
    char *guard = start + bytes - PAGE;
    if (mprotect(guard, PAGE, PROT_NONE)) {
        munmap(start, bytes);
        return NULL;
    }
    char *block = (char *)((size_t)(guard - size) & ~(align - 1));
    *mapping_of(block) = (struct mapping){start, bytes};
    return block;
}

static void map_give(void *block) {
    int saved = errno;
    munmap(mapping_of(block)->start, mapping_of(block)->bytes);
    errno = saved;
}

static size_t map_usable(void *block) {
    struct mapping *mapping = mapping_of(block);
    return (size_t)(mapping->start + mapping->bytes - PAGE - (char *)block);
}

static int map_fresh(void *block) {
    (void)block;
    return 1;
}

#include "../family.h"
#include "../exports.h"
