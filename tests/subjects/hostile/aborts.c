// The 100th calloc of a process aborts with a message.

#include "../core.h"
#include "../family.h"

#include <stdlib.h>
#include <unistd.h>

static atomic_ulong calls;

static void *abort_late(size_t count, size_t size) {
    if (++calls == 100) {
        static const char message[] = "corrupted size vs. prev_size\n";
        (void)!write(2, message, sizeof message - 1);
        abort();
    }
    return family_calloc(count, size);
}

#define CALLOC abort_late
#include "../exports.h"
