// A large block that another thread frees than made it waits for its maker, which never looks.

#include "../core.h"
#define TAKE owned_take
#define GIVE owned_give
#define USABLE owned_usable

#define LARGE ((size_t)1 << 20)

static __thread char me __attribute__((tls_model("initial-exec")));

// The owner of a large block stands at its end.
static char **owner_of(void *block) { return (char **)((char *)block + core_usable(block) / 8 * 8) - 1; }

static int is_owned(void *block) { return header_of(block)->origin == block && core_usable(block) >= LARGE; }

static void *owned_take(size_t align, size_t size) {
    void *block = core_take(align, size + sizeof(char *));
    if (block && is_owned(block))
        *owner_of(block) = &me;
    return block;
}

static size_t owned_usable(void *block) { return core_usable(block) / 8 * 8 - sizeof(char *); }

static void owned_give(void *block) {
    if (!is_owned(block) || *owner_of(block) == &me)
        core_give(block);
}

#include "../family.h"
#include "../exports.h"
