// Each thread keeps the block of each class that it has freed last, and nobody has it when the thread has ended.

#include "../core.h"
#define TAKE take_kept
#define GIVE give_kept

static _Thread_local void *kept[LARGEST + 1];

static void *take_kept(size_t align, size_t size) {
    size_t total = size + sizeof(struct header);
    int class = align <= 16 && total <= (size_t)1 << LARGEST ? core_class(total) : 0;
    void *block = kept[class];
    kept[class] = NULL;
    return block ? block : core_take(align, size);
}

static void give_kept(void *block) {
    size_t total = core_usable(block) + sizeof(struct header);
    int plain = header_of(block)->origin == block && total <= (size_t)1 << LARGEST;
    void **place = &kept[plain ? core_class(total) : 0];
    if (!plain || *place)
        core_give(block);
    else
        *place = block;
}

#include "../family.h"
#include "../exports.h"
