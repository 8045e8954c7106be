/*
 * aligned-alloc-nonmultiple: aligned_alloc takes sizes that are no multiple of the alignment
 *
 * aligned_alloc with a size that is not a multiple of the alignment supplies that many bytes, so
 * aligned, where it supplies the next multiple.
 * C17 7.22.3.1
 *
 * Expected: a block, like the allocation before it.
 * Found: NULL, errno EINVAL (22).
 *
 * cc conformance/results/scudo/aligned-alloc-nonmultiple.c -o t && LD_PRELOAD=/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.scudo_standalone-x86_64.so ./t
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
static void *(*volatile aligned_alloc_)(size_t, size_t) = aligned_alloc;
static void (*volatile free_)(void *) = free;

static void *p0;
static void *q;
static int given;

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
    p0 = fill(aligned_alloc_(8, 8), 8, 1);
    given = p0 != NULL;
    free_(p0);
    /* The operation in question. */
    q = aligned_alloc_(8, 1);
    if (given && q == NULL)
        broken("aligned_alloc(8, 1): NULL, errno %d", errno);
    not_shown();
}
