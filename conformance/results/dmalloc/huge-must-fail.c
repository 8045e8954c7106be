/*
 * huge-must-fail: a size that no address space holds is refused
 *
 * A request that no address space of the machine can hold returns NULL; a form of operator new
 * without std::nothrow throws std::bad_alloc.
 * C17 7.22.3p1; POSIX.1-2017 malloc
 *
 * Expected: NULL.
 * Found: a block at 0x7ffff7ec9ff0.
 *
 * cc conformance/results/dmalloc/huge-must-fail.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libdmalloc.so.5 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile malloc_)(size_t) = malloc;
static void *(*volatile realloc_)(void *, size_t) = realloc;

static void *p0;
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

/* Stores a byte value in a block: in 64 MiB of it, and beyond that at the start of every page and at the end. */
static void *fill(void *block, size_t size, int byte)
{
    const size_t whole = size < (64 << 20) ? size : 64 << 20;
    char *p = block;
    if (p == NULL)
        return NULL;
    memset(p, byte, whole);
    for (size_t at = whole; at < size; at += 4096)
        memset(p + at, byte, size - at < 64 ? size - at : 64);
    if (size > whole + 64)
        memset(p + size - 64, byte, 64);
    return p;
}

int main(void)
{
    p0 = fill(malloc_(16), 16, 1);
    /* The operation in question. */
    q = realloc_(p0, SIZE_MAX);
    if (q != NULL)
        broken("realloc(p0, SIZE_MAX): %p: must fail", q);
    not_shown();
}
