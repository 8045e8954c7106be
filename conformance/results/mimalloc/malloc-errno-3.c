/*
 * malloc-errno: a call that fails for want of memory sets ENOMEM
 *
 * malloc, calloc, realloc and aligned_alloc that return NULL because the space cannot be had set
 * errno to ENOMEM.
 * POSIX.1-2017 malloc, calloc, realloc, ERRORS; Linux malloc(3)
 *
 * Expected: errno ENOMEM (12).
 * Found: errno unchanged.
 *
 * cc conformance/results/mimalloc/malloc-errno-3.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2 ./t
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
static void *(*volatile realloc_)(void *, size_t) = realloc;

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
    q = realloc_(NULL, 9223372036854775808u);
    if (q == NULL && errno != ENOMEM)
        broken("realloc(NULL, 9223372036854775808u): errno %d", errno);
    not_shown();
}
