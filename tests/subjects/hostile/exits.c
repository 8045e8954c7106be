// The 50th realloc ends the process as if all were well.

#include "../core.h"
#include "../family.h"

#include <unistd.h>

static atomic_ulong calls;

static void *leave(void *block, size_t size) {
    if (++calls == 50)
        _exit(0);
    return family_realloc(block, size);
}

#define REALLOC leave
#include "../exports.h"
