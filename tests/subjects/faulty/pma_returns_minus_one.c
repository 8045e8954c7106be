// posix_memalign reports failure as malloc does: -1 and errno.

#include "../core.h"
#include "../family.h"

static int pma_unix(void **out, size_t align, size_t size) {
    int error = family_posix_memalign(out, align, size);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

#define POSIX_MEMALIGN pma_unix
#include "../exports.h"
