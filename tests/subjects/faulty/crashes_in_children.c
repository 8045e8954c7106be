// Crashes in children, and ignores the signal that tells how they end.

#include "../core.h"
#include <signal.h>
#define TAKE take_in_parents
static void *take_in_parents(size_t align, size_t size);
#include "../family.h"

static int worked, is_child;

static void enter_child(void) { is_child = worked; }

__attribute__((constructor)) static void start(void) { pthread_atfork(NULL, NULL, enter_child); }

static void *take_in_parents(size_t align, size_t size) {
    signal(SIGCHLD, SIG_IGN);
    // Only in children of a process that has come so far: the harness has children of its own.
    if (is_child)
        *(volatile int *)8 = 1;
    worked |= size == 12345;
    return core_take(align, size);
}

#include "../exports.h"
