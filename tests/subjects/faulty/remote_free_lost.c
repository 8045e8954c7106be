// Blocks that another thread frees than made them wait for their maker, which never looks.

#include "../core.h"
#define TAKE take_own
#define GIVE give_own
#define OWNERS (1 << 20)

// Blocks have places in it by their addresses. Of two that share one, either may be taken for the other's.
static void *_Atomic owner[OWNERS];
static _Thread_local char self;

static void *_Atomic *owner_of(void *block) { return &owner[(uintptr_t)block / 64 % OWNERS]; }

static void *take_own(size_t align, size_t size) {
    void *block = core_take(align, size);
    if (block)
        *owner_of(block) = &self;
    return block;
}

static void give_own(void *block) {
    if (*owner_of(block) == &self)
        core_give(block);
}

#include "../family.h"
#include "../exports.h"
