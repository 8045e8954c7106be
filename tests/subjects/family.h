// The C family of functions over a core: `TAKE(align, size)`, `GIVE(block)`, `USABLE(block)` and `FRESH(block)`, which are
// those of `core.h` unless the subject defines others. An alignment of 1 asks for what the size needs. Policies that the documents leave open are macros:
// ZERO_IS_NULL, REALLOC_ZERO_FREES, REALLOC_MOVES.

#ifndef FAMILY_H
#define FAMILY_H

#ifndef TAKE
#define TAKE core_take
#endif
#ifndef GIVE
#define GIVE core_give
#endif
#ifndef USABLE
#define USABLE core_usable
#endif
#ifndef FRESH
#define FRESH core_fresh
#endif

static void *no_memory(int error) {
    errno = error;
    return NULL;
}

static int power_of_two(size_t n) { return n && !(n & (n - 1)); }

static void *family_aligned(size_t align, size_t size) {
#ifdef ZERO_IS_NULL
    if (!size)
        return NULL;
#endif
    if (align > PTRDIFF_MAX || size > PTRDIFF_MAX - align)
        return no_memory(ENOMEM);
    void *block = TAKE(align, size ? size : 1);
    return block ? block : no_memory(ENOMEM);
}

static void *family_malloc(size_t size) { return family_aligned(1, size); }

static void family_free(void *block) {
    if (block)
        GIVE(block);
}

static void *family_calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return no_memory(ENOMEM);
    void *block = family_malloc(bytes);
    if (block && !FRESH(block))
        memset(block, 0, bytes);
    return block;
}

static void *family_realloc(void *block, size_t size) {
    if (!block)
        return family_malloc(size);
#ifdef REALLOC_ZERO_FREES
    if (!size) {
        family_free(block);
        return NULL;
    }
#endif
    if (!size)
        size = 1;
    size_t usable = USABLE(block);
#ifndef REALLOC_MOVES
    if (size <= usable)
        return block;
#endif
    void *moved = family_malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, block, size < usable ? size : usable);
    family_free(block);
    return moved;
}

static void *family_reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return no_memory(ENOMEM);
    return family_realloc(block, bytes);
}

static void *family_aligned_alloc(size_t align, size_t size) {
    return power_of_two(align) ? family_aligned(align, size) : no_memory(EINVAL);
}

static void *family_memalign(size_t align, size_t size) { return family_aligned_alloc(align, size); }

static int family_posix_memalign(void **out, size_t align, size_t size) {
    if (!power_of_two(align) || align % sizeof(void *))
        return EINVAL;
    int saved = errno;
    void *block = family_aligned(align, size);
    errno = saved;
#ifdef ZERO_IS_NULL
    if (!size)
        *out = NULL;
    if (!size)
        return 0;
#endif
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

static void *family_valloc(size_t size) { return family_aligned(4096, size); }

static void *family_pvalloc(size_t size) {
    if (size > PTRDIFF_MAX)
        return no_memory(ENOMEM);
    return family_aligned(4096, (size + 4095) / 4096 * 4096);
}

static size_t family_usable_size(void *block) { return block ? USABLE(block) : 0; }

#endif
