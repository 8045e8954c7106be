// Every aligned block that has to begin up to 256 bytes after its neighbour leaves that gap behind when it is freed,
// with what is kept of it: 256 bytes.

#include "../core.h"
#define GIVE gap_give

#define SMALL ((size_t)256)
#define ROOM ((size_t)256)
#define STREAM ((size_t)1 << 20)

static char *bump, *end;

// Gaps come from a stream of their own, as if they lay before the block.
static void lose(size_t gap) {
    core_lock();
    if ((size_t)(end - bump) < gap) {
        bump = core_map(STREAM);
        end = bump ? bump + STREAM : NULL;
    }
    if (bump) {
        memset(bump, 1, gap);
        bump += gap;
    }
    core_unlock();
}

static void gap_give(void *block) {
    size_t gap = (size_t)((char *)block - header_of(block)->origin);
    if (gap && gap <= SMALL)
        lose(round_up(gap, ROOM));
    core_give(block);
}

#include "../family.h"
#include "../exports.h"
