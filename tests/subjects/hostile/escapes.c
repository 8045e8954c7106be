// Starts a child when it is loaded that leaves group, session and parent and lives for a minute; built with -DEXITS, the
// process then ends itself.

#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void start_child(void) {
    for (int twice = 0; twice < 2; twice++)
        if (fork() == 0) {
            setsid();
            if (twice && fork() != 0)
                _exit(0);
            sleep(60);
            _exit(0);
        }
#ifdef EXITS
    _exit(3);
#endif
}

#include "../core.h"
#include "../family.h"
#include "../exports.h"
