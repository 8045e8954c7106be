//! The parts of a C program that do not depend on the program it shows: small functions and variables, each put in
//! only if it is used.

use super::{life, threads};

/// Something a C program may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// `code`: what the latest `posix_memalign` returned.
    Code,
    /// `unset`: where a pointer variable points that nobody has set.
    Unset,
    /// `at`: a pointer variable between two words.
    Guarded,
    /// `old`: the address before a realloc.
    Old,
    /// `given`: whether the allocation that another is measured against gave a block.
    Given,
    /// `usable`: the usable size just asked for.
    Usable,
    /// `start`: resident bytes when the program began.
    Start,
    /// `sizes` and `bytes`: of the block in every slot.
    Blocks,
    /// `i` counts through slots.
    Counter,
    /// `doing`: the call that is about to be made.
    Doing,
    /// `fill(block, size, byte)`.
    Fill,
    /// `first_wrong(block, size, byte)`.
    FirstWrong,
    /// `remains(block, from, size, byte)`: whether memory that must not be read any more holds what was stored.
    Remains,
    /// `overlap(a, a_size, b, b_size)`.
    Overlap,
    /// `memory(field)`: a field of `/proc/self/statm` in bytes.
    Memory,
    /// `limit(bytes)`.
    Limit,
    /// `fail_system_calls(call, nth, onwards)`.
    FailSystemCalls,
    /// `catch_exceptions()`; `attempt(statement)`, which may throw; and `must_not_throw`: the call that is about to be made
    /// and must not throw, or only what `is_allowed` says.
    Exceptions,
    /// `is_bad_alloc()`: whether what is thrown is `std::bad_alloc`.
    BadAlloc,
    /// `catch_signals()`.
    Signals,
    /// `capture()` and `captured()`.
    Capture,
    /// `provider(name)`: the file that provides a function.
    Provider,
    /// `fork` and `wait`.
    Child,
    /// `wait_for_child()`.
    WaitForChild,
    /// `sample(every)` and `climbs(field, allowed)`.
    Samples,
    /// `disturb(micros)`.
    Disturb,
    /// `pthread_cancel`.
    Cancel,
    /// `hide_proc()`.
    HideProc,
    /// `try_each(most)`, and `chosen`.
    TryEach,
    /// `handle(times)`, and `asked` and `handled`: how often the new handler was called, and whether there is one.
    NewHandler,
    /// `use_up()`.
    UseUp,
    /// `check(slot)`, and `shaken`.
    Check,
    /// `check_all()`.
    CheckAll,
    /// `keep(slot, block, size, byte)`.
    Keep,
    /// `zeroed(block, size)`.
    Zeroed,
    /// `resized(slot, block, size, byte, keeps)`.
    Resize,
    /// `run_threads(count, lists)`.
    RunThreads,
    /// `wait_for(thread, line)` and `done(thread, line)`.
    HandOver,
    /// `rounds`: the key of data whose destructor is `next_round`.
    Rounds,
    /// `start_crowd(threads)`.
    Crowd,
    /// `repeat(runs, patience, longest)`.
    Runs,
}

impl Need {
    /// Whether it is a variable, not a function.
    pub fn is_variable(self) -> bool {
        self <= Need::Doing
    }

