// Freed blocks wait until 256 MiB of them do before the first is used again, as where the use of freed memory is looked for.

#include "../core.h"
#define GIVE give_later
#define QUEUE (1 << 22)
#define MOST (256UL << 20)

static void *queue[QUEUE];
static size_t first, waiting, bytes;

static void *oldest(void) {
    void *block = queue[first];
    first = (first + 1) % QUEUE;
    waiting--;
    bytes -= core_usable(block);
    return block;
}

static void give_later(void *block) {
    for (;;) {
        core_lock();
        void *due = waiting == QUEUE || (waiting && bytes + core_usable(block) > MOST) ? oldest() : 0;
        if (!due) {
            queue[(first + waiting++) % QUEUE] = block;
            bytes += core_usable(block);
        }
        core_unlock();
        if (!due)
            return;
        core_give(due);
    }
}

#include "../family.h"
#include "../exports.h"
