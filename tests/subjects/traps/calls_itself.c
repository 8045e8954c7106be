// The prefixed calloc and realloc call malloc and free by their C names: their own ones, unless another library's come first.

#define PREFIX tp_
#include "../core.h"
#include "../family.h"

#define EXPORT __attribute__((visibility("default"), noinline))
EXPORT void *malloc(size_t size) { return family_malloc(size); }
EXPORT void free(void *block) { family_free(block); }

static void *calloc_by_malloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return no_memory(ENOMEM);
    void *block = malloc(bytes);
    if (block && !core_fresh(block))
        memset(block, 0, bytes);
    return block;
}

static void *realloc_by_malloc(void *block, size_t size) {
    void *moved = malloc(size);
    if (block && moved) {
        size_t usable = core_usable(block);
        memcpy(moved, block, size < usable ? size : usable);
        free(block);
    }
    return moved;
}

#define CALLOC calloc_by_malloc
#define REALLOC realloc_by_malloc
#include "../exports.h"
