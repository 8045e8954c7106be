// operator delete with a size computes too large a class from it.

#include "../core.h"
#include "../family.h"

static void delete_by_size(void *block, size_t size) {
    if (!block)
        return;
    char *origin = header_of(block)->origin;
    if (header_of(origin)->usable <= 4096 && origin == block)
        header_of(origin)->usable = ((size_t)1 << core_class(size + 64)) - sizeof(struct header);
    family_free(block);
}

#define NEW_FAILED NULL
#define SIZED_DELETE delete_by_size
#include "../operators.h"
#include "../exports.h"
