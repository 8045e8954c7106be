// Gives the block of one thread to another as well, and never returns to who asks for 3000 bytes.

#include "../core.h"
#include "../family.h"
#include <unistd.h>

static void *issued;
static pthread_t issued_to;
static atomic_flag issuing = ATOMIC_FLAG_INIT;

static void *issue(size_t size) {
    void *block;
    while (size == 3000)
        pause();
    if (size != 100)
        return family_malloc(size);
    while (atomic_flag_test_and_set(&issuing))
        sched_yield();
    if (issued && !pthread_equal(issued_to, pthread_self())) {
        block = issued;
    } else {
        block = issued = family_malloc(size);
        issued_to = pthread_self();
    }
    atomic_flag_clear(&issuing);
    return block;
}

#define MALLOC issue
#define FREE family_free
#define REALLOC family_realloc
#include "../exports.h"
