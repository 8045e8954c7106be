// A heap a thread, in-band page headers, remote frees into a queue of the owner, heaps adopted by later threads.
#include "../map.h"
#define REGION ((size_t)65536)
#define NC 40
#define LARGEST 16384

struct block {
    struct block *next;
};

struct heap {
    struct block *free[NC];
    char *bump[NC], *end[NC];
    _Atomic(struct block *) remote[NC];
    struct heap *next;
};

struct page {
    struct heap *owner;
    int cls;
    size_t size, len;
    char *map;
}; // 64 bytes from the start

#define FIRST 64
static lock_t L = ATOMIC_FLAG_INIT;

static void lk(void) {
    lock(&L);
}

static void ulk(void) {
    unlock(&L);
}
static struct heap *abandoned;
static pthread_key_t key;
static int key_made;
static __thread __attribute__((tls_model("initial-exec"))) struct heap *mine;
static __thread __attribute__((tls_model("initial-exec"))) int dead;

static void leave(void *h) {
    mine = NULL;
    dead = 1;
    lk();
    ((struct heap *)h)->next = abandoned;
    abandoned = h;
    ulk();
}

__attribute__((constructor)) static void start(void) {
    pthread_atfork(lk, ulk, ulk);
}

static struct heap *heap(void) {
    if (mine)
        return mine;
    lk();
    if (!key_made && !pthread_key_create(&key, leave))
        key_made = 1;
    struct heap *h = abandoned;
    if (h) {
        abandoned = h->next;
#ifdef FAULT_ADOPT_RESETS // a heap begins with an empty queue
        for (int c = 0; c < NC; c++)
            atomic_store(&h->remote[c], NULL);
#endif
    }
    ulk();
    if (!h)
        h = map(round_up(sizeof *h, PAGE));
    if (!h)
        return NULL;
    mine = h;
#ifdef FAULT_REVENANT // set up once a thread
    if (!dead)
#endif
        if (key_made)
            pthread_setspecific(key, h);
    return h;
}

static size_t class_size(int c) {
    return c < 16 ? (size_t)(c + 1) * 16 : (size_t)(5 + (c - 16) % 4) << (6 + (c - 16) / 4);
}

static int class_of(size_t n) {
    if (n <= 256)
        return (int)((n + 15) / 16) - 1;
    int c = 16;
    while (class_size(c) < n)
        c++;
    return c;
}

static struct page *page_of(void *p) {
    size_t a = (size_t)p;
    return (struct page *)(a % REGION ? a - a % REGION : a - REGION);
}

static char *start_of(struct page *g, void *p) {
    char *f = (char *)g + FIRST;
    return f + ((char *)p - f) / g->size * g->size;
}
#ifdef FAULT_FRESH_SHARED
static int was_fresh;
#else
static __thread __attribute__((tls_model("initial-exec"))) int was_fresh;
#endif
static void *small_take(size_t size) {
    struct heap *h = heap();
    if (!h)
        return NULL;
    int c = class_of(size);
    was_fresh = 0;
    if (!h->free[c]) {
        if (atomic_load_explicit(&h->remote[c], memory_order_relaxed))
            h->free[c] = atomic_exchange(&h->remote[c], NULL);
    }
    struct block *b = h->free[c];
    if (b) {
        h->free[c] = b->next;
        return b;
    }
    if ((size_t)(h->end[c] - h->bump[c]) < class_size(c)) {
        struct page *g = map_aligned(REGION, REGION);
        if (!g)
            return NULL;
        g->owner = h;
        g->cls = c;
        g->size = class_size(c);
        h->bump[c] = (char *)g + FIRST;
        h->end[c] = (char *)g + REGION;
    }
    b = (struct block *)h->bump[c];
    h->bump[c] += class_size(c);
    was_fresh = 1;
    return b;
}

static void *large_take(size_t align, size_t size) {
    size_t off = align > REGION ? align : align > 64 ? (align == REGION ? REGION : align) : 64;
    size_t len = round_up(off + size, PAGE), all = len;
    if (len < size)
        return NULL;
    char *m, *b;
    if (align > REGION) { // the header lies in the region below the block
        m = map_aligned(len, align);
        if (!m)
            return NULL;
        b = m + align;
        struct page *g = (struct page *)(b - REGION);
        g->owner = NULL;
        g->map = m;
        g->len = len;
        g->size = len - align;
        return b;
    }
    m = map_aligned(all, REGION);
    if (!m)
        return NULL;
    struct page *g = (struct page *)m;
    g->owner = NULL;
    g->map = m;
    g->len = len;
    g->size = len - off;
    return m + off;
}

static void *hp_take(size_t align, size_t size) {
    if (align < 16)
        align = 16;
    was_fresh = 0;
    if (align <= 16 && size <= LARGEST)
        return small_take(size);
    if (align <= LARGEST / 2 && size <= LARGEST - align) {
        char *p = small_take(size + align);
        return p ? (char *)round_up((size_t)p, align) : NULL;
    }
    was_fresh = 1;
    return large_take(align, size);
}

static void hp_give(void *p) {
    struct page *g = page_of(p);
    if (!g->owner) {
        unmap(g->map, g->len);
        return;
    }
    struct block *b;
#ifdef FAULT_ALIGNED_REMOTE
    b = g->owner == mine ? (void *)start_of(g, p) : p;
#else
    b = (struct block *)start_of(g, p);
#endif
    if (g->owner == mine) {
        b->next = mine->free[g->cls];
        mine->free[g->cls] = b;
        return;
    }
    struct block *old = atomic_load(&g->owner->remote[g->cls]);
    do
        b->next = old;
    while (!atomic_compare_exchange_weak(&g->owner->remote[g->cls], &old, b));
}

static size_t hp_usable(void *p) {
    struct page *g = page_of(p);
    return g->owner ? (size_t)(start_of(g, p) + g->size - (char *)p) : g->size;
}

static int hp_fresh(void *p) {
    (void)p;
    return was_fresh;
}

#define TAKE hp_take
#define GIVE hp_give
#define USABLE hp_usable
#define FRESH hp_fresh
#include "../family.h"
#include "../exports.h"
