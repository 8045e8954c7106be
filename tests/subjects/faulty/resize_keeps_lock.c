// A block that is large and cannot grow where it is, for what lies behind it, is moved, and the lock stays closed.

#include "../core.h"
#include "../family.h"
#define LARGE ((size_t)1 << 17)

static lock_t own;

static void *resize(void *block, size_t size) {
    if (!block || size < LARGE || core_usable(block) < LARGE || size <= core_usable(block))
        return family_realloc(block, size);
    int saved = errno;
    lock(&own);
    char *behind = (char *)block + core_usable(block);
    void *probe = mmap(behind, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    errno = saved;
    if (probe == MAP_FAILED)
        return family_realloc(block, size);
    munmap(probe, PAGE);
    unlock(&own);
    return family_realloc(block, size);
}

#define REALLOC resize
#include "../exports.h"
