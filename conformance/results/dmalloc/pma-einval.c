/*
 * pma-einval: posix_memalign refuses an invalid alignment with EINVAL
 *
 * posix_memalign returns EINVAL if the alignment is not a power of two multiple of sizeof(void *).
 * POSIX.1-2017 posix_memalign
 *
 * Expected: EINVAL (22) returned.
 * Found: 0.
 *
 * cc conformance/results/dmalloc/pma-einval.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libdmalloc.so.5 ./t
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

static void *q;
static int code;
static char unset;

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
    q = &unset;
    code = posix_memalign_(&q, 9223372036854775809u, 16);
    if (code != EINVAL)
        broken("posix_memalign(&q, 9223372036854775809u, 16): returned %d, pointer %p", code, q);
    not_shown();
}
