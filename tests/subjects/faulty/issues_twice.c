// Every 100th malloc returns the block of the call before it, if that still lives.

#include "../core.h"
#include "../family.h"

static void *last;
static size_t calls;

static void *issue(size_t size) {
    if (++calls % 100 == 0 && last && core_usable(last) >= size)
        return last;
    return last = family_malloc(size);
}

static void forget(void *block) {
    if (block == last)
        last = NULL;
    family_free(block);
}

static void *forget_and_resize(void *block, size_t size) {
    last = NULL;
    return family_realloc(block, size);
}

#define MALLOC issue
#define FREE forget
#define REALLOC forget_and_resize
#include "../exports.h"
