// The 1000th malloc of a process sends SIGKILL to its parent and to itself. Built with -DPARENT, only to its parent: then
// the process dies a moment later, whatever it is doing.

#include <signal.h>
#include <unistd.h>

#include "../core.h"
#include "../family.h"

static atomic_ulong calls;

static void *kill_late(size_t size) {
    if (++calls == 1000) {
        kill(getppid(), SIGKILL);
#ifndef PARENT
        kill(getpid(), SIGKILL);
#endif
    }
    return family_malloc(size);
}

#define MALLOC kill_late
#include "../exports.h"
