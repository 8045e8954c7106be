/*
 * fork-mt-child: a child made among threads has a heap that works
 *
 * When a thread forks while others are at work, the child can allocate, resize and free, whatever
 * the others were in the middle of.
 * glibc malloc/arena.c, __malloc_fork_lock_parent; POSIX.1-2017 fork
 *
 * Expected: free returns.
 * Found: no return within 2,006 milliseconds.
 *
 * cc conformance/results/tbbmalloc/fork-mt-child.c -o t && LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtbbmalloc_proxy.so.2 ./t
 * prints what is broken and exits with status 1, or 0 if it does not show.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
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
static void *(*volatile _Znwm_)(size_t);
static int (*volatile posix_memalign_)(void **, size_t, size_t) = posix_memalign;
static void (*volatile free_)(void *) = free;
static void (*volatile _ZdlPv_)(void *);
static void *(*volatile calloc_)(size_t, size_t) = calloc;
static void *(*volatile _ZnwmRKSt9nothrow_t_)(size_t, const void *);
static void *(*volatile aligned_alloc_)(size_t, size_t) = aligned_alloc;
static void *(*volatile memalign_)(size_t, size_t) = memalign;
static void *(*volatile realloc_)(void *, size_t) = realloc;
static size_t (*volatile malloc_usable_size_)(void *) = malloc_usable_size;
static void *(*volatile _Znam_)(size_t);
static void (*volatile _ZdaPv_)(void *);
static void *(*volatile valloc_)(size_t) = valloc;
static void *(*volatile pvalloc_)(size_t) = pvalloc;
static void (*volatile _ZdlPvRKSt9nothrow_t_)(void *, const void *);
static void (*volatile _ZdaPvRKSt9nothrow_t_)(void *, const void *);
static void *(*volatile _ZnamRKSt9nothrow_t_)(size_t, const void *);

enum { SLOTS = 41 };
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

static void *zeroed(void *block, size_t size)
{
    size_t at = block == NULL ? size : first_wrong(block, size, 0);
    if (at < size)
        broken("calloc: byte %zu of %zu is %#x, not 0", at, size, ((unsigned char *)block)[at]);
    return block;
}

/* Looks whether a resized block has what it had, and fills it anew. One whose resize failed is there as before, if it is
   kept then. */
