// The functions of BSD over the family. A subject replaces what becomes of a block that cannot be resized by defining
// REALLOCF_FAILED, and what clears memory by defining CLEAR.

#ifndef REALLOCF_FAILED
#define REALLOCF_FAILED family_free
#endif
#ifndef CLEAR
#define CLEAR(block, size) memset(block, 0, size)
#endif

void *reallocf(void *block, size_t size) {
    void *moved = family_realloc(block, size);
    if (!moved && size)
        REALLOCF_FAILED(block);
    return moved;
}

void *recallocarray(void *block, size_t old_count, size_t count, size_t size) {
    size_t bytes, old;
    if (!block)
        return family_calloc(count, size);
    if (__builtin_mul_overflow(count, size, &bytes))
        return no_memory(ENOMEM);
    if (__builtin_mul_overflow(old_count, size, &old))
        return no_memory(EINVAL);
    void *moved = family_calloc(bytes, 1);
    if (!moved)
        return NULL;
    memcpy(moved, block, old < bytes ? old : bytes);
    CLEAR(block, old);
    family_free(block);
    return moved;
}

void freezero(void *block, size_t size) {
    if (!block)
        return;
    CLEAR(block, size);
    family_free(block);
}
