/*
 * errno-success: a successful call leaves errno alone
 *
 * A call that succeeds leaves errno as it was.
 * C17 7.5p3
 *
 * Expected: errno unchanged.
 * Found: errno ENOENT (2).
 *
 * cc conformance/results/mimalloc/errno-success.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2 ./t
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
static void *(*volatile malloc_)(size_t) = malloc;

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
    errno = 4242;
    q = malloc_(16);
    if (q != NULL && errno != 4242)
        broken("malloc(16): errno %d", errno);
    not_shown();
}
