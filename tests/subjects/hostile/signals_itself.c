// Sends itself the signal of a fault, once, at the first request for 5000 bytes.

#include <signal.h>
#include <unistd.h>

#include "../core.h"
#include "../family.h"

static atomic_flag sent = ATOMIC_FLAG_INIT;

static void *send_signal(size_t size) {
    if (size == 5000 && !atomic_flag_test_and_set(&sent))
        kill(getpid(), SIGSEGV);
    return family_malloc(size);
}

#define MALLOC send_signal
#include "../exports.h"
