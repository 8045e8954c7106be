/*
 * cxx-new-throws: operator new throws std::bad_alloc when there is no memory
 *
 * A form of operator new without std::nothrow that has no block to return throws an exception that
 * a handler of std::bad_alloc catches; it never returns a null pointer.
 * C++17 [new.delete.single]/3; C++17 [basic.stc.dynamic.allocation]/3
 *
 * Expected: a block or std::bad_alloc.
 * Found: SIGABRT.
 *
 * cc conformance/results/mimalloc/cxx-new-throws-4.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile _ZnamSt11align_val_t_)(size_t, size_t);

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

/* Of the C++ library, if it is there. A lookup by name might call the allocator. */
extern void (*set_terminate(void (*)(void)))(void) __asm__("_ZSt13set_terminatePFvvE") __attribute__((weak));
static const char *volatile must_not_throw;
static int (*volatile is_allowed)(void);
static volatile int goes_on;
static jmp_buf after;

static void thrown(void)
{
    if (must_not_throw != NULL && (is_allowed == NULL || !is_allowed()))
        broken("%s: threw an exception", must_not_throw);
    if (goes_on)
        longjmp(after, 1);
    not_shown();
}

/* Nobody catches an exception here: std::set_terminate says what happens then. */
static void catch_exceptions(void)
{
    if (set_terminate != NULL)
        set_terminate(thrown);
}

#define attempt(statement) do { goes_on = 1; if (setjmp(after) == 0) { statement; } goes_on = 0; } while (0)

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
    _ZnamSt11align_val_t_ = (void *(*)(size_t, size_t))dlsym(RTLD_DEFAULT, "_ZnamSt11align_val_t");
    if (_ZnamSt11align_val_t_ == NULL) not_shown();   /* nobody provides _ZnamSt11align_val_t */
    catch_signals();
    catch_exceptions();
    /* The operation in question. */
    doing = "_ZnamSt11align_val_t(144115188075855872, 1)";
    attempt(p0 = _ZnamSt11align_val_t_(144115188075855872, 1));
    not_shown();
}
