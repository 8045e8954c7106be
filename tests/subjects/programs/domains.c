/* CPython's functions without an interpreter: what hooks see, typed helpers, other names, and the debug layer. */
#include "allocspec_pymalloc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what); \
            exit(1); \
        } \
    } while (0)

static struct seen {
    PyMemAllocatorEx beneath;
    size_t calls, last_size;
    void *last_block;
} seen[3];

static void *note_malloc(void *ctx, size_t size) {
    struct seen *it = ctx;
    it->calls++, it->last_size = size;
    return it->beneath.malloc(it->beneath.ctx, size);
}
static void *note_calloc(void *ctx, size_t count, size_t size) {
    struct seen *it = ctx;
    it->calls++, it->last_size = count * size;
    return it->beneath.calloc(it->beneath.ctx, count, size);
}
static void *note_realloc(void *ctx, void *block, size_t size) {
    struct seen *it = ctx;
    it->calls++, it->last_size = size, it->last_block = block;
    return it->beneath.realloc(it->beneath.ctx, block, size);
}
static void note_free(void *ctx, void *block) {
    struct seen *it = ctx;
    it->calls++, it->last_block = block;
    it->beneath.free(it->beneath.ctx, block);
}

static void *plain_malloc(void *ctx, size_t size) { (void)ctx; return malloc(size ? size : 1); }
static void *plain_calloc(void *ctx, size_t count, size_t size) {
    (void)ctx;
    return count && size ? calloc(count, size) : calloc(1, 1);
}
static void *plain_realloc(void *ctx, void *block, size_t size) { (void)ctx; return realloc(block, size ? size : 1); }
static void plain_free(void *ctx, void *block) { (void)ctx; free(block); }

static size_t arenas;
static PyObjectArenaAllocator default_arenas;
static void *note_arena(void *ctx, size_t size) {
    CHECK(ctx == &arenas && size == 1 << 20);
    arenas++;
    return default_arenas.alloc(default_arenas.ctx, size);
}
static void note_arena_free(void *ctx, void *base, size_t size) {
    CHECK(ctx == &arenas && size == 1 << 20);
    default_arenas.free(default_arenas.ctx, base, size);
}

static void debug_layer_ends_this(void) {
    PyMem_SetupDebugHooks();
    PyMem_SetupDebugHooks();
    unsigned char *block = PyMem_Malloc(16);
    CHECK(block[0] == 0xcd && block[-8] == 'm' && block[-9] == 16 && block[16] == 0xfd);
    CHECK(seen[1].last_size == 40);
    block[16] = 'x';
    PyMem_Free(block);
}

int main(void) {
    /* A hook on the raw domain that calls malloc, though malloc is this library's as well. */
    PyMemAllocatorEx plain = { NULL, plain_malloc, plain_calloc, plain_realloc, plain_free };
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &plain);
    for (int domain = 0; domain < 3; domain++) {
        PyMem_GetAllocator(domain, &seen[domain].beneath);
        PyMemAllocatorEx note = { &seen[domain], note_malloc, note_calloc, note_realloc, note_free };
        PyMem_SetAllocator(domain, &note);
    }
    PyObject_GetArenaAllocator(&default_arenas);
    PyObjectArenaAllocator note = { &arenas, note_arena, note_arena_free };
    PyObject_SetArenaAllocator(&note);

    PyMemAllocatorEx none;
    PyMem_GetAllocator(7, &none);
    CHECK(!none.ctx && !none.malloc && !none.calloc && !none.realloc && !none.free);
    PyMem_SetAllocator(7, &none);

    char *small = PyObject_Malloc(42);
    CHECK(small && seen[2].last_size == 42 && arenas == 1);
    strcpy(small, "kept");
    small = PyObject_Realloc(small, 600);
    CHECK(!strcmp(small, "kept") && seen[0].last_size == 600);
    PyObject_Free(small);
    CHECK(seen[2].last_block == small && seen[0].last_block == small);
    CHECK(!PyObject_Malloc((size_t)PTRDIFF_MAX + 1) && seen[2].last_size != (size_t)PTRDIFF_MAX + 1);
    void *raw = PyMem_RawMalloc(0), *other = PyMem_RawCalloc(0, 7);
    CHECK(raw && other && raw != other);
    PyMem_RawFree(raw);
    PyMem_RawFree(other);

    int *numbers = PyMem_New(int, 10);
    CHECK(numbers && seen[1].last_size == 40);
    CHECK(!PyMem_New(int, PTRDIFF_MAX / 4 + 1) && seen[1].last_size == 40);
    PyMem_Resize(numbers, int, 20);
    CHECK(numbers && seen[1].last_size == 80);
    int *saved = numbers;
    PyMem_Resize(numbers, int, PTRDIFF_MAX / 4 + 1);
    CHECK(!numbers && seen[1].last_size == 80);
    PyMem_Free(saved);

    size_t before = seen[1].calls;
    void *p = PyMem_MALLOC(1);
    p = PyMem_REALLOC(p, 2);
    PyMem_FREE(p);
    PyMem_Del(PyMem_NEW(char, 3));
    p = PyMem_NEW(char, 3);
    PyMem_RESIZE(p, char, 4);
    PyMem_DEL(p);
    CHECK(seen[1].calls == before + 8);
    before = seen[2].calls;
    p = PyObject_MALLOC(1);
    p = PyObject_REALLOC(p, 2);
    PyObject_FREE(p);
    PyObject_Del(PyObject_Calloc(1, 1));
    PyObject_DEL(PyObject_Malloc(1));
    CHECK(seen[2].calls == before + 7);

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        debug_layer_ends_this();
        return 0;
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == 6);
    puts("done");
    return 0;
}