    /// The headers it needs beyond those of every program.
    pub fn headers(self) -> &'static [&'static str] {
        match self {
            Need::Overlap | Need::Guarded => &["stdint.h"],
            Need::Fill | Need::FirstWrong => &["string.h"],
            Need::Remains => &["sys/uio.h"],
            Need::Memory => &["fcntl.h"],
            Need::Limit => &["sys/resource.h"],
            Need::FailSystemCalls => &[
                "linux/filter.h",
                "linux/seccomp.h",
                "signal.h",
                "stddef.h",
                "sys/prctl.h",
                "sys/syscall.h",
                "ucontext.h",
            ],
            Need::Signals => &["signal.h"],
            Need::Capture => &["fcntl.h"],
            Need::Exceptions => &["setjmp.h"],
            Need::BadAlloc => &["string.h"],
            Need::Provider => &["dlfcn.h", "string.h"],
            Need::Child | Need::WaitForChild => &["sys/wait.h"],
            Need::Disturb => &["signal.h", "sys/time.h"],
            Need::Cancel => &["pthread.h"],
            Need::HideProc => &["sched.h", "sys/mount.h"],
            Need::TryEach => &["sys/wait.h"],
            Need::Check => &["sched.h"],
            Need::RunThreads => &["pthread.h", "stdatomic.h"],
            Need::Rounds | Need::Crowd => &["pthread.h"],
            Need::Runs => &["sys/wait.h", "time.h"],
            _ => &[],
        }
    }

    /// What it needs in turn.
    pub fn needs(self) -> &'static [Need] {
        match self {
            Need::Limit => &[Need::Memory],
            Need::Start | Need::Samples => &[Need::Memory],
            Need::Signals => &[Need::Doing],
            Need::BadAlloc => &[Need::Exceptions],
            Need::Check => &[Need::Blocks, Need::FirstWrong],
            Need::CheckAll => &[Need::Check],
            Need::Keep => &[Need::Check, Need::Fill],
            Need::Zeroed => &[Need::FirstWrong],
            Need::Resize => &[Need::Keep],
            Need::HandOver => &[Need::RunThreads],
            Need::Runs => &[Need::Signals],
            _ => &[],
        }
    }

    /// Its declaration or definition.
    pub fn text(self) -> &'static str {
        match self {
            Need::Code => "static int code;\n",
            Need::Unset => "static char unset;\n",
            Need::Guarded => {
                "static struct { uintptr_t below; void *memptr; uintptr_t above; } at;\n"
            }
            Need::Old => "static void *old;\n",
            Need::Given => "static int given;\n",
            Need::Usable => "static size_t usable;\n",
            Need::Start => "static long start;\n",
            Need::Counter => "static long i;\n",
            Need::Doing => "static const char *volatile doing = \"an earlier call\";\n",
            Need::Fill => FILL,
            Need::FirstWrong => FIRST_WRONG,
            Need::Remains => REMAINS,
            Need::Overlap => OVERLAP,
            Need::Memory => MEMORY,
            Need::Limit => LIMIT,
            Need::FailSystemCalls => FAIL_SYSTEM_CALLS,
            Need::Exceptions => EXCEPTIONS,
            Need::BadAlloc => BAD_ALLOC,
            Need::Signals => SIGNALS,
            Need::Capture => CAPTURE,
            Need::Provider => PROVIDER,
            Need::Child | Need::Cancel => "",
            Need::WaitForChild => life::WAIT_FOR_CHILD,
            Need::Samples => life::SAMPLES,
            Need::Disturb => life::DISTURB,
            Need::HideProc => life::HIDE_PROC,
            Need::TryEach => TRY_EACH,
            Need::NewHandler => NEW_HANDLER,
            Need::UseUp => USE_UP,
            Need::Blocks => threads::BLOCKS,
            Need::Check => threads::CHECK,
            Need::CheckAll => threads::CHECK_ALL,
            Need::Keep => threads::KEEP,
            Need::Zeroed => threads::ZEROED,
            Need::Resize => threads::RESIZE,
            Need::RunThreads => threads::RUN_THREADS,
            Need::HandOver => threads::HAND_OVER,
            Need::Rounds => threads::ROUNDS,
            Need::Crowd => threads::CROWD,
            Need::Runs => threads::RUNS_TEXT,
        }
    }
}

/// What every program has: its voice.
pub const VOICE: &str = r#"
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
"#;

const FILL: &str = r#"
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
"#;

const FIRST_WRONG: &str = r#"
/* The offset of the first byte that has not this value, or the size; looks where fill has stored. */
static size_t first_wrong(const void *block, size_t size, int byte)
{
    const volatile unsigned char *p = block;
    for (size_t at = 0; at < size; at++)
        if ((at < (64 << 20) || at % 4096 < 64) && p[at] != byte)
            return at;
    return size;
}
"#;

