// The 50th calloc stops its own process, as a debugger would.

#include "../core.h"
#include "../family.h"

#include <signal.h>

static atomic_ulong calls;

static void *stop(size_t count, size_t size) {
    if (++calls == 50)
        raise(SIGSTOP);
    return family_calloc(count, size);
}

#define CALLOC stop
#include "../exports.h"
