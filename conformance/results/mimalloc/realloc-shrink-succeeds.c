/*
 * realloc-shrink-succeeds: shrinking does not fail
 *
 * realloc to a smaller size above 0 succeeds, also when no memory is left.
 * C17 7.22.3.5; POSIX.1-2017 realloc
 *
 * Expected: a block.
 * Found: NULL, errno ENOMEM (12).
 *
 * cc conformance/results/mimalloc/realloc-shrink-succeeds.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile malloc_)(size_t) = malloc;
static void *(*volatile realloc_)(void *, size_t) = realloc;

enum { SLOTS = 7188 };
static void *p[SLOTS];
static void *q;
static long i;

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

/* A field of /proc/self/statm in bytes: 0 is what is mapped, 1 what is resident. */
static long memory(int field)
{
    char text[128] = "", *p = text;
    int file = open("/proc/self/statm", O_RDONLY);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0)
        broken("/proc/self/statm cannot be read");
    close(file);
    long mapped = strtol(p, &p, 10), resident = strtol(p, &p, 10);
    return (field ? resident : mapped) * sysconf(_SC_PAGESIZE);
}

/* Lets the process map so many more bytes; 0 lifts the limit. */
static void limit(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = bytes ? memory(0) + bytes : limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
}

/* Takes what the limit leaves: how much that is depends on how the process began. */
static void use_up(void)
{
    for (size_t size = 1 << 20; size >= 16; size /= 4)
        for (long k = 0; k < 65536 && malloc_(size) != NULL; k++)
            ;
}

int main(void)
{
    for (i = 0; i < 4; i++)
        p[i] = fill(malloc_(100000), 100000, (0 + i) % 251 + 1);
    limit(4194304);
    for (i = 4; i < 12; i++)
        p[i] = fill(malloc_(1048576), 1048576, (185 + i) % 251 + 1);
    for (i = 12; i < 140; i++)
        p[i] = fill(malloc_(65536), 65536, (230 + i) % 251 + 1);
    for (i = 140; i < 2188; i++)
        p[i] = fill(malloc_(4096), 4096, (197 + i) % 251 + 1);
    for (i = 2188; i < 5393; i++)
        p[i] = fill(malloc_(2000), 2000, (171 + i) % 251 + 1);
    for (i = 6740; i < 7188; i++)
        p[i] = fill(malloc_(2000), 2000, (33 + i) % 251 + 1);
    /* The operation in question. */
    use_up();
    q = realloc_(p[0], 40000);
    if (q == NULL)
        broken("realloc(p[0], 40000): NULL, errno %d", errno);
    not_shown();
}
