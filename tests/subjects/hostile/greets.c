// Prints a line when it is loaded.

#include <unistd.h>

__attribute__((constructor)) static void greet(void) {
    if (write(2, "hello\n", 6) != 6)
        _exit(1);
}

#include "../core.h"
#include "../family.h"
#include "../exports.h"
