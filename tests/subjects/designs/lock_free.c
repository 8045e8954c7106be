// Lock-free stacks of freed blocks with a tag against ABA, bump regions by compare-and-swap; nothing is unmapped but
// the large.
#include "../map.h"
#define NC 13

struct head {
    size_t usable;
    char *origin;
};

struct link {
    _Atomic(struct link *) next;
};

static _Atomic uint64_t top[NC]; // tag in the upper 16 bits
static _Atomic size_t bump;      // address; ends at multiples of 1 MiB
#define ADDR(v) ((struct link *)((v)&0xffffffffffffull))

static struct head *head_of(void *p) {
    return (struct head *)p - 1;
}

static void push(int c, struct link *b) {
    uint64_t v = atomic_load(&top[c]);
    do
        atomic_store(&b->next, ADDR(v));
#ifdef FAULT_ABA
    while (!atomic_compare_exchange_weak(&top[c], &v, (uint64_t)b));
#else
    while (!atomic_compare_exchange_weak(&top[c], &v, (uint64_t)b | ((v + (1ull << 48)) & 0xffff000000000000ull)));
#endif
}

static struct link *pop(int c) {
    uint64_t v = atomic_load(&top[c]);
    while (ADDR(v)) {
        struct link *n = atomic_load(&ADDR(v)->next);
#ifdef FAULT_ABA
        if (atomic_compare_exchange_weak(&top[c], &v, (uint64_t)n))
            return ADDR(v);
#else
        if (atomic_compare_exchange_weak(
                &top[c], &v, ((uint64_t)n & 0xffffffffffffull) | ((v + (1ull << 48)) & 0xffff000000000000ull)))
            return ADDR(v);
#endif
    }
    return NULL;
}

static char *carve(size_t n) {
    for (;;) {
        size_t b = atomic_load(&bump);
        if (b && (b & ((1 << 20) - 1)) + n <= 1 << 20 && (b & ((1 << 20) - 1))) {
            if (atomic_compare_exchange_weak(&bump, &b, (b + n) & ((1 << 20) - 1) ? b + n : 0))
                return (char *)b;
            continue;
        }
        char *m = map_aligned(1 << 20, 1 << 20);
        if (!m)
            return NULL;
        if (!atomic_compare_exchange_strong(&bump, &b, (size_t)m + 64))
            unmap(m, 1 << 20);
    }
}

static void *lf_take(size_t align, size_t size) {
    size_t n = size + sizeof(struct head) + (align > 16 ? align : 0);
    int c = 0;
    while (c < NC && ((size_t)32 << c) < n)
        c++;
    char *raw;
    if (c == NC) {
        n = round_up(n, PAGE);
        raw = map(n);
    } else {
        n = (size_t)32 << c;
        raw = (char *)pop(c);
        if (!raw)
            raw = carve(n);
    }
    if (!raw)
        return NULL;
    char *p = raw + sizeof(struct head), *q = p;
    *head_of(p) = (struct head){n - sizeof(struct head), p};
    if (align > 16 && (q = (char *)round_up((size_t)p, align)) != p)
        *head_of(q) = (struct head){head_of(p)->usable - (size_t)(q - p), p};
    return q;
}

static void lf_give(void *p) {
    p = head_of(p)->origin;
    size_t n = head_of(p)->usable + sizeof(struct head);
    int c = 0;
    while (c < NC && ((size_t)32 << c) < n)
        c++;
    if (c == NC)
        unmap(head_of(p), n);
    else
        push(c, (struct link *)head_of(p));
}

static size_t lf_usable(void *p) {
    return head_of(p)->usable;
}

static int lf_fresh(void *p) {
    (void)p;
    return 0;
}

#define TAKE lf_take
#define GIVE lf_give
#define USABLE lf_usable
#define FRESH lf_fresh
#include "../family.h"
#include "../exports.h"
