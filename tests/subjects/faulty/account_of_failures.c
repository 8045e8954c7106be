// Aligned requests that fail stay in the account of what is mapped, and beyond 8 GiB nothing large is to be had.

#include "../core.h"
#define TAKE counted_take
#define GIVE counted_give

#define LARGE ((size_t)1 << LARGEST)
#define MOST ((size_t)8 << 30)

static atomic_size_t mapped;

static void *counted_take(size_t align, size_t size) {
    if (size <= LARGE)
        return core_take(align, size);
    if (size > MOST || mapped > MOST)
        return NULL;
    mapped += size;
    char *block = core_take(align, size);
    if (block)
        mapped += header_of(header_of(block)->origin)->usable - size;
    else if (align <= 16)
        mapped -= size;
    return block;
}

static void counted_give(void *block) {
    size_t usable = header_of(header_of(block)->origin)->usable;
    if (usable > LARGE)
        mapped -= usable < mapped ? usable : mapped;
    core_give(block);
}

#include "../family.h"
#include "../exports.h"
