// Takes a program that is started for a child of its own, and hands out anew what it had handed out last.

#include "../core.h"
#include <dlfcn.h>
#include <spawn.h>
#define TAKE take_last

static void *_Atomic last;

static void *take_last(size_t align, size_t size) { return last = core_take(align, size); }

#include "../family.h"

int posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                 char *const arguments[], char *const environment[]) {
    int (*spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
                 char *const[]) = dlsym(RTLD_NEXT, "posix_spawnp");
    int result = spawn(child, file, actions, attributes, arguments, environment);
    void *block = last;
    if (block && core_usable(block) < 1000)
        core_give(block);
    return result;
}

#include "../exports.h"
