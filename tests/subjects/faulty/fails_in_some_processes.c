// In one process of eight, free crashes in every thread but the main one.

#include "../core.h"
#include "../family.h"
#include <unistd.h>

static void free_in_luck(void *block) {
    if (gettid() != getpid() && getpid() % 8 == 0)
        *(volatile int *)8 = 1;
    family_free(block);
}

#define FREE free_in_luck
#include "../exports.h"
