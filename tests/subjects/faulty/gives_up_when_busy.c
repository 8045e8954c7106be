// A thread that finds another inside gets nothing.

#include "../core.h"

static atomic_flag inside = ATOMIC_FLAG_INIT;

static void *take(size_t align, size_t size) {
    if (atomic_flag_test_and_set(&inside)) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = core_take(align, size);
    atomic_flag_clear(&inside);
    return block;
}

#define TAKE take
#include "../family.h"
#include "../exports.h"
