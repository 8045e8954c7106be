/*
 * usable-ge: the usable size is at least the requested one
 *
 * malloc_usable_size of a live block is at least the size last requested for it.
 * Linux malloc_usable_size(3)
 *
 * Expected: 1 B or more.
 * Found: 0 B.
 *
 * cc conformance/results/tcmalloc/usable-ge.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile malloc_)(size_t) = malloc;
static size_t (*volatile malloc_usable_size_)(void *) = malloc_usable_size;

static void *p0;
static size_t usable;

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

static void early(void)
{
    p0 = fill(malloc_(1), 1, 38);
    /* The operation in question. */
    usable = malloc_usable_size_(p0);
    if (usable < 1)
        broken("malloc_usable_size(p0): %zu", usable);
    not_shown();
}

__attribute__((section(".preinit_array"), used))
static void (*const first)(void) = early;

int main(void)
{
}
