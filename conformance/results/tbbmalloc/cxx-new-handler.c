/*
 * cxx-new-handler: operator new asks the new handler before it gives up
 *
 * A form of operator new that finds no memory calls the new handler and tries again, until there
 * is memory or no handler any more.
 * C++17 [new.delete.single]/4; C++17 [basic.stc.dynamic.allocation]/4
 *
 * Expected: the new handler called until there is memory, or no handler.
 * Found: no block, though there is a handler; calls of it: 0.
 *
 * cc conformance/results/tbbmalloc/cxx-new-handler.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtbbmalloc_proxy.so.2 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile _ZnwmRKSt9nothrow_t_)(size_t, const void *);

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

/* Of the C++ library, if it is there. A lookup by name might call the allocator. */
extern void (*set_new_handler(void (*)(void)))(void) __asm__("_ZSt15set_new_handlerPFvvE") __attribute__((weak));
static int asked, handled;

/* Of no use; the last time it says that there is no help. */
static void new_handler(void)
{
    if (++asked == handled) {
        handled = 0;
        set_new_handler(NULL);
    }
}

static void handle(int times)
{
    if (set_new_handler == NULL)
        not_shown();   /* there is no C++ library */
    handled = times;
    set_new_handler(new_handler);
}

int main(void)
{
    _ZnwmRKSt9nothrow_t_ = (void *(*)(size_t, const void *))dlsym(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    if (_ZnwmRKSt9nothrow_t_ == NULL) not_shown();   /* nobody provides _ZnwmRKSt9nothrow_t */
    catch_exceptions();
    handle(2);
    /* The operation in question. */
    q = _ZnwmRKSt9nothrow_t_(144115188075855872, "");
    if (q == NULL && handled)
        broken("_ZnwmRKSt9nothrow_t(144115188075855872, std::nothrow): gave up, though there is a new handler; calls of it: %d", asked);
    not_shown();
}
