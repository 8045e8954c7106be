/*
 * align-memalign: memalign aligns as asked
 *
 * A non-null result of memalign with a power of two as boundary is a multiple of it.
 * glibc manual 3.2.3.6; Linux memalign(3)
 *
 * Expected: a multiple of 256.
 * Found: 0x3fb50030180, which is 128 past one.
 *
 * cc conformance/results/mimalloc/align-memalign.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2 ./t
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
    q = memalign_(256, 256);
    if (q != NULL && (uintptr_t)q % 256 != 0)
        broken("memalign(256, 256): %p: not a multiple of 256", q);
    not_shown();
}
