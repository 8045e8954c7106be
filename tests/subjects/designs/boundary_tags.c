// Boundary tags, segregated bins, coalescing both ways, growth in place, segments unmapped when empty, mremap for the
// large.
#include "../map.h"

struct chunk {
    size_t prev, head;
    struct chunk *fd, *bk;
}; // head: size | flags; fd, bk only if free

#define USED 1ul
#define MAPPED 2ul
#define ZERO 4ul
#define HDR 16ul
#define MIN 32ul
#define SEG ((size_t)1 << 20)
#define BIG ((size_t)192 << 10)
#define PURGE ((size_t)64 << 10)
static lock_t L = ATOMIC_FLAG_INIT;

static void lk(void) {
    lock(&L);
}

static void ulk(void) {
    unlock(&L);
}

__attribute__((constructor)) static void start(void) {
    pthread_atfork(lk, ulk, ulk);
}
static struct chunk *bins[96];

static size_t size_of(struct chunk *c) {
    return c->head & ~15ul;
}

static struct chunk *next_of(struct chunk *c) {
    return (struct chunk *)((char *)c + size_of(c));
}

static struct chunk *prev_of(struct chunk *c) {
    return (struct chunk *)((char *)c - c->prev);
}

static int bin_of(size_t n) {
    return n < 1024 ? (int)(n / 16) : 64 + (63 - __builtin_clzl(n)) - 10;
}

static void set(struct chunk *c, size_t n, size_t flags) {
    c->head = n | flags;
    next_of(c)->prev = n;
}

static void bin_in(struct chunk *c) {
    struct chunk **b = &bins[bin_of(size_of(c))];
    c->fd = *b;
    c->bk = NULL;
    if (*b)
        (*b)->bk = c;
    *b = c;
}

static void bin_out(struct chunk *c) {
    if (c->bk)
        c->bk->fd = c->fd;
    else
        bins[bin_of(size_of(c))] = c->fd;
    if (c->fd)
        c->fd->bk = c->bk;
}

static struct chunk *big(void *p) {
    return (struct chunk *)((char *)p - HDR);
}

// c is not in a bin, is free memory; merges and bins it. Zeroness is that of all parts.
static void put(struct chunk *c, size_t zero) {
    size_t n = size_of(c);
    struct chunk *nx = next_of(c);
    int three = 0;
    if (!(nx->head & USED)) {
        bin_out(nx);
        n += size_of(nx);
        zero = 0;
        three++;
    }
    if (c->prev && !(prev_of(c)->head & USED)) {
        struct chunk *pv = prev_of(c);
        bin_out(pv);
        n += size_of(pv);
#ifdef FAULT_ZERO_BEFORE // what nobody used speaks for what lies behind it
        zero = pv->head & ZERO;
#else
        zero = 0;
#endif
        c = pv;
        three++;
    }
#ifdef FAULT_MERGE3 // of a merge of three, the tag behind is written only if the whole is small
    if (three == 2 && n > 4096) {
        c->head = n;
    } else
#endif
        set(c, n, zero);
    if (!c->prev && size_of(next_of(c)) == 0) { // the whole segment
        char *seg = (char *)c - 16;
        if (!unmap(seg, SEG))
            return;
    }
    if (n >= PURGE) {
#ifdef FAULT_PURGE_ROUNDS
        size_t a = round_up((size_t)c + sizeof *c, PAGE), e = round_up((size_t)next_of(c) - 64, PAGE);
#else
        size_t a = round_up((size_t)c + sizeof *c, PAGE), e = (size_t)next_of(c) & ~(PAGE - 1);
#endif
        int er = errno;
        if (e > a)
            madvise((void *)a, e - a, MADV_DONTNEED);
        errno = er;
    }
    bin_in(c);
}

static struct chunk *segment(void) {
#ifdef FAULT_REFUSED // who was refused once does not ask again
    static int refused;
    if (refused)
        return NULL;
    char *s = map(SEG);
    refused = !s;
#else
    char *s = map(SEG);
#endif
    if (!s)
        return NULL;
    struct chunk *c = (struct chunk *)(s + 16), *end = (struct chunk *)(s + SEG - 16);
    c->prev = 0;
    end->head = 0 | USED;
    set(c, SEG - 32, ZERO);
    return c;
}

static void split(struct chunk *c, size_t n, size_t flags) { // c gets n and flags, the rest is freed
    size_t all = size_of(c);
    if (all - n >= MIN) {
        size_t z = c->head & ZERO;
        set(c, n, flags);
        struct chunk *r = next_of(c);
        r->prev = n;
        r->head = (all - n) | USED;
        next_of(r)->prev = all - n;
        put(r, z);
    } else
        c->head = all | flags;
}

static struct chunk *take_raw(size_t n) { // locked
    for (int b = bin_of(n); b < 96; b++)
        for (struct chunk *c = bins[b]; c; c = c->fd)
            if (size_of(c) >= n) {
                bin_out(c);
                return c;
            }
    return segment();
}

