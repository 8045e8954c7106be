/* Hooks for an interpreter to set: they hand on what they are asked and keep the last of it. */
#include <stddef.h>

struct allocator {
    void *ctx;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
};
void PyMem_GetAllocator(int domain, struct allocator *allocator);
void PyMem_SetAllocator(int domain, struct allocator *allocator);

#define FAMILY(prefix)                                                                                                 \
    void *prefix##Malloc(size_t);                                                                                      \
    void *prefix##Calloc(size_t, size_t);                                                                              \
    void *prefix##Realloc(void *, size_t);                                                                             \
    void prefix##Free(void *);
FAMILY(PyMem_Raw)
FAMILY(PyMem_)
FAMILY(PyObject_)
#define PUBLIC(prefix) {prefix##Malloc, prefix##Calloc, prefix##Realloc, prefix##Free}
static const struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
} families[] = {PUBLIC(PyMem_Raw), PUBLIC(PyMem_), PUBLIC(PyObject_)};

static struct hook {
    struct allocator beneath;
    int asked;
    char function;
    void *block;
    size_t count, size;
} hooks[3];

static struct hook *keep(void *ctx, char function, void *block, size_t count, size_t size) {
    struct hook *hook = ctx;
    *hook = (struct hook){hook->beneath, hook->asked + 1, function, block, count, size};
    return hook;
}
static void *hook_malloc(void *ctx, size_t size) {
    struct hook *hook = keep(ctx, 'm', NULL, 1, size);
    return hook->beneath.malloc(hook->beneath.ctx, size);
}
static void *hook_calloc(void *ctx, size_t count, size_t size) {
    struct hook *hook = keep(ctx, 'c', NULL, count, size);
    return hook->beneath.calloc(hook->beneath.ctx, count, size);
}
static void *hook_realloc(void *ctx, void *block, size_t size) {
    struct hook *hook = keep(ctx, 'r', block, 1, size);
    return hook->beneath.realloc(hook->beneath.ctx, block, size);
}
static void hook_free(void *ctx, void *block) {
    struct hook *hook = keep(ctx, 'f', block, 1, 0);
    hook->beneath.free(hook->beneath.ctx, block);
}

/* Asks for blocks of a domain while a hook is set there and afterwards. The line of what was not as it has to be, or 0. */
int seen_by_hooks(int domain) {
    struct hook *hook = &hooks[domain];
    struct allocator mine = {hook, hook_malloc, hook_calloc, hook_realloc, hook_free}, got;
    int asked = 0;
#define SEEN(f, b, c, s)                                                                                               \
    if (hook->asked != ++asked || hook->function != (f) || hook->block != (b) || hook->count != (c) ||                 \
        hook->size != (s))                                                                                             \
        return __LINE__
    PyMem_GetAllocator(domain, &hook->beneath);
    PyMem_SetAllocator(domain, &mine);
    PyMem_GetAllocator(domain, &got);
    if (got.ctx != hook || got.malloc != hook_malloc || got.calloc != hook_calloc || got.realloc != hook_realloc ||
        got.free != hook_free)
        return __LINE__;
    void *block = families[domain].malloc(0);
    SEEN('m', NULL, 1, 0);
    void *resized = families[domain].realloc(block, 77);
    SEEN('r', block, 1, 77);
    void *cleared = families[domain].calloc(3, 5);
    SEEN('c', NULL, 3, 5);
    if (block == NULL || resized == NULL || cleared == NULL)
        return __LINE__;
    families[domain].free(cleared);
    SEEN('f', cleared, 1, 0);
    if (families[domain].malloc((size_t)-1 / 2 + 1) != NULL || hook->asked != asked)
        return __LINE__;
    PyMem_SetAllocator(domain, &hook->beneath);
    families[domain].free(resized);
    return hook->asked == asked ? 0 : __LINE__;
}