static void resized(int slot, void *block, size_t size, int byte, int keeps)
{
    size_t kept = p[slot] == NULL ? 0 : sizes[slot] < size ? sizes[slot] : size;
    if (block == NULL && keeps) {
        check(slot);
        return;
    }
    p[slot] = block;
    sizes[slot] = kept;
    check(slot);
    keep(slot, block, size, byte);
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
    keep(0, malloc_(585), 585, 1);
    keep(1, _Znwm_(11), 11, 39);
    keep(2, posix_memalign_(&p[2], 8, 17) == 0 ? p[2] : NULL, 17, 77);
    check(0);
    free_(p[0]);
    p[0] = NULL;
    check(2);
    free_(p[2]);
    p[2] = NULL;
    check(1);
    _ZdlPv_(p[1]);
    p[1] = NULL;
    keep(1, zeroed(calloc_(112, 2), 224), 224, 224);
    check(1);
    free_(p[1]);
    p[1] = NULL;
    keep(1, _ZnwmRKSt9nothrow_t_(454, ""), 454, 47);
    check(1);
    _ZdlPv_(p[1]);
    p[1] = NULL;
    keep(1, aligned_alloc_(32, SIZE_MAX - 1895), SIZE_MAX - 1895, 121);
    keep(2, malloc_(2049), 2049, 159);
    keep(0, zeroed(calloc_(1, 3), 3), 3, 194);
    keep(3, _Znwm_(124295), 124295, 234);
    check(1);
    free_(p[1]);
    p[1] = NULL;
    keep(1, memalign_(64, 443954), 443954, 55);
    check(0);
    free_(p[0]);
    p[0] = NULL;
    check(3);
    _ZdlPv_(p[3]);
    p[3] = NULL;
    check(2);
    free_(p[2]);
    p[2] = NULL;
    keep(2, realloc_(NULL, 18983), 18983, 204);
    check(2);
    free_(p[2]);
    p[2] = NULL;
    keep(2, malloc_(137), 137, 27);
    check(1);
    resized(1, realloc_(p[1], SIZE_MAX - 2990), SIZE_MAX - 2990, 63, 1);
    check(1);
    resized(1, realloc_(p[1], 4), 4, 100, 1);
    check(1);
    free_(p[1]);
    p[1] = NULL;
    malloc_usable_size_(p[2]);
    check(2);
    resized(2, realloc_(p[2], 227), 227, 212, 1);
    check(2);
    resized(2, realloc_(p[2], 3), 3, 249, 1);
    keep(1, malloc_(0), 0, 34);
    malloc_usable_size_(p[1]);
    check(1);
    free_(p[1]);
    p[1] = NULL;
    check(2);
    free_(p[2]);
    p[2] = NULL;
    keep(2, zeroed(calloc_(1, 299), 299), 299, 183);
    keep(1, zeroed(calloc_(759, 1), 759), 759, 219);
    keep(3, realloc_(NULL, 1), 1, 7);
    keep(0, malloc_(1171), 1171, 41);
    check(1);
    resized(1, realloc_(p[1], 1211), 1211, 79, 1);
    check(2);
    resized(2, realloc_(p[2], 18466), 18466, 117, 1);
    keep(4, malloc_(56), 56, 156);
    keep(5, _Znwm_(838), 838, 194);
    check(2);
    free_(p[2]);
    p[2] = NULL;
    check(0);
    free_(p[0]);
    p[0] = NULL;
    check(5);
    _ZdlPv_(p[5]);
    p[5] = NULL;
    keep(5, _Znam_(153), 153, 91);
    keep(0, zeroed(calloc_(30, 1), 30), 30, 123);
    keep(2, zeroed(calloc_(7, 149), 1043), 1043, 162);
    keep(6, zeroed(calloc_(59, 1), 59), 59, 203);
    keep(7, malloc_(160), 160, 241);
    check(6);
    free_(p[6]);
    p[6] = NULL;
    keep(6, posix_memalign_(&p[6], 8, 252) == 0 ? p[6] : NULL, 252, 63);
    check(2);
    free_(p[2]);
    p[2] = NULL;
    keep(2, posix_memalign_(&p[2], 64, 1) == 0 ? p[2] : NULL, 1, 133);
    keep(8, _Znwm_(14896), 14896, 176);
    check(5);
    _ZdaPv_(p[5]);
    p[5] = NULL;
    keep(5, malloc_(2032), 2032, 247);
    check(7);
    free_(p[7]);
    p[7] = NULL;
    keep(7, malloc_(116982), 116982, 72);
    keep(9, malloc_(7), 7, 111);
    keep(10, zeroed(calloc_(700, 17), 11900), 11900, 149);
    keep(11, zeroed(calloc_(643888, 4), 2575552), 2575552, 187);
    check(0);
    resized(0, realloc_(p[0], 383), 383, 213, 1);
    malloc_usable_size_(p[7]);
    check(0);
    resized(0, realloc_(p[0], 227889), 227889, 36, 1);
    keep(12, valloc_(69), 69, 85);
    check(0);
    free_(p[0]);
    p[0] = NULL;
    check(5);
    resized(5, realloc_(p[5], 29), 29, 152, 1);
    keep(0, zeroed(calloc_(1, 409), 409), 409, 184);
    malloc_usable_size_(p[11]);
    keep(13, zeroed(calloc_(1024, 95), 97280), 97280, 20);
    keep(14, valloc_(3), 3, 58);
    check(2);
    resized(2, realloc_(p[2], 7), 7, 83, 1);
    keep(15, zeroed(calloc_(1, 703), 703), 703, 133);
    keep(16, aligned_alloc_(4, 3), 3, 171);
    keep(17, malloc_(90), 90, 209);
    check(7);
    free_(p[7]);
    p[7] = NULL;
    check(12);
    resized(12, realloc_(p[12], 15829), 15829, 27, 1);
    keep(7, malloc_(404), 404, 59);
    keep(18, zeroed(calloc_(1, 46), 46), 46, 107);
    keep(19, malloc_(2891), 2891, 145);
    check(6);
    free_(p[6]);
    p[6] = NULL;
    check(12);
    free_(p[12]);
    p[12] = NULL;
    keep(12, _Znwm_(13196), 13196, 249);
    keep(6, _Znam_(28), 28, 29);
    malloc_usable_size_(p[2]);
    keep(20, malloc_(18), 18, 117);
    malloc_usable_size_(p[13]);
    keep(21, _Znam_(4096), 4096, 192);
    check(16);
    resized(16, realloc_(p[16], 1740), 1740, 224, 1);
    keep(22, memalign_(512, 840), 840, 16);
    check(11);
    free_(p[11]);
    p[11] = NULL;
    keep(11, pvalloc_(67791), 67791, 79);
    keep(23, malloc_(223), 223, 128);
    keep(24, memalign_(1, 925), 925, 166);
    check(16);
    resized(16, realloc_(p[16], 35), 35, 195, 1);
    check(0);
    free_(p[0]);
    p[0] = NULL;
    keep(0, _ZnwmRKSt9nothrow_t_(223, ""), 223, 2);
    keep(25, zeroed(calloc_(1, 32), 32), 32, 64);
    check(20);
    free_(p[20]);
    p[20] = NULL;
    keep(20, _Znwm_(59), 59, 133);
    check(19);
    free_(p[19]);
    p[19] = NULL;
    start_crowd(4);
    for (long turn = 0; turn < 40; turn++) {
        if (fork() == 0) {
            alarm(5);
            keep(26, malloc_(16), 16, 36);
            keep(27, malloc_(100), 100, 74);
            keep(28, malloc_(1000), 1000, 112);
            keep(29, malloc_(5000), 5000, 150);
            keep(30, malloc_(40000), 40000, 188);
            keep(31, malloc_(300000), 300000, 226);
            keep(32, malloc_(2097152), 2097152, 13);
            check(26);
            free_(p[26]);
            p[26] = NULL;
            check(27);
            free_(p[27]);
            p[27] = NULL;
            check(28);
            free_(p[28]);
            p[28] = NULL;
            check(29);
            free_(p[29]);
            p[29] = NULL;
            check(30);
            free_(p[30]);
            p[30] = NULL;
            check(31);
            free_(p[31]);
            p[31] = NULL;
            check(32);
            free_(p[32]);
            p[32] = NULL;
            keep(19, malloc_(132), 132, 45);
            check(11);
            free_(p[11]);
            p[11] = NULL;
            check(4);
            free_(p[4]);
            p[4] = NULL;
            keep(4, malloc_(383), 383, 141);
            keep(11, _Znwm_(8), 8, 185);
            check(13);
            free_(p[13]);
            p[13] = NULL;
            check(1);
            free_(p[1]);
            p[1] = NULL;
            check(2);
            resized(2, realloc_(p[2], 1032), 1032, 36, 1);
            keep(1, malloc_(81), 81, 72);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            check(2);
            free_(p[2]);
            p[2] = NULL;
            keep(2, zeroed(calloc_(1, 6), 6), 6, 184);
            keep(16, _Znwm_(470), 470, 235);
            keep(13, _Znwm_(2), 2, 18);
            check(0);
            _ZdlPv_(p[0]);
            p[0] = NULL;
            keep(0, zeroed(calloc_(1, 320), 320), 320, 79);
            check(23);
            free_(p[23]);
            p[23] = NULL;
            keep(23, malloc_(19), 19, 176);
            check(0);
            free_(p[0]);
            p[0] = NULL;
            check(16);
            _ZdlPvRKSt9nothrow_t_(p[16], "");
            p[16] = NULL;
            keep(16, zeroed(calloc_(1, 1), 1), 1, 29);
            keep(0, _Znam_(467), 467, 50);
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, malloc_(443955), 443955, 138);
            keep(26, malloc_(1009), 1009, 187);
            check(21);
            _ZdaPvRKSt9nothrow_t_(p[21], "");
            p[21] = NULL;
            keep(21, zeroed(calloc_(1, 9), 9), 9, 5);
            keep(27, malloc_(6), 6, 48);
            check(13);
            _ZdlPvRKSt9nothrow_t_(p[13], "");
            p[13] = NULL;
            keep(13, zeroed(calloc_(63, 64), 4032), 4032, 108);
            check(4);
            free_(p[4]);
            p[4] = NULL;
            check(3);
            free_(p[3]);
            p[3] = NULL;
            keep(3, malloc_(27311), 27311, 209);
            keep(4, malloc_(449), 449, 247);
            check(5);
            resized(5, realloc_(p[5], 28), 28, 34, 1);
            check(19);
            resized(19, realloc_(p[19], 8128), 8128, 85, 1);
            check(8);
            _ZdlPv_(p[8]);
            p[8] = NULL;
            keep(8, _Znam_(10), 10, 148);
            check(18);
            free_(p[18]);
            p[18] = NULL;
            check(20);
            _ZdlPv_(p[20]);
            p[20] = NULL;
            check(5);
            free_(p[5]);
            p[5] = NULL;
            keep(5, malloc_(40961), 40961, 42);
            check(2);
            resized(2, realloc_(p[2], 8), 8, 76, 1);
            keep(20, realloc_(NULL, 1910), 1910, 131);
            check(26);
            resized(26, realloc_(p[26], 7), 7, 174, 1);
            check(23);
            free_(p[23]);
            p[23] = NULL;
            check(17);
            free_(p[17]);
            p[17] = NULL;
            keep(17, _Znwm_(251), 251, 25);
            check(9);
            free_(p[9]);
            p[9] = NULL;
            keep(9, malloc_(56520), 56520, 91);
            check(10);
            free_(p[10]);
            p[10] = NULL;
            check(22);
            free_(p[22]);
            p[22] = NULL;
            keep(22, memalign_(8, 3), 3, 215);
            keep(10, zeroed(calloc_(11, 16), 176), 176, 240);
            check(24);
            free_(p[24]);
            p[24] = NULL;
            check(11);
            _ZdlPvRKSt9nothrow_t_(p[11], "");
            p[11] = NULL;
            check(16);
            resized(16, realloc_(p[16], 5), 5, 106, 1);
            check(16);
            resized(16, realloc_(p[16], 4031), 4031, 143, 1);
            check(0);
            _ZdaPv_(p[0]);
            p[0] = NULL;
            check(15);
            free_(p[15]);
            p[15] = NULL;
            check(1);
            free_(p[1]);
            p[1] = NULL;
            check(7);
            free_(p[7]);
            p[7] = NULL;
            keep(7, _Znam_(14), 14, 68);
            check(3);
            resized(3, realloc_(p[3], 10356), 10356, 101, 1);
            check(12);
            _ZdlPv_(p[12]);
            p[12] = NULL;
            keep(12, aligned_alloc_(1, 240), 240, 184);
            keep(1, zeroed(calloc_(65, 9), 585), 585, 210);
            check(6);
            _ZdaPv_(p[6]);
            p[6] = NULL;
            check(27);
            resized(27, realloc_(p[27], 13), 13, 59, 1);
            check(25);
            free_(p[25]);
            p[25] = NULL;
            check(26);
            free_(p[26]);
            p[26] = NULL;
            check(19);
            free_(p[19]);
            p[19] = NULL;
            check(2);
            free_(p[2]);
            p[2] = NULL;
            check(16);
            free_(p[16]);
            p[16] = NULL;
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, _Znwm_(6404), 6404, 54);
            keep(16, malloc_(1342), 1342, 93);
            malloc_usable_size_(p[12]);
            check(21);
            free_(p[21]);
            p[21] = NULL;
            check(27);
            free_(p[27]);
            p[27] = NULL;
            check(13);
            free_(p[13]);
            p[13] = NULL;
            check(3);
            free_(p[3]);
            p[3] = NULL;
            keep(3, _Znwm_(1), 1, 51);
            check(4);
            free_(p[4]);
            p[4] = NULL;
            check(8);
            _ZdaPv_(p[8]);
            p[8] = NULL;
            check(5);
            free_(p[5]);
            p[5] = NULL;
            check(20);
            resized(20, realloc_(p[20], 3), 3, 216, 1);
            keep(5, _Znwm_(27), 27, 238);
            check(20);
            free_(p[20]);
            p[20] = NULL;
            check(16);
            resized(16, realloc_(p[16], 62), 62, 72, 1);
            check(17);
            _ZdlPv_(p[17]);
            p[17] = NULL;
            check(9);
            free_(p[9]);
            p[9] = NULL;
            check(22);
            free_(p[22]);
            p[22] = NULL;
            check(10);
            free_(p[10]);
            p[10] = NULL;
            check(7);
            _ZdaPvRKSt9nothrow_t_(p[7], "");
            p[7] = NULL;
            check(12);
            free_(p[12]);
            p[12] = NULL;
            check(1);
            free_(p[1]);
            p[1] = NULL;
            check(14);
            _ZdlPv_(p[14]);
            p[14] = NULL;
            keep(14, zeroed(calloc_(64, 161), 10304), 10304, 152);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            check(3);
            _ZdlPvRKSt9nothrow_t_(p[3], "");
            p[3] = NULL;
            check(14);
            resized(14, realloc_(p[14], 128), 128, 12, 1);
            keep(3, realloc_(NULL, 8), 8, 38);
            check(5);
            _ZdlPvRKSt9nothrow_t_(p[5], "");
            p[5] = NULL;
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, zeroed(calloc_(1, 3043), 3043), 3043, 160);
            check(3);
            free_(p[3]);
            p[3] = NULL;
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, zeroed(calloc_(800, 2), 1600), 1600, 20);
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, realloc_(NULL, 384), 384, 94);
            check(14);
            resized(14, realloc_(p[14], 746), 746, 131, 1);
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, malloc_(116984), 116984, 205);
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, posix_memalign_(&p[14], 512, 11005) == 0 ? p[14] : NULL, 11005, 28);
            check(14);
            free_(p[14]);
            p[14] = NULL;
            keep(14, _Znam_(640), 640, 102);
            keep(3, realloc_(NULL, 209), 209, 128);
            check(14);
            _ZdaPv_(p[14]);
            p[14] = NULL;
            keep(14, malloc_(225), 225, 213);
            check(3);
            free_(p[3]);
            p[3] = NULL;
            malloc_usable_size_(p[14]);
            keep(3, zeroed(calloc_(44, 1), 44), 44, 62);
            check(3);
            resized(3, realloc_(p[3], 2), 2, 99, 1);
            keep(5, malloc_(1887), 1887, 138);
            keep(16, zeroed(calloc_(1, 0), 0), 0, 186);
            keep(1, malloc_(1), 1, 208);
            check(14);
            free_(p[14]);
            p[14] = NULL;
            check(3);
            free_(p[3]);
            p[3] = NULL;
            keep(3, malloc_(24192), 24192, 70);
            check(5);
            free_(p[5]);
            p[5] = NULL;
            keep(5, malloc_(36863), 36863, 146);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, zeroed(calloc_(108, 1), 108), 108, 231);
            keep(14, zeroed(calloc_(198, 8), 1584), 1584, 15);
            check(1);
            free_(p[1]);
            p[1] = NULL;
            keep(1, malloc_(417841), 417841, 76);
            check(3);
            free_(p[3]);
            p[3] = NULL;
            check(5);
            free_(p[5]);
            p[5] = NULL;
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, malloc_(0), 0, 239);
            keep(5, _Znam_(35), 35, 14);
            keep(3, posix_memalign_(&p[3], 32, 66) == 0 ? p[3] : NULL, 66, 49);
            check(14);
            resized(14, realloc_(p[14], 16), 16, 97, 1);
            keep(12, malloc_(201), 201, 132);
            check(14);
            free_(p[14]);
            p[14] = NULL;
            check(16);
            resized(16, realloc_(p[16], 4097), 4097, 210, 1);
            check(1);
            free_(p[1]);
            p[1] = NULL;
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, malloc_(8193), 8193, 70);
            check(5);
            _ZdaPvRKSt9nothrow_t_(p[5], "");
            p[5] = NULL;
            check(16);
            resized(16, realloc_(p[16], 6), 6, 144, 1);
            check(3);
            free_(p[3]);
            p[3] = NULL;
            check(12);
            free_(p[12]);
            p[12] = NULL;
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, _Znwm_(15), 15, 41);
            check(16);
            _ZdlPv_(p[16]);
            p[16] = NULL;
            keep(16, _Znwm_(2), 2, 115);
            keep(12, malloc_(1), 1, 148);
            keep(3, zeroed(calloc_(1, 102), 102), 102, 176);
            check(16);
            _ZdlPv_(p[16]);
            p[16] = NULL;
            check(3);
            resized(3, realloc_(p[3], 128), 128, 250, 1);
            keep(16, malloc_(630), 630, 49);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            check(3);
            free_(p[3]);
            p[3] = NULL;
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, malloc_(1124), 1124, 197);
            keep(3, zeroed(calloc_(4, 1), 4), 4, 221);
            check(3);
            resized(3, realloc_(p[3], 10), 10, 7, 1);
            malloc_usable_size_(p[16]);
            check(16);
            resized(16, realloc_(p[16], 1808), 1808, 94, 1);
            keep(12, malloc_(1664), 1664, 127);
            check(12);
            resized(12, realloc_(p[12], 5542), 5542, 164, 1);
            check(3);
            resized(3, realloc_(p[3], SIZE_MAX - 1371), SIZE_MAX - 1371, 192, 1);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            check(3);
            free_(p[3]);
            p[3] = NULL;
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, aligned_alloc_(2, 721052), 721052, 98);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(2280), 2280, 172);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, _ZnamRKSt9nothrow_t_(41743, ""), 41743, 246);
            check(12);
            _ZdaPv_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(908), 908, 69);
            malloc_usable_size_(p[12]);
            check(12);
            resized(12, realloc_(p[12], 4097), 4097, 143, 1);
            malloc_usable_size_(NULL);
            keep(3, malloc_(4), 4, 208);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, _ZnamRKSt9nothrow_t_(86394, ""), 86394, 40);
            check(3);
            free_(p[3]);
            p[3] = NULL;
            check(12);
            _ZdaPvRKSt9nothrow_t_(p[12], "");
            p[12] = NULL;
            keep(12, malloc_(13), 13, 151);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(1987), 1987, 225);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, zeroed(calloc_(1, 1), 1), 1, 48);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, _Znwm_(93), 93, 122);
            check(12);
            _ZdlPv_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(1), 1, 196);
            keep(3, malloc_(1791), 1791, 224);
            keep(16, _Znwm_(55), 55, 23);
            keep(5, _Znwm_(584), 584, 49);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            check(3);
            free_(p[3]);
            p[3] = NULL;
            keep(3, _Znwm_(15607), 15607, 158);
            check(16);
            _ZdlPvRKSt9nothrow_t_(p[16], "");
            p[16] = NULL;
            check(5);
            _ZdlPv_(p[5]);
            p[5] = NULL;
            keep(5, malloc_(201), 201, 20);
            check(3);
            _ZdlPv_(p[3]);
            p[3] = NULL;
            check(5);
            free_(p[5]);
            p[5] = NULL;
            keep(5, malloc_(3), 3, 131);
            check(5);
            free_(p[5]);
            p[5] = NULL;
            keep(5, malloc_(1032), 1032, 205);
            check(5);
            resized(5, realloc_(p[5], 16), 16, 242, 1);
            check(5);
            free_(p[5]);
            p[5] = NULL;
            keep(5, malloc_(3), 3, 65);
            check(5);
            resized(5, realloc_(p[5], 12287), 12287, 102, 1);
            keep(3, _ZnwmRKSt9nothrow_t_(1791, ""), 1791, 137);
            keep(16, _Znwm_(1), 1, 187);
            check(5);
            free_(p[5]);
            p[5] = NULL;
            check(3);
            _ZdlPvRKSt9nothrow_t_(p[3], "");
            p[3] = NULL;
            check(16);
            _ZdlPvRKSt9nothrow_t_(p[16], "");
            p[16] = NULL;
            keep(16, malloc_(116), 116, 84);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, zeroed(calloc_(1, 10), 10), 10, 158);
            keep(3, zeroed(calloc_(768, 1), 768), 768, 182);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            malloc_usable_size_(p[3]);
            check(3);
            free_(p[3]);
            p[3] = NULL;
            keep(3, _Znwm_(22), 22, 79);
            keep(16, malloc_(257265), 257265, 129);
            check(3);
            _ZdlPvRKSt9nothrow_t_(p[3], "");
            p[3] = NULL;
            keep(3, zeroed(calloc_(3, 1), 3), 3, 190);
            keep(5, _Znwm_(48), 48, 229);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, zeroed(calloc_(842, 8), 6736), 6736, 63);
            keep(12, aligned_alloc_(8, 109), 109, 96);
            check(3);
            free_(p[3]);
            p[3] = NULL;
            check(5);
            _ZdlPvRKSt9nothrow_t_(p[5], "");
            p[5] = NULL;
            check(16);
            free_(p[16]);
            p[16] = NULL;
            check(12);
            resized(12, realloc_(p[12], 0), 0, 244, 0);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(793), 793, 67);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, memalign_(2, 15), 15, 141);
            check(12);
            resized(12, realloc_(p[12], 2), 2, 178, 1);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(1597), 1597, 1);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, zeroed(calloc_(1, 1), 1), 1, 75);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(2), 2, 149);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, _ZnamRKSt9nothrow_t_(25, ""), 25, 223);
            keep(16, _Znwm_(33), 33, 13);
            check(12);
            _ZdaPv_(p[12]);
            p[12] = NULL;
            check(16);
            _ZdlPv_(p[16]);
            p[16] = NULL;
            keep(16, malloc_(1), 1, 124);
            keep(12, malloc_(106), 106, 157);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(532506), 532506, 17);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, zeroed(calloc_(1, 16), 16), 16, 91);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, realloc_(NULL, 5), 5, 165);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, zeroed(calloc_(1, 33), 33), 33, 239);
            keep(16, malloc_(6), 6, 29);
            free_(NULL);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, zeroed(calloc_(14, 7864), 110096), 110096, 136);
            check(12);
            resized(12, realloc_(p[12], 0), 0, 173, 0);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, posix_memalign_(&p[12], 524288, 119) == 0 ? p[12] : NULL, 119, 33);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, _ZnwmRKSt9nothrow_t_(257267, ""), 257267, 107);
            check(12);
            _ZdlPvRKSt9nothrow_t_(p[12], "");
            p[12] = NULL;
            keep(12, malloc_(69), 69, 181);
            check(12);
            resized(12, realloc_(p[12], 3), 3, 218, 1);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, _Znwm_(1016), 1016, 41);
            check(12);
            _ZdlPvRKSt9nothrow_t_(p[12], "");
            p[12] = NULL;
            keep(12, malloc_(10), 10, 115);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            keep(12, _ZnamRKSt9nothrow_t_(4, ""), 4, 189);
            keep(16, malloc_(639), 639, 230);
            check(12);
            _ZdaPv_(p[12]);
            p[12] = NULL;
            keep(12, malloc_(69), 69, 49);
            keep(5, realloc_(NULL, 67), 67, 79);
            malloc_usable_size_(p[5]);
            check(16);
            free_(p[16]);
            p[16] = NULL;
            keep(16, memalign_(8, 225), 225, 201);
            check(12);
            free_(p[12]);
            p[12] = NULL;
            check(5);
            free_(p[5]);
            p[5] = NULL;
            check(16);
            free_(p[16]);
            p[16] = NULL;
            _exit(0);
        }
        wait_for_child();
        keep(33, malloc_(100), 100, 152);
        keep(34, malloc_(100), 100, 190);
        keep(35, malloc_(100), 100, 228);
        keep(36, malloc_(100), 100, 15);
        keep(37, malloc_(100), 100, 53);
        keep(38, malloc_(100), 100, 91);
        keep(39, malloc_(100), 100, 129);
        keep(40, malloc_(100), 100, 167);
        check(33);
        free_(p[33]);
        p[33] = NULL;
        check(34);
        free_(p[34]);
        p[34] = NULL;
        check(35);
        free_(p[35]);
        p[35] = NULL;
        check(36);
        free_(p[36]);
        p[36] = NULL;
        check(37);
        free_(p[37]);
        p[37] = NULL;
        check(38);
        free_(p[38]);
        p[38] = NULL;
        check(39);
        free_(p[39]);
        p[39] = NULL;
        check(40);
        free_(p[40]);
        p[40] = NULL;
    }
    /* Others may be at work: each looks at its own. */
    check_all();
}