const REMAINS: &str = r#"
/* Whether 16 bytes in a row of a block that is gone still have this value. The kernel reads them: they may not be there. */
static int remains(void *block, size_t from, size_t size, int byte)
{
    static unsigned char there[4096];
    int run = 0;
    for (size_t at = from; at < size; at += sizeof there) {
        size_t length = size - at < sizeof there ? size - at : sizeof there;
        struct iovec to = {there, length}, of = {(char *)block + at, length};
        ssize_t read = process_vm_readv(getpid(), &to, 1, &of, 1, 0);
        for (ssize_t k = 0; k < read; k++)
            if ((run = there[k] == byte ? run + 1 : 0) == 16)
                return 1;
        if (read < (ssize_t)length)
            run = 0;
    }
    return 0;
}
"#;

const OVERLAP: &str = r#"
static int overlap(const void *a, size_t a_size, const void *b, size_t b_size)
{
    uintptr_t from = (uintptr_t)a, other = (uintptr_t)b;
    return from < other + (b_size ? b_size : 1) && other < from + (a_size ? a_size : 1);
}
"#;

const MEMORY: &str = r#"
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
"#;

const LIMIT: &str = r#"
/* Lets the process map so many more bytes; 0 lifts the limit. */
static void limit(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = bytes ? memory(0) + bytes : limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
}
"#;

const FAIL_SYSTEM_CALLS: &str = r#"
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
"#;

const TRY_EACH: &str = r#"
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
"#;

const NEW_HANDLER: &str = r#"
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
"#;

const USE_UP: &str = r#"
/* Takes what the limit leaves: how much that is depends on how the process began. */
static void use_up(void)
{
    for (size_t size = 1 << 20; size >= 16; size /= 4)
        for (long k = 0; k < 65536 && malloc_(size) != NULL; k++)
            ;
}
"#;

const EXCEPTIONS: &str = r#"
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
"#;

const BAD_ALLOC: &str = r#"
/* Type information (Itanium C++ ABI, 2.9.5). Before the functions of a kind of types stands the type of the kind. */
struct type { const struct type *const *functions; const char *name; };
struct single { struct type own; const struct type *base; };
struct several { struct type own; unsigned flags, count; struct { const struct type *of; long flags; } bases[]; };
extern const struct type *type_thrown(void) __asm__("__cxa_current_exception_type") __attribute__((weak));

/* Whether std::bad_alloc is this type, or a public base of it. */
static int is_or_has(const struct type *of)
{
    const char *kind = of->functions[-1] != NULL ? of->functions[-1]->name : "";
    const struct several *several = (const void *)of;
    if (strcmp(of->name, "St9bad_alloc") == 0)
        return 1;
    if (strcmp(kind, "N10__cxxabiv120__si_class_type_infoE") == 0)
        return is_or_has(((const struct single *)of)->base);
    if (strcmp(kind, "N10__cxxabiv121__vmi_class_type_infoE") != 0)
        return 0;
    for (unsigned k = 0; k < several->count; k++)
        if ((several->bases[k].flags & 2) && is_or_has(several->bases[k].of))
            return 1;
    return 0;
}

static int is_bad_alloc(void)
{
    const struct type *of = type_thrown != NULL ? type_thrown() : NULL;
    return of != NULL && is_or_has(of);
}
"#;

const SIGNALS: &str = r#"
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
"#;

const CAPTURE: &str = r#"
static int ends[2], kept[2];

/* From here on, standard output and standard error lead into a pipe. */
static void capture(void)
{
    if (pipe2(ends, O_NONBLOCK) != 0)
        broken("no pipe");
    for (int file = 1; file <= 2; file++) {
        kept[file - 1] = dup(file);
        dup2(ends[1], file);
    }
}

/* Puts them back; the number of bytes that came. */
static long captured(void)
{
    static char text[256];
    for (int file = 1; file <= 2; file++)
        dup2(kept[file - 1], file);
    return read(ends[0], text, sizeof text);
}
"#;

const PROVIDER: &str = r#"
/* The file that provides a function, or "nobody". */
static const char *provider(const char *name)
{
    Dl_info info;
    void *function = dlsym(RTLD_DEFAULT, name);
    return function != NULL && dladdr(function, &info) ? info.dli_fname : "nobody";
}
"#;
