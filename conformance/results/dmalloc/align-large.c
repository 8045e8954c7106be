/*
 * align-large: posix_memalign takes every power of two
 *
 * Every power of two that is a multiple of sizeof(void *) is a valid alignment to posix_memalign:
 * the call supplies a block so aligned or returns ENOMEM, however large the alignment.
 * POSIX.1-2017 posix_memalign
 *
 * Expected: a multiple of 8192.
 * Found: 0x7ffff7ec9000, which is 4096 past one.
 *
 * cc conformance/results/dmalloc/align-large.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libdmalloc.so.5 ./t
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
static int (*volatile posix_memalign_)(void **, size_t, size_t) = posix_memalign;

static void *p0;
static void *q;
static int code;

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
    for (int again = 0; again < 64; again++) {
        code = posix_memalign_(&q, 8192, 1);
        if (code == 0 && (uintptr_t)q % 8192 != 0)
            broken("posix_memalign(&q, 8192, 1): %p: not a multiple of 8192", q);
        if (code == 0) p0 = q;
    }
    not_shown();
}
