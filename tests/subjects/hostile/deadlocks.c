// The 200th free waits for a lock that nobody will open.

#include "../core.h"
#include "../family.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_ulong frees;
static int closed = 1;

static void deadlock(void *block) {
    if (++frees == 200)
        for (;;)
            syscall(SYS_futex, &closed, FUTEX_WAIT, 1, NULL);
    family_free(block);
}

#define FREE deadlock
#include "../exports.h"