static void *bt_take(size_t align, size_t size) {
    size_t n = round_up(size + HDR, 16);
    if (n < MIN)
        n = MIN;
    if (align < 16)
        align = 16;
    if (n + align > BIG) {
        if (align <= 16) {
            size_t len = round_up(size + HDR, PAGE);
            struct chunk *c = map(len);
            if (!c)
                return NULL;
            c->prev = 0;
            c->head = len | USED | MAPPED;
            return (char *)c + HDR;
        }
        size_t len = round_up(size + HDR + align, PAGE);
        char *m = map(len);
        if (!m)
            return NULL;
        char *p = (char *)round_up((size_t)m + HDR, align);
        struct chunk *c = big(p);
        c->prev = (size_t)((char *)c - m);
        c->head = (len - c->prev) / 16 * 16 | USED | MAPPED;
        return p;
    }
    lk();
    struct chunk *c = take_raw(align > 16 ? n + align + MIN : n);
    if (c && align > 16) {
        c->head |= USED;
        size_t p = (size_t)c + HDR, a = round_up(p, align);
        if (a != p && a - p < MIN)
            a += align;
        if (a != p) {
            size_t z = c->head & ZERO, all = size_of(c), gap = a - p;
            struct chunk *d = (struct chunk *)(a - HDR);
            c->head = gap | USED;
            d->prev = gap;
            d->head = (all - gap) | USED | z;
            next_of(d)->prev = all - gap;
            put(c, z);
            c = d;
        }
    }
    if (c)
        split(c, n, USED | (c->head & ZERO));
    ulk();
    return c ? (char *)c + HDR : NULL;
}

static void bt_give(void *p) {
    struct chunk *c = big(p);
    if (c->head & MAPPED) {
        unmap((char *)c - c->prev, size_of(c) + c->prev);
        return;
    }
    lk();
    put(c, 0);
    ulk();
}

static size_t bt_usable(void *p) {
    return size_of(big(p)) - HDR;
}

static int bt_fresh(void *p) { // zero beyond the links that may have been in its first bytes
    struct chunk *c = big(p);
    if (c->head & MAPPED)
        return 1;
    int z = !!(c->head & ZERO);
    if (z)
        memset(p, 0, 16);
    return z;
}

#define TAKE bt_take
#define GIVE bt_give
#define USABLE bt_usable
#define FRESH bt_fresh
static void *bt_realloc(void *p, size_t size);
#define REALLOC bt_realloc
#include "../family.h"

static void *bt_realloc(void *p, size_t size) {
    if (!p)
        return family_malloc(size);
    if (size > PTRDIFF_MAX)
        return no_memory(ENOMEM);
    if (!size)
        size = 1;
    struct chunk *c = big(p);
    size_t n = round_up(size + HDR, 16);
    if (n < MIN)
        n = MIN;
    if (c->head & MAPPED) {
#ifdef FAULT_MREMAP_ALIGNED
        if (size > BIG) {
#else
        if (size > BIG && !c->prev) {
#endif
            size_t off = c->prev, len = round_up(size + HDR + off, PAGE), old = round_up(size_of(c) + off, PAGE);
            int e = errno;
#ifdef FAULT_MREMAP_LOCK
            lk();
            char *m = mremap((char *)c - off, old, len, MREMAP_MAYMOVE);
            if (m == MAP_FAILED && len <= old) {
                errno = e;
                return p;
            }
            ulk();
#else
            char *m = mremap((char *)c - off, old, len, MREMAP_MAYMOVE);
#endif
            if (m == MAP_FAILED) {
                errno = e;
                return len <= old ? p : no_memory(ENOMEM);
            }
#ifdef FAULT_MREMAP_ALIGNED
            if (m != (char *)c - off)
                memmove(m + HDR, m + off + HDR, 0), off = 0;
#endif
            c = (struct chunk *)(m + off);
            c->prev = off;
            c->head = (len - off) | USED | MAPPED;
            return m + off + HDR;
        }
    } else {
        lk();
        size_t have = size_of(c);
#ifdef FAULT_SHRINK_ZERO
        size_t z = c->head & ZERO;
#else
        size_t z = 0;
#endif
        c->head &= ~ZERO;
        c->head |= z;
        if (have < n) {
            struct chunk *nx = next_of(c);
#ifdef FAULT_GROW_LAST // the last chunk before the end is the wilderness, is it not?
            int fr = !(nx->head & USED) || (size_of(nx) && size_of(next_of(nx)) == 0);
            if (fr && have + size_of(nx) >= n && size_of(nx)) {
                if (!(nx->head & USED))
                    bin_out(nx);
#else
            if (!(nx->head & USED) && have + size_of(nx) >= n) {
                bin_out(nx);
#endif
                have += size_of(nx);
                set(c, have, USED);
            }
        }
        if (have >= n) {
            split(c, n, USED);
            ulk();
            return p;
        }
#ifdef FAULT_SLIDE // the free place before the block is part of what it moves to, if it then can grow there
        if (c->prev && !(prev_of(c)->head & USED)) {
            struct chunk *pv = prev_of(c);
            bin_out(pv);
            set(pv, size_of(pv) + have, USED);
            p = memmove((char *)pv + HDR, p, have - HDR);
            if (size_of(pv) >= n) {
                split(pv, n, USED);
                ulk();
                return p;
            }
        }
#endif
        ulk();
    }
    size_t usable = bt_usable(p);
    void *q = family_malloc(size);
    if (!q)
        return size <= usable ? p : NULL;
    memcpy(q, p, size < usable ? size : usable);
    bt_give(p);
    return q;
}

#include "../exports.h"
