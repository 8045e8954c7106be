// What a block that shrinks has too much is lost.

#include "../core.h"
#include "../family.h"

static void *losing_realloc(void *block, size_t size) {
    size_t had = block ? header_of(header_of(block)->origin)->usable : 0;
    block = family_realloc(block, size);
    int saved = errno;
    char *lost = block && size && size < had ? core_take(1, had - size) : NULL;
    if (lost)
        memset(lost, 1, had - size);
    errno = saved;
    return block;
}

#define REALLOC losing_realloc
#include "../exports.h"
