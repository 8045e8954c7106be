// The exported functions, each with `EACH_CALL` before it. A subject replaces one by defining its name in capitals as
// another function, leaves one out by defining OMIT_ and that name, and renames all by defining PREFIX.

#ifndef EACH_CALL
#define EACH_CALL
#endif
#ifdef PREFIX
#define JOIN(prefix, name) prefix##name
#define EXPAND(prefix, name) JOIN(prefix, name)
#define FN(name) EXPAND(PREFIX, name)
#else
#define FN(name) name
#endif

#ifndef MALLOC
#define MALLOC family_malloc
#endif
#ifndef CALLOC
#define CALLOC family_calloc
#endif
#ifndef REALLOC
#define REALLOC family_realloc
#endif
#ifndef FREE
#define FREE family_free
#endif
#ifndef REALLOCARRAY
#define REALLOCARRAY family_reallocarray
#endif
#ifndef ALIGNED_ALLOC
#define ALIGNED_ALLOC family_aligned_alloc
#endif
#ifndef POSIX_MEMALIGN
#define POSIX_MEMALIGN family_posix_memalign
#endif
#ifndef MEMALIGN
#define MEMALIGN family_memalign
#endif
#ifndef VALLOC
#define VALLOC family_valloc
#endif
#ifndef PVALLOC
#define PVALLOC family_pvalloc
#endif
#ifndef USABLE_SIZE
#define USABLE_SIZE family_usable_size
#endif

void *FN(malloc)(size_t size) {
    EACH_CALL;
    return MALLOC(size);
}
#ifndef OMIT_CALLOC
void *FN(calloc)(size_t count, size_t size) {
    EACH_CALL;
    return CALLOC(count, size);
}
#endif
#ifndef OMIT_REALLOC
void *FN(realloc)(void *block, size_t size) {
    EACH_CALL;
    return REALLOC(block, size);
}
#endif
#ifndef OMIT_FREE
void FN(free)(void *block) {
    EACH_CALL;
    FREE(block);
}
#endif
#ifndef OMIT_FREE_SIZED
void FN(free_sized)(void *block, size_t size) {
    EACH_CALL;
    (void)size;
    FREE(block);
}
void FN(free_aligned_sized)(void *block, size_t align, size_t size) {
    EACH_CALL;
    (void)align, (void)size;
    FREE(block);
}
#endif
#ifndef OMIT_REALLOCARRAY
void *FN(reallocarray)(void *block, size_t count, size_t size) {
    EACH_CALL;
    return REALLOCARRAY(block, count, size);
}
#endif
#ifndef OMIT_ALIGNED_ALLOC
void *FN(aligned_alloc)(size_t align, size_t size) {
    EACH_CALL;
    return ALIGNED_ALLOC(align, size);
}
#endif
#ifndef OMIT_POSIX_MEMALIGN
int FN(posix_memalign)(void **out, size_t align, size_t size) {
    EACH_CALL;
    return POSIX_MEMALIGN(out, align, size);
}
#endif
#ifndef OMIT_MEMALIGN
void *FN(memalign)(size_t align, size_t size) {
    EACH_CALL;
    return MEMALIGN(align, size);
}
#endif
#ifndef OMIT_VALLOC
void *FN(valloc)(size_t size) {
    EACH_CALL;
    return VALLOC(size);
}
#endif
#ifndef OMIT_PVALLOC
void *FN(pvalloc)(size_t size) {
    EACH_CALL;
    return PVALLOC(size);
}
#endif
#ifndef OMIT_USABLE_SIZE
size_t FN(malloc_usable_size)(void *block) {
    EACH_CALL;
    return USABLE_SIZE(block);
}
#endif
#ifndef OMIT_TRIM
int FN(malloc_trim)(size_t pad) {
    EACH_CALL;
    (void)pad;
    return 0;
}
#endif
