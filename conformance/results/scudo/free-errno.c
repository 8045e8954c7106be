/*
 * free-errno: free leaves errno alone
 *
 * free of a valid or null pointer does not change errno.
 * Linux free(3)
 *
 * Expected: errno unchanged.
 * Found: errno EAGAIN (11).
 *
 * cc conformance/results/scudo/free-errno.c -o t && LD_PRELOAD=/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.scudo_standalone-x86_64.so ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Called through volatile pointers, so that no compiler knows what they do. */
static void *(*volatile malloc_)(size_t) = malloc;
static void (*volatile free_)(void *) = free;

enum { SLOTS = 15 };
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

static pthread_barrier_t beginning;
static atomic_long progress[8];

/* Runs each list in a thread, all from one moment on, and waits until they have ended. */
static void run_threads(int count, void *(*const lists[])(void *))
{
    pthread_t threads[8];
    pthread_barrier_init(&beginning, NULL, count);
    for (int k = 0; k < count; k++) {
        atomic_store(&progress[k], 0);
        if (pthread_create(&threads[k], NULL, lists[k], NULL) != 0)
            _exit(0);
    }
    for (int k = 0; k < count; k++)
        pthread_join(threads[k], NULL);
    pthread_barrier_destroy(&beginning);
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

static void *thread_1_1(void *unused)
{
    (void)unused;
    shaken = 65602538u;
    pthread_barrier_wait(&beginning);
    for (long turn = 0; turn < 143; turn++) {
        keep(0, malloc_(1000), 1000, 75);
        keep(1, malloc_(1000), 1000, 113);
        keep(2, malloc_(1000), 1000, 151);
        keep(3, malloc_(1000), 1000, 189);
        keep(4, malloc_(1000), 1000, 227);
        errno = 4242;
        check(0);
        free_(p[0]);
        p[0] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(1);
        free_(p[1]);
        p[1] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(2);
        free_(p[2]);
        p[2] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(3);
        free_(p[3]);
        p[3] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(4);
        free_(p[4]);
        p[4] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
    }
    return NULL;
}

static void *thread_1_2(void *unused)
{
    (void)unused;
    shaken = 65602539u;
    pthread_barrier_wait(&beginning);
    for (long turn = 0; turn < 143; turn++) {
        keep(5, malloc_(1000), 1000, 22);
        keep(6, malloc_(1000), 1000, 60);
        keep(7, malloc_(1000), 1000, 98);
        keep(8, malloc_(1000), 1000, 136);
        keep(9, malloc_(1000), 1000, 174);
        errno = 4242;
        check(5);
        free_(p[5]);
        p[5] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(6);
        free_(p[6]);
        p[6] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(7);
        free_(p[7]);
        p[7] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(8);
        free_(p[8]);
        p[8] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(9);
        free_(p[9]);
        p[9] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
    }
    return NULL;
}

static void *thread_1_3(void *unused)
{
    (void)unused;
    shaken = 65602540u;
    pthread_barrier_wait(&beginning);
    for (long turn = 0; turn < 143; turn++) {
        keep(10, malloc_(1000), 1000, 220);
        keep(11, malloc_(1000), 1000, 7);
        keep(12, malloc_(1000), 1000, 45);
        keep(13, malloc_(1000), 1000, 83);
        keep(14, malloc_(1000), 1000, 121);
        errno = 4242;
        check(10);
        free_(p[10]);
        p[10] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(11);
        free_(p[11]);
        p[11] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(12);
        free_(p[12]);
        p[12] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(13);
        free_(p[13]);
        p[13] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
        errno = 4242;
        check(14);
        free_(p[14]);
        p[14] = NULL;
        if (errno == EAGAIN)
            broken("free left errno %d", errno);
    }
    return NULL;
}

static void program(void)
{
    run_threads(3, (void *(*const[])(void *)){thread_1_1, thread_1_2, thread_1_3});
    check_all();
}

int main(void)
{
    /* Each run in a process of its own. */
    repeat(228, 12, 10);
    not_shown();
}
