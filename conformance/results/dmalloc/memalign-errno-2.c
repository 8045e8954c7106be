/*
 * memalign-errno: memalign, valloc and pvalloc that fail set errno
 *
 * memalign, valloc and pvalloc that return NULL for a size above 0 set errno, to ENOMEM when the
 * space cannot be had and to EINVAL when the boundary is invalid.
 * glibc manual 3.2.3.6
 *
 * Expected: errno ENOMEM (12).
 * Found: errno unchanged.
 *
 * cc conformance/results/dmalloc/memalign-errno-2.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libdmalloc.so.5 ./t
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
static void *(*volatile valloc_)(size_t) = valloc;

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
    q = valloc_(144115188075855872);
    if (q == NULL && errno != ENOMEM)
        broken("valloc(144115188075855872): errno %d", errno);
    not_shown();
}
