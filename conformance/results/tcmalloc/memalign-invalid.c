/*
 * memalign-invalid: what memalign does with an invalid boundary
 *
 * memalign with a boundary that is not a power of two returns: NULL, or a block whose boundary is
 * up to the implementation, such as the next power of two.
 * Linux memalign(3)
 *
 * Expected: memalign returns.
 * Found: SIGSEGV at address 0x2b.
 *
 * cc conformance/results/tcmalloc/memalign-invalid.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile memalign_)(size_t, size_t) = memalign;

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

static void caught(int number)
{
    broken("signal %d in %s", number, doing);
}

/* On a stack of its own, for signals that say the stack is full. What handles SIGSYS already is a filter's. */
static void catch_signals(void)
{
    static char stack[65536];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK}, old;
    const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGALRM, SIGSYS};
    sigaltstack(&other, NULL);
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        sigaction(numbers[k], NULL, &old);
        if (numbers[k] != SIGSYS || old.sa_handler == SIG_DFL)
            sigaction(numbers[k], &action, NULL);
    }
}

int main(void)
{
    catch_signals();
    /* The operation in question. */
    doing = "memalign(SIZE_MAX, 0)";
    p0 = memalign_(SIZE_MAX, 0);
    not_shown();
}
