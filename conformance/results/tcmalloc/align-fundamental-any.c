/*
 * align-fundamental-any: every result is aligned for every fundamental type
 *
 * The result of malloc, calloc and realloc is aligned for every type with fundamental alignment,
 * that is to _Alignof(max_align_t), however small the request.
 * C17 7.22.3p1; POSIX.1-2017 malloc
 *
 * Expected: a multiple of 16.
 * Found: 0x55555643c008, which is 8 past one.
 *
 * cc conformance/results/tcmalloc/align-fundamental-any.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4 ./t
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
    q = malloc_(1);
    if (q != NULL && (uintptr_t)q % 16 != 0)
        broken("malloc(1): %p: not a multiple of 16", q);
    not_shown();
}
