/* Runs the script of lockstep.rs on a real CPython (3.11 to 3.13, release build, GIL) and prints what became of it:
 *
 *     cc -O1 -shared -fPIC $(python3.13-config --includes) lockstep.c -o lockstep.so
 *     python3.13 -c 'import ctypes; ctypes.PyDLL("./lockstep.so").run()'
 *
 * The interpreter's own arenas are used up first, by failing requests for more; from then on every block of the script
 * lies in an arena that the hook below puts where lockstep.rs puts it.
 */
#include <Python.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define ARENA ((size_t)1 << 20)
#define PLACES 64
#define TURNS 200000

static PyMemAllocatorEx raw;
static PyObjectArenaAllocator arenas;
static char *region;
static char taken[PLACES];
static int refuse, fell_back, mappings;
static uint64_t state = 7, hash = 0xcbf29ce484222325u;
static void *held[TURNS];

static void note(uint64_t value)
{
    for (int byte = 0; byte < 8; byte++) {
        hash = (hash ^ (value >> 8 * byte & 0xff)) * 0x100000001b3u;
    }
}

static size_t any(size_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % below;
}

static void *raw_malloc(void *context, size_t size)
{
    fell_back = 1;
    return raw.malloc(raw.ctx, size);
}
static void *raw_calloc(void *context, size_t count, size_t size) { return raw.calloc(raw.ctx, count, size); }
static void *raw_realloc(void *context, void *block, size_t size) { return raw.realloc(raw.ctx, block, size); }
static void raw_free(void *context, void *block) { raw.free(raw.ctx, block); }

static void *arena_alloc(void *context, size_t size)
{
    if (refuse || size != ARENA) {
        return NULL;
    }
    for (int place = 0; place < PLACES; place++) {
        if (!taken[place]) {
            taken[place] = 1;
            mappings++;
            return region + place * ARENA;
        }
    }
    return NULL;
}

static void arena_free(void *context, void *base, size_t size)
{
    size_t place = ((uintptr_t)base - (uintptr_t)region) / ARENA;
    if (place < PLACES) {
        taken[place] = 0;
        note((uint64_t)1 << 63 | place);
    }
}

static void note_block(void *block)
{
    size_t offset = (uintptr_t)block - (uintptr_t)region;
    note(offset < PLACES * ARENA ? offset : UINT64_MAX);
}

void run(void)
{
    PyMemAllocatorEx raw_hook = {NULL, raw_malloc, raw_calloc, raw_realloc, raw_free};
    PyObjectArenaAllocator arena_hook = {NULL, arena_alloc, arena_free};
    size_t count = 0;
    char *map = mmap(NULL, (PLACES + 1) * ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    region = (char *)(((uintptr_t)map + ARENA - 1) & ~(ARENA - 1));
    PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &raw);
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &raw_hook);
    PyObject_GetArenaAllocator(&arenas);
    PyObject_SetArenaAllocator(&arena_hook);
    refuse = 1;
    for (size_t size = 512; size > 0; size -= 16) {
        for (fell_back = 0; !fell_back;) {
            PyObject_Malloc(size);
        }
    }
    refuse = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        int growing = turn / 30000 % 2 == 0;
        size_t kind = any(10);
        size_t size = any(4) == 0 ? any(700) : 1 + any(512);
        size_t chosen = count == 0 ? 0 : any(count);
        if (kind < 2 && count > 0) {
            held[chosen] = PyObject_Realloc(held[chosen], size);
            note_block(held[chosen]);
        } else if (kind < 2 || (kind < 8) == growing) {
            held[count] = PyObject_Malloc(size);
            note_block(held[count++]);
        } else if (count > 0) {
            PyObject_Free(held[chosen]);
            held[chosen] = held[--count];
        }
    }
    PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &raw);
    printf("%s: %zu blocks, %d arenas, %#llx\n", Py_GetVersion(), count, mappings, (unsigned long long)hash);
    fflush(stdout);
    _exit(0);
}
