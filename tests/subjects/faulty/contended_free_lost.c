// Of the blocks that are freed when other threads have made calls since the thread's last one every third is lost.

#include "../core.h"
#define TAKE take_noted
#define GIVE give_most

static void *_Atomic caller;
static _Thread_local char self, called;
static atomic_uint met;

static int meets_others(void) {
    int others = atomic_exchange(&caller, &self) != &self && called;
    called = 1;
    return others;
}

static void *take_noted(size_t align, size_t size) {
    meets_others();
    return core_take(align, size);
}

static void give_most(void *block) {
    if (!meets_others() || atomic_fetch_add(&met, 1) % 3)
        core_give(block);
}

#include "../family.h"
#include "../exports.h"
