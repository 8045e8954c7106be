// Ends the process with status 3 when it is loaded.

#include <unistd.h>

__attribute__((constructor)) static void start(void) {
    _exit(3);
}

#include "../core.h"
#include "../family.h"
#include "../exports.h"
