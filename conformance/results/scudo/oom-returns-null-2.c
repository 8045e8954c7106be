/*
 * oom-returns-null: when memory runs out the call returns NULL
 *
 * If the space cannot be allocated, the call returns a null pointer, posix_memalign an error
 * number; it does not crash, abort or hang.
 * C17 7.22.3p1; POSIX.1-2017 malloc
 *
 * Expected: malloc returns.
 * Found: SIGABRT; it said "Scudo ERROR: internal map failure (NO MEMORY) requesting 188743680KB".
 *
 * cc conformance/results/scudo/oom-returns-null-2.c -o t && LD_PRELOAD=/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.scudo_standalone-x86_64.so ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile malloc_)(size_t) = malloc;

static void *p0;
static const char *volatile doing = "an earlier call";

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

static void caught(int number)
{
    broken("signal %d in %s", number, doing);
}

/* On a stack of its own, for signals that say the stack is full. */
static void catch_signals(void)
{
    static char stack[65536];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK};
    const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGALRM, SIGSYS};
    sigaltstack(&other, NULL);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        sigaction(numbers[k], &action, NULL);
}

int main(void)
{
    catch_signals();
    limit(16777216);
    /* The operation in question. */
    doing = "malloc(16)";
    p0 = fill(malloc_(16), 16, 38);
    not_shown();
}
