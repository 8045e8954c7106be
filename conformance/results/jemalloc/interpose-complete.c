/*
 * interpose-complete: every allocation function is replaced
 *
 * A library that replaces malloc also defines aligned_alloc, posix_memalign, memalign, valloc,
 * pvalloc and malloc_usable_size, so that no call falls through to the C library's own heap.
 * glibc manual, Replacing malloc
 *
 * Found: does not define pvalloc: the C library would serve it from another heap.
 *
 * cc conformance/results/jemalloc/interpose-complete.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Speaks by write(2): nothing may allocate but the calls in main. */
__attribute__((format(printf, 2, 3)))
static void say(const char *verdict, const char *format, ...)
{
    static char line[512];
    va_list arguments;
    int length = snprintf(line, 64, "%s", verdict);
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - 64, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    if (write(1, line, length) < 0)
        _exit(3);
}

#define broken(...) (say("broken: ", __VA_ARGS__), _exit(1))
#define not_shown() (say("not shown", "%s", ""), _exit(0))

/* The file that provides a function, or "nobody". */
static const char *provider(const char *name)
{
    Dl_info info;
    void *function = dlsym(RTLD_DEFAULT, name);
    return function != NULL && dladdr(function, &info) ? info.dli_fname : "nobody";
}

int main(void)
{
    if (strcmp(provider("reallocarray"), provider("malloc")) != 0)
        broken("reallocarray is from %s, malloc from %s", provider("reallocarray"), provider("malloc"));
    if (strcmp(provider("pvalloc"), provider("malloc")) != 0)
        broken("pvalloc is from %s, malloc from %s", provider("pvalloc"), provider("malloc"));
    if (strcmp(provider("malloc_trim"), provider("malloc")) != 0)
        broken("malloc_trim is from %s, malloc from %s", provider("malloc_trim"), provider("malloc"));
    not_shown();
}
