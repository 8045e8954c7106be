// Crashes when it is loaded.

#include <unistd.h>

__attribute__((constructor)) static void start(void) {
    *(volatile int *)16 = 0;
}

#include "../core.h"
#include "../family.h"
#include "../exports.h"
