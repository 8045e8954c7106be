// Blocks of at most 8 bytes are aligned to 8: no type that fits into them needs more (C23 7.24.3p1).

#include "../core.h"
#define TAKE tiny_take
#define GIVE tiny_give
#define USABLE tiny_usable
#define FRESH tiny_fresh
#define REGION ((size_t)1 << 30)

static char *tiny_base, *tiny_bump;
static struct free_block *tiny_free;

static int is_tiny(void *block) { return tiny_base && (size_t)((char *)block - tiny_base) < REGION; }

static void *tiny_take(size_t align, size_t size) {
    if (size > 8 || align > 8)
        return core_take(align, size);
    core_lock();
    if (!tiny_base)
        tiny_base = tiny_bump = core_map(REGION);
    void *block = tiny_free;
    if (block)
        tiny_free = tiny_free->next;
    else if (tiny_base && tiny_bump < tiny_base + REGION)
        block = tiny_bump, tiny_bump += 8;
    core_unlock();
    return block ? block : core_take(align, size);
}

static void tiny_give(void *block) {
    if (!is_tiny(block)) {
        core_give(block);
        return;
    }
    core_lock();
    ((struct free_block *)block)->next = tiny_free;
    tiny_free = block;
    core_unlock();
}

static size_t tiny_usable(void *block) { return is_tiny(block) ? 8 : core_usable(block); }

static int tiny_fresh(void *block) { return !is_tiny(block) && core_fresh(block); }

#include "../family.h"
#include "../exports.h"
