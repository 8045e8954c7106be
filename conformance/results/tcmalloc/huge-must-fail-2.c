/*
 * huge-must-fail: a size that no address space holds is refused
 *
 * A request that no address space of the machine can hold returns NULL; a form of operator new
 * without std::nothrow throws std::bad_alloc.
 * C17 7.22.3p1; POSIX.1-2017 malloc
 *
 * Expected: NULL.
 * Found: a block at 0x55555643c008.
 *
 * cc conformance/results/tcmalloc/huge-must-fail-2.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile memalign_)(size_t, size_t) = memalign;

static void *q;

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

int main(void)
{
    /* The operation in question. */
    q = memalign_(3, SIZE_MAX);
    if (q != NULL)
        broken("memalign(3, SIZE_MAX): %p: must fail", q);
    not_shown();
}
