/*
 * cxx-nothrow-null: operator new with std::nothrow returns NULL when there is no memory
 *
 * A form of operator new that is told std::nothrow returns a block or a null pointer; nothing is
 * thrown.
 * C++17 [new.delete.single]/7; C++17 [new.delete.array]
 *
 * Expected: new_nothrow returns.
 * Found: SIGABRT; it said "Scudo ERROR: internal map failure (NO MEMORY) requesting 132KB".
 *
 * cc conformance/results/scudo/cxx-nothrow-null.c -o t && LD_PRELOAD=/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.scudo_standalone-x86_64.so ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile _ZnwmRKSt9nothrow_t_)(size_t, const void *);

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

static long failing, onwards;
static unsigned long nth, seen;
static char *end_of_data;
extern char passed[];

/* Makes a system call from the one place where the filter stops none. */
__attribute__((noinline, noclone))
static long pass(long call, const greg_t *r)
{
    long result = call;
    register long r10 __asm__("r10") = r[REG_R10];
    register long r8 __asm__("r8") = r[REG_R8];
    register long r9 __asm__("r9") = r[REG_R9];
    __asm__ volatile("syscall\n\t.globl passed\npassed:"
                     : "+a"(result)
                     : "D"(r[REG_RDI]), "S"(r[REG_RSI]), "d"(r[REG_RDX]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* Answers for a system call that was stopped. brk says where the data segment ends; that it shrinks cannot fail. */
static void answer(int number, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    long call = info->si_syscall;
    int counts = (failing < 0 || failing == call) && !(call == SYS_brk && (char *)r[REG_RDI] <= end_of_data);
    (void)number;
    if (counts && (++seen == nth || (onwards && nth && seen > nth))) {
        r[REG_RAX] = call == SYS_brk ? (greg_t)end_of_data : -ENOMEM;
        return;
    }
    r[REG_RAX] = pass(call, r);
    if (call == SYS_brk)
        end_of_data = (char *)r[REG_RAX];
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define EQUAL(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), skip, 0)

/* The nth of these system calls from here on fails, and all after it if so wished; -1 is any, and the 0th is none. */
static void fail_system_calls(long call, unsigned long number, int all_after)
{
    static greg_t nothing[NGREG];
    static int ready;
    struct sock_filter filter[] = {
        LOAD(instruction_pointer), EQUAL((uintptr_t)passed, 7), LOAD(nr),
        EQUAL(SYS_mmap, 6), EQUAL(SYS_brk, 5), EQUAL(SYS_mremap, 4),
        EQUAL(SYS_munmap, 3), EQUAL(SYS_madvise, 2), EQUAL(SYS_mprotect, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO};
    end_of_data = (char *)pass(SYS_brk, nothing);
    failing = call;
    nth = number;
    onwards = all_after;
    seen = 0;
    if (ready++)
        return;
    sigaction(SIGSYS, &action, NULL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        broken("no filter of system calls can be had here");
}

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

static unsigned long chosen;

/* Which system call it takes depends on how the process began: each has a child, until one shows what is broken. */
static void try_each(unsigned long most)
{
    for (chosen = 1; chosen <= most; chosen++) {
        int status = 0;
        if (fork() == 0)
            return;
        wait(&status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
            _exit(1);
    }
    not_shown();
}

int main(void)
{
    _ZnwmRKSt9nothrow_t_ = (void *(*)(size_t, const void *))dlsym(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    if (_ZnwmRKSt9nothrow_t_ == NULL) not_shown();   /* nobody provides _ZnwmRKSt9nothrow_t */
    try_each(64);
    catch_exceptions();
    fail_system_calls(-1, chosen, 0);
    /* The operation in question. */
    catch_signals();
    doing = "_ZnwmRKSt9nothrow_t(131057, std::nothrow)";
    p0 = fill(_ZnwmRKSt9nothrow_t_(131057, ""), 131057, 38);
    _exit(77);
}
