/*
 * cxx-aligned: operator new aligns as asked
 *
 * A form of operator new that is told an alignment returns a block at a multiple of it, whether or
 * not the size is one; up to that of a page it does not fail where there is memory.
 * C++17 [new.delete.single]/1; C++17 [basic.stc.dynamic.allocation]/2
 *
 * Expected: a multiple of 256.
 * Found: 0x3fb50030180, which is 128 past one.
 *
 * cc conformance/results/mimalloc/cxx-aligned.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2 ./t
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
static void *(*volatile _ZnwmSt11align_val_t_)(size_t, size_t);

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

int main(void)
{
    _ZnwmSt11align_val_t_ = (void *(*)(size_t, size_t))dlsym(RTLD_DEFAULT, "_ZnwmSt11align_val_t");
    if (_ZnwmSt11align_val_t_ == NULL) not_shown();   /* nobody provides _ZnwmSt11align_val_t */
    catch_exceptions();
    /* The operation in question. */
    q = _ZnwmSt11align_val_t_(256, 256);
    if (q != NULL && (uintptr_t)q % 256 != 0)
        broken("_ZnwmSt11align_val_t(256, 256): %p: not a multiple of 256", q);
    not_shown();
}
