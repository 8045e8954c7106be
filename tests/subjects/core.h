// The core of a small, correct allocator: power-of-two classes with a 16-byte header, mappings of their own for large
// blocks, one spin lock. Subjects include it, `family.h` and `exports.h`, and twist what they are about.

#ifndef CORE_H
#define CORE_H
#include "map.h"

#define CHUNK ((size_t)1 << 20)
#define SMALLEST 5 // 2^5 bytes with the header
#define LARGEST 16 // 2^16
#ifndef KEPT_FROM_CHILDREN
#define KEPT_FROM_CHILDREN MAP_PRIVATE
#endif

// Lies right below every block. An aligned block inside a larger one names the larger as its origin.
struct header {
    size_t usable;
    char *origin;
};

struct free_block {
    struct free_block *next;
};

static struct free_block *core_free[LARGEST + 1];
static char *core_bump[LARGEST + 1], *core_end[LARGEST + 1];
static atomic_flag core_flag = ATOMIC_FLAG_INIT;

__attribute__((unused)) static void core_lock(void) {
#ifndef UNLOCKED
    while (atomic_flag_test_and_set(&core_flag))
        sched_yield();
#endif
}

__attribute__((unused)) static void core_unlock(void) { atomic_flag_clear(&core_flag); }

// Both sides of a fork start with a heap at rest and the lock open.
__attribute__((constructor)) static void core_start(void) {
#ifndef IGNORES_FORKS
    pthread_atfork(core_lock, core_unlock, core_unlock);
#endif
}

static struct header *header_of(void *block) { return (struct header *)block - 1; }

static void *core_map(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, KEPT_FROM_CHILDREN | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int core_class(size_t total) {
    int class = SMALLEST;
    while (((size_t)1 << class) < total)
        class++;
    return class;
}

// A block of at least `size` bytes, 16-aligned; NULL with ENOMEM if there is none.
static void *core_take_plain(size_t size) {
    size_t total = size + sizeof(struct header);
    char *raw;
    if (total > (size_t)1 << LARGEST) {
        total = round_up(total, PAGE);
        raw = core_map(total);
    } else {
        int class = core_class(total);
        total = (size_t)1 << class;
        core_lock();
        if (core_free[class]) {
            raw = (char *)core_free[class];
            core_free[class] = core_free[class]->next;
        } else {
            if (core_bump[class] == core_end[class]) {
                char *chunk = core_map(CHUNK);
                if (chunk) {
                    core_bump[class] = chunk;
                    core_end[class] = chunk + CHUNK;
                }
            }
            raw = core_bump[class] == core_end[class] ? NULL : core_bump[class];
            if (raw)
                core_bump[class] += total;
        }
        core_unlock();
    }
    if (!raw)
        return NULL;
    char *block = raw + sizeof(struct header);
    *header_of(block) = (struct header){total - sizeof(struct header), block};
    return block;
}

// The same at a multiple of `align`, a power of two as well; `align + size` is at most PTRDIFF_MAX.
static void *core_take(size_t align, size_t size) {
    if (align <= 16)
        return core_take_plain(size);
    char *origin = core_take_plain(size + align);
    if (!origin)
        return NULL;
    char *block = (char *)round_up((size_t)origin, align);
    if (block != origin)
        *header_of(block) = (struct header){header_of(origin)->usable - (size_t)(block - origin), origin};
    return block;
}

static size_t core_usable(void *block) { return header_of(block)->usable; }

// Whether the memory of a block just taken is known to be zero.
static int core_fresh(void *block) {
    return header_of(header_of(block)->origin)->usable + sizeof(struct header) > (size_t)1 << LARGEST;
}

static void core_give(void *block) {
    char *origin = header_of(block)->origin;
    size_t total = header_of(origin)->usable + sizeof(struct header);
    char *raw = origin - sizeof(struct header);
    if (total > (size_t)1 << LARGEST) {
        int saved = errno;
        munmap(raw, total);
        errno = saved;
        return;
    }
    int class = core_class(total);
    core_lock();
    ((struct free_block *)raw)->next = core_free[class];
    core_free[class] = (struct free_block *)raw;
    core_unlock();
}

#endif
