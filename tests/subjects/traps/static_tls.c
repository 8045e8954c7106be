// Keeps 64 KiB of every thread in the static TLS block, which has no room for so much once a process runs.

#include "../core.h"
#include "../family.h"

static _Thread_local volatile char cache[64 << 10] __attribute__((tls_model("initial-exec")));

#define EACH_CALL (void)cache[sizeof cache - 1]++
#include "../exports.h"
