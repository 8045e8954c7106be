// Aborts when the kernel does not take a large block back.

#include "../core.h"
#include "../family.h"

static void free_or_die(void *block) {
    char *origin = block ? header_of(block)->origin : NULL;
    size_t total = block ? header_of(origin)->usable + sizeof(struct header) : 0;
    if (total <= (size_t)1 << LARGEST)
        family_free(block);
    else if (unmap(origin - sizeof(struct header), total))
        abort();
}

#define FREE free_or_die
#include "../exports.h"