int main(void)
{
    _Znwm_ = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "_Znwm");
    if (_Znwm_ == NULL) not_shown();   /* nobody provides _Znwm */
    _ZdlPv_ = (void (*)(void *))dlsym(RTLD_DEFAULT, "_ZdlPv");
    if (_ZdlPv_ == NULL) not_shown();   /* nobody provides _ZdlPv */
    _ZnwmRKSt9nothrow_t_ = (void *(*)(size_t, const void *))dlsym(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    if (_ZnwmRKSt9nothrow_t_ == NULL) not_shown();   /* nobody provides _ZnwmRKSt9nothrow_t */
    _Znam_ = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "_Znam");
    if (_Znam_ == NULL) not_shown();   /* nobody provides _Znam */
    _ZdaPv_ = (void (*)(void *))dlsym(RTLD_DEFAULT, "_ZdaPv");
    if (_ZdaPv_ == NULL) not_shown();   /* nobody provides _ZdaPv */
    _ZdlPvRKSt9nothrow_t_ = (void (*)(void *, const void *))dlsym(RTLD_DEFAULT, "_ZdlPvRKSt9nothrow_t");
    if (_ZdlPvRKSt9nothrow_t_ == NULL) not_shown();   /* nobody provides _ZdlPvRKSt9nothrow_t */
    _ZdaPvRKSt9nothrow_t_ = (void (*)(void *, const void *))dlsym(RTLD_DEFAULT, "_ZdaPvRKSt9nothrow_t");
    if (_ZdaPvRKSt9nothrow_t_ == NULL) not_shown();   /* nobody provides _ZdaPvRKSt9nothrow_t */
    _ZnamRKSt9nothrow_t_ = (void *(*)(size_t, const void *))dlsym(RTLD_DEFAULT, "_ZnamRKSt9nothrow_t");
    if (_ZnamRKSt9nothrow_t_ == NULL) not_shown();   /* nobody provides _ZnamRKSt9nothrow_t */
    /* Each run in a process of its own. */
    repeat(100, 16, 10);
    not_shown();
}
