// Sizes, mappings and locks: what every allocator here is made of.

#ifndef MAP_H
#define MAP_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)

static inline size_t round_up(size_t n, size_t to) {
    return (n + to - 1) & ~(to - 1);
}

static inline void *map(size_t n) {
    int e = errno;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = e;
    return p == MAP_FAILED ? NULL : p;
}

static inline int unmap(void *p, size_t n) {
    int e = errno, r = munmap(p, n);
    errno = e;
    return r;
}

// So many bytes at a multiple of `align`, both whole pages.
static inline void *map_aligned(size_t n, size_t align) {
    if (n + align < n)
        return NULL;
    char *p = map(n + align);
    if (!p)
        return NULL;
    char *a = (char *)round_up((size_t)p, align);
    if (a > p)
        unmap(p, a - p);
    if (p + align > a)
        unmap(a + n, p + align - a);
    return a;
}

typedef atomic_flag lock_t;

static inline void lock(lock_t *l) {
    while (atomic_flag_test_and_set_explicit(l, memory_order_acquire)) {
        int e = errno;
        sched_yield();
        errno = e;
    }
}

static inline void unlock(lock_t *l) {
    atomic_flag_clear_explicit(l, memory_order_release);
}
#endif
