// Every 1,024th block that is freed is lost.

#include "../core.h"
#define GIVE give_most

static void give_most(void *block) {
    static atomic_ulong given;
    if (atomic_fetch_add(&given, 1) % 1024 != 1023)
        core_give(block);
}

#include "../family.h"
#include "../exports.h"
