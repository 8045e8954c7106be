/*
 * fork-mt-child: a child made among threads has a heap that works
 *
 * When a thread forks while others are at work, the child can allocate, resize and free, whatever
 * the others were in the middle of.
 * glibc malloc/arena.c, __malloc_fork_lock_parent; POSIX.1-2017 fork
 *
 * Expected: free returns.
 * Found: no return within 408 milliseconds.
 *
 * cc conformance/results/dmalloc/fork-mt-child.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libdmalloc.so.5 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile malloc_)(size_t) = malloc;
static void *(*volatile calloc_)(size_t, size_t) = calloc;
static void *(*volatile realloc_)(void *, size_t) = realloc;
static void (*volatile free_)(void *) = free;

enum { SLOTS = 1 };
static void *p[SLOTS];
static size_t sizes[SLOTS];
static int bytes[SLOTS];
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

/* The offset of the first byte that has not this value, or the size; looks where fill has stored. */
static size_t first_wrong(const void *block, size_t size, int byte)
{
    const volatile unsigned char *p = block;
    for (size_t at = 0; at < size; at++)
        if ((at < (64 << 20) || at % 4096 < 64) && p[at] != byte)
            return at;
    return size;
}

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

/* What becomes of the child becomes of the parent: it has told what is broken, unless a signal ended it. */
static void wait_for_child(void)
{
    int status = 0;
    wait(&status);
    if (WIFSIGNALED(status))
        broken("the child died of signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        _exit(WEXITSTATUS(status));
}

static __thread unsigned long shaken;

/* Pauses now and then if the thread is one that does, so that threads meet in ever other ways. */
static void shake(void)
{
    unsigned kind;
    if (shaken == 0)
        return;
    shaken = shaken * 6364136223846793005u + 1442695040888963407u;
    kind = shaken >> 59;
    if (kind == 0)
        usleep(5);
    else if (kind < 5)
        sched_yield();
    else if (kind < 13)
        for (volatile unsigned left = (shaken >> 32) % 300; left > 0; left--)
            ;
}

/* Looks whether the block still has what was stored in it: nobody else may store there while it lives. */
static void check(int slot)
{
    size_t at = p[slot] == NULL ? sizes[slot] : first_wrong(p[slot], sizes[slot], bytes[slot]);
    if (at < sizes[slot])
        broken("byte %zu of p%d is %#x, not %#x as stored", at, slot, ((unsigned char *)p[slot])[at], bytes[slot]);
    shake();
}

static void check_all(void)
{
    for (int slot = 0; slot < SLOTS; slot++)
        check(slot);
}

/* Fills a new block with a value of its own. */
static void keep(int slot, void *block, size_t size, int byte)
{
    p[slot] = fill(block, size, byte);
    sizes[slot] = size;
    bytes[slot] = byte;
    shake();
}

/* Works beside the program to its end: makes, resizes and frees blocks of its own. */
static void *work(void *number)
{
    static const size_t choices[2][16] = {
        {16, 100, 600, 48, 3000, 24, 200, 1000, 32, 64, 400, 20000, 80, 16, 256, 300000},
        {9000, 40000, 300000, 16, 20000, 5000, 2097152, 70000, 12000, 150000, 30000, 1000, 600000, 8000, 100000, 1048576},
    };
    const size_t *choice = choices[(uintptr_t)number % 4 == 0];
    unsigned char *blocks[24] = {NULL}, *made;
    size_t has[24] = {0};
    unsigned long random = (uintptr_t)number;
    for (;;) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t k = (random >> 33) % 24, size = choice[random >> 40 & 15], kind = random >> 50 & 7;
        int own = 1 + ((uintptr_t)number * 24 + k) % 251;
        if (blocks[k] != NULL && (blocks[k][0] != own || blocks[k][has[k] - 1] != own))
            broken("a block of %zu bytes of a thread beside the program was changed", has[k]);
        if (blocks[k] != NULL && kind < 5) {
            free_(blocks[k]);
            blocks[k] = NULL;
            continue;
        }
        made = blocks[k] != NULL ? realloc_(blocks[k], size) : kind == 5 ? calloc_(1, size) : malloc_(size);
        if (made == NULL)
            continue;
        made[0] = made[size - 1] = own;
        blocks[k] = made;
        has[k] = size;
    }
    return NULL;
}

static void start_crowd(int threads)
{
    pthread_t thread;
    for (intptr_t number = 1; number <= threads; number++)
        if (pthread_create(&thread, NULL, work, (void *)number) != 0)
            _exit(0);
}

static void program(void);

/* Runs the program so many times, but begins no run after so many seconds. A run must end within its patience. */
static void repeat(int runs, unsigned patience, long longest)
{
    time_t end = time(NULL) + longest;
    while (runs-- > 0 && time(NULL) < end) {
        int status = 0;
        if (fork() == 0) {
            catch_signals();
            doing = "one of the threads";
            alarm(patience);
            program();
            _exit(0);
        }
        wait(&status);
        if (WIFSIGNALED(status))
            broken("signal %d", WTERMSIG(status));
        if (WEXITSTATUS(status) != 0)
            _exit(WEXITSTATUS(status));
    }
}

static void program(void)
{
    keep(0, malloc_(100), 100, 1);
    start_crowd(4);
    if (fork() == 0) {
        alarm(5);
        check(0);
        free_(p[0]);
        p[0] = NULL;
        _exit(0);
    }
    wait_for_child();
    check_all();
}

int main(void)
{
    /* Each run in a process of its own. */
    repeat(133, 10, 10);
    not_shown();
}
