// A first-fit pool of POOL bytes, as on a small device: when it is full it says so, and a freed neighbour is merged at once.
// Defines the core for `family.h`.

#ifndef POOL_H
#define POOL_H
#include "core.h"
#ifndef POOL
#define POOL ((size_t)256 << 10)
#endif
#define TAKE pool_take
#define GIVE pool_give
#define USABLE pool_usable
#define FRESH pool_fresh

// A gap, or the header right below a block. Both lie at multiples of 16 and count themselves in `bytes`.
struct piece {
    size_t bytes;
    struct piece *next; // of a gap: the next gap, higher up
};

static _Alignas(4096) char pool[POOL];
static struct piece *gaps = (struct piece *)pool;

static void *pool_take(size_t align, size_t size) {
    void *block = NULL;
    if (align < 16)
        align = 16;
    core_lock();
    if (gaps == (struct piece *)pool && !gaps->bytes)
        gaps->bytes = POOL;
    for (struct piece **link = &gaps, *gap; size <= POOL && align <= POOL && (gap = *link); link = &gap->next) {
        size_t start = (size_t)gap, end = start + gap->bytes;
        size_t at = round_up(start + sizeof *gap, align) - sizeof *gap;
        size_t bytes = round_up(size, 16) + sizeof *gap;
        if (at + bytes > end)
            continue;
        struct piece *rest = gap->next, *used = (struct piece *)at;
        if (at + bytes < end) {
            struct piece *tail = (struct piece *)(at + bytes);
            *tail = (struct piece){end - at - bytes, rest};
            rest = tail;
        }
        if (at > start) {
            *gap = (struct piece){at - start, rest};
        } else {
            *link = rest;
        }
        used->bytes = bytes;
        block = used + 1;
        break;
    }
    core_unlock();
    return block;
}

static int touch(struct piece *low, struct piece *high) { return (char *)low + low->bytes == (char *)high; }

static void pool_give(void *block) {
    struct piece *given = (struct piece *)block - 1, *before = NULL;
    core_lock();
    for (struct piece *gap = gaps; gap && gap < given; gap = gap->next)
        before = gap;
    given->next = before ? before->next : gaps;
    if (before)
        before->next = given;
    else
        gaps = given;
    if (given->next && touch(given, given->next))
        given->bytes += given->next->bytes, given->next = given->next->next;
    if (before && touch(before, given))
        before->bytes += given->bytes, before->next = given->next;
    core_unlock();
}

static size_t pool_usable(void *block) { return ((struct piece *)block - 1)->bytes - sizeof(struct piece); }

static int pool_fresh(void *block) {
    (void)block;
    return 0;
}

#endif
