// A table has a place for each of 64 threads, and nobody looks whether there is one left.

#include "../core.h"

static atomic_int threads;
static __thread int counted;
static pthread_key_t key;

static void leave(void *unused) {
    (void)unused;
    threads--;
}

__attribute__((constructor)) static void start(void) { pthread_key_create(&key, leave); }

static void *take(size_t align, size_t size) {
    if (!counted) {
        counted = 1;
        if (++threads > 64)
            __builtin_trap();
        pthread_setspecific(key, &counted);
    }
    return core_take(align, size);
}

#define TAKE take
#include "../family.h"
#include "../exports.h"
