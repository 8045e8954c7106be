/*
 * aligned-alloc-invalid: aligned_alloc refuses what is no alignment
 *
 * aligned_alloc returns NULL if the alignment is 0 or not a power of two.
 * C17 7.22.3.1
 *
 * Expected: NULL.
 * Found: a block at 0x55555643e010.
 *
 * cc conformance/results/tcmalloc/aligned-alloc-invalid.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile aligned_alloc_)(size_t, size_t) = aligned_alloc;

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
    q = aligned_alloc_(0, 16);
    if (q != NULL)
        broken("aligned_alloc(0, 16): %p: must fail", q);
    not_shown();
}
