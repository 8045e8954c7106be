// Each class has a lock of its own, and an aligned request takes that of its size, though it is served from a larger class.

#define UNLOCKED
#include "../core.h"
#define TAKE locking_take
#define GIVE locking_give

static lock_t locks[LARGEST + 1];

static void begin_fork(void) {
    for (int class = SMALLEST; class <= LARGEST; class++)
        lock(&locks[class]);
}

static void end_fork(void) {
    for (int class = SMALLEST; class <= LARGEST; class++)
        unlock(&locks[class]);
}

__attribute__((constructor)) static void start_locks(void) {
    pthread_atfork(begin_fork, end_fork, end_fork);
}

static lock_t *lock_of(size_t total) {
    return &locks[total > (size_t)1 << LARGEST ? LARGEST : core_class(total)];
}

static void *locking_take(size_t align, size_t size) {
    lock_t *own = lock_of(size + sizeof(struct header));
    lock(own);
    void *block = core_take(align, size);
    unlock(own);
    return block;
}

static void locking_give(void *block) {
    lock_t *own = lock_of(header_of(header_of(block)->origin)->usable + sizeof(struct header));
    lock(own);
    core_give(block);
    unlock(own);
}

#include "../family.h"
#include "../exports.h"
