//! Programs with threads in C: a function a list of operations, and a process a run.
//!
//! What threads do to one another shows in some runs, and now in one way, now in another. So the program asks for no single
//! operation's outcome: every block is filled with a value of its own and looked at again before it is resized or freed,
//! what `calloc` gives is looked at, and a signal or a run without end counts as well; what is left in `errno` only if that
//! is what was found. Runs are repeated, as often as the
//! finding makes it likely that one shows it.

use super::decisive::errno_constant;
use super::helpers::Need;
use super::translate::{Translator, number};
use crate::program::{Call, Condition, NO_SLOT, Op, Schedule, Section, Step, Under, sections};
use crate::shadow::{Case, Death, Evidence, Shown};
use std::collections::{BTreeMap, BTreeSet};

/// Runs for each in which the finding may be expected once: it may show less often where nothing else is checked.
const SURE: u32 = 20;
/// Runs at least, and at most.
const RUNS: (u32, u32) = (100, 1000);
/// Seconds after which no further run is begun.
const LONGEST: u64 = 10;
/// Seconds after which a run counts as one without end, and the operations that it takes a second more for.
const PATIENCE: u64 = 10;
const A_SECOND: u64 = 2000;
/// A throwing `operator new` of no more than this finds memory.
const SMALL: u64 = 1 << 30;

/// Whether the case is one for a program of this kind.
pub fn has_threads(case: &Case) -> bool {
    case.program.has_threads() || case.program.is_among_threads()
}

/// The functions before `main`, whose statements are in `t` then. `None` if the break cannot be seen so, or an operation
/// means something else there.
pub fn functions(t: &mut Translator<'_>) -> Option<String> {
    let case = t.case;
    let seen = match &case.finding.evidence {
        Evidence::Died { death, .. } => !matches!(death, Death::Exit { .. }),
        evidence => evidence.is_harm() || left_in_errno(case).is_some(),
    };
    let ops = &case.program.ops;
    // What makes no block itself is over in C before anything can happen beside it.
    if !seen || case.program.slots() == 0 || !ops.iter().all(can_be_said) {
        return None;
    }
    t.need(Need::Blocks);
    let writer = Writer {
        statements: statements(t, ops),
        ops,
        t,
        text: String::new(),
    };
    let text = writer.program();
    repeat_runs(t);
    Some(text)
}

/// What calls leave in `errno` that must leave it alone.
fn left_in_errno(case: &Case) -> Option<i32> {
    match case.finding.evidence {
        Evidence::Errno {
            before,
            after,
            wanted,
        } if wanted.is_none_or(|wanted| wanted == before) => Some(after),
        _ => None,
    }
}

/// Whether the operation means the same where several threads make such.
fn can_be_said(op: &Op) -> bool {
    match op.call {
        Call::Under => Under::of(op).is_some_and(|under| under.condition == Condition::Threads),
        Call::Thread | Call::Join | Call::AtExit | Call::Schedule => true,
        Call::Fork | Call::Wait => true,
        Call::Repeat | Call::Sweep | Call::Stretch => true,
        Call::Recallocarray => false,
        call if call.is_new() => op.size().is_some_and(|size| size <= SMALL),
        call => call.is_entry_point(),
    }
}

/// How many runs are likely to show it.
fn runs(shown: Option<Shown>) -> u32 {
    let Shown { times, of } = shown.unwrap_or(Shown { times: 0, of: 1 });
    (SURE * of / times.max(1)).clamp(RUNS.0, RUNS.1)
}

/// Adds the statements of `main`.
fn repeat_runs(t: &mut Translator<'_>) {
    t.need(Need::Runs);
    let runs = runs(t.case.shown);
    let patience = PATIENCE + t.case.program.steps() / A_SECOND;
    t.line("/* Each run in a process of its own. */");
    t.line(format!("repeat({runs}, {patience}, {LONGEST});"));
}

/// The statements of every operation. The list is one of the orders in which they may happen: in that it is followed what
/// the slots hold.
fn statements(t: &mut Translator<'_>, ops: &[Op]) -> Vec<Vec<String>> {
    let each = ops.iter().enumerate();
    each.map(|(index, op)| {
        let mut lines = statement(t, index, op);
        if let Some(left) = left_in_errno(t.case)
            && t.case.op().is_some_and(|guilty| guilty.call == op.call)
        {
            lines.insert(0, "errno = 4242;".into());
            lines.push(format!("if (errno == {})", errno_constant(left)));
            lines.push(format!(
                "    broken(\"{} left errno %d\", errno);",
                op.call.as_str()
            ));
        }
        t.follow(index, op);
        // A child has what its parent had, and the parent has it still after it.
        match op.call {
            Call::Fork => t.at_fork = Some(t.held.clone()),
            Call::Wait => t.held = t.at_fork.take().unwrap_or_default(),
            _ => {}
        }
        lines
    })
    .collect()
}

fn statement(t: &mut Translator<'_>, index: usize, op: &Op) -> Vec<String> {
    let Some(call) = t.call(op) else {
        return match (op.call, Under::of(op)) {
            (Call::Sweep, _) => vec!["/* Others may be at work: each looks at its own. */".into()],
            (_, Some(under)) => {
                t.need(Need::Crowd);
                for name in ["malloc", "calloc", "realloc", "free"] {
                    t.use_function(name);
                }
                vec![format!("start_crowd({});", number(under.number))]
            }
            _ => Vec::new(),
        };
    };
    let slot = op.slot;
    if slot == NO_SLOT {
        return vec![format!("{call};")];
    }
    let size = number(op.size().unwrap_or(0));
    let byte = Translator::byte(index, slot);
    match op.call {
        Call::PosixMemalign => {
            t.need(Need::Keep);
            let call = call.replacen("&q", &format!("&p[{slot}]"), 1);
            vec![format!(
                "keep({slot}, {call} == 0 ? p[{slot}] : NULL, {size}, {byte});"
            )]
        }
        Call::Calloc => {
            t.need(Need::Keep);
            t.need(Need::Zeroed);
            vec![format!(
                "keep({slot}, zeroed({call}, {size}), {size}, {byte});"
            )]
        }
        made if made.allocates() || made.reallocates() && t.block(slot).is_none() => {
            t.need(Need::Keep);
            vec![format!("keep({slot}, {call}, {size}, {byte});")]
        }
        made if made.reallocates() => {
            t.need(Need::Resize);
            let keeps = u8::from(made != Call::Reallocf && op.size() != Some(0));
            vec![
                format!("check({slot});"),
                format!("resized({slot}, {call}, {size}, {byte}, {keeps});"),
            ]
        }
        freed if freed.frees() => {
            t.need(Need::Check);
            vec![
                format!("check({slot});"),
                format!("{call};"),
                format!("p[{slot}] = NULL;"),
            ]
        }
        _ => vec![format!("{call};")],
    }
}

/// Where loops begin, by the position in a list of operations, and how often each goes round.
fn loops<'a>(ops: impl Iterator<Item = Option<&'a Op>>) -> BTreeMap<usize, u64> {
    let repeats = ops.enumerate().filter_map(|(at, op)| {
        let op = op.filter(|op| op.call == Call::Repeat)?;
        let length = usize::try_from(op.b).unwrap_or(usize::MAX);
        Some((at.saturating_sub(length), op.a.saturating_add(1)))
    });
    repeats.collect()
}

struct Writer<'t, 'a> {
    t: &'t mut Translator<'a>,
    ops: &'t [Op],
    statements: Vec<Vec<String>>,
    /// The functions that are complete.
    text: String,
}

impl Writer<'_, '_> {
    /// Writes the threads of all sections, and what the main one does.
    fn program(mut self) -> String {
        let sections = sections(self.ops);
        let mut shaken = 0;
        let mut schedules = self.ops.iter().filter_map(Schedule::of);
        if let Some(Schedule::Shaken(seed)) = schedules.next() {
            shaken = seed;
        }
        for (number, section) in (1..).zip(&sections) {
            self.threads(number, section, shaken);
        }
        self.main(&sections);
        self.text
    }

    fn main(&mut self, sections: &[Section]) {
        let inside = |at: usize| sections.iter().any(|it| (it.start..it.end).contains(&at));
        let own = (0..self.ops.len()).map(|at| (!inside(at)).then_some(&self.ops[at]));
        let loops = loops(own);
        if sections
            .iter()
            .any(|it| it.threads.iter().any(|list| list.rounds.len() > 1))
        {
            self.t.need(Need::Rounds);
            self.t.line("pthread_key_create(&rounds, next_round);");
        }
        let mut at = 0;
        while at < self.ops.len() {
            self.begin_loop(&loops, at);
            match (1..).zip(sections).find(|(_, it)| it.start == at) {
                Some((number, section)) => {
                    self.run_section(number, section);
                    at = section.end;
                }
                None => {
                    self.operation(at);
                    at += 1;
                }
            }
        }
        let last = self
            .ops
            .iter()
            .rfind(|op| matches!(op.call, Call::Fork | Call::Wait));
        if last.is_some_and(|op| op.call == Call::Fork) {
            self.end_child();
        }
        self.t.need(Need::CheckAll);
        self.t.line("check_all();");
        self.function("static void program(void)");
    }

    fn run_section(&mut self, number: usize, section: &Section) {
        self.t.need(Need::RunThreads);
        let names = section
            .threads
            .iter()
            .map(|list| name(number, list.number, 0));
        let names = names.collect::<Vec<String>>().join(", ");
        let count = section.threads.len();
        self.t.line(format!(
            "run_threads({count}, (void *(*const[])(void *)){{{names}}});"
        ));
        if section.end < self.ops.len() {
            self.t.need(Need::CheckAll);
            self.t.line("check_all();");
        }
    }

    /// Writes a function for each thread of a section, and before it those for what it does when it ends, last first.
    fn threads(&mut self, section: usize, of: &Section, shaken: u64) {
        let steps = of
            .threads
            .iter()
            .flat_map(|list| list.rounds.iter().flatten());
        let awaited: BTreeSet<(usize, usize)> = steps.filter_map(|step| step.after).collect();
        for (place, list) in of.threads.iter().enumerate() {
            for (round, steps) in list.rounds.iter().enumerate().rev() {
                let name = name(section, list.number, round);
                if round == 0 {
                    self.t.line("(void)unused;");
                    if shaken > 0 {
                        self.t.need(Need::Check);
                        let seed = shaken.wrapping_mul(0x1_0001).wrapping_add(list.number);
                        self.t.line(format!("shaken = {seed}u;"));
                    }
                    self.t.line("pthread_barrier_wait(&beginning);");
                }
                self.steps(place, steps, &awaited);
                if round + 1 < list.rounds.len() {
                    let next = self::name(section, list.number, round + 1);
                    self.t
                        .line(format!("pthread_setspecific(rounds, (void *){next});"));
                }
                if round == 0 {
                    self.t.line("return NULL;");
                    self.function(&format!("static void *{name}(void *unused)"));
                } else {
                    self.function(&format!("static void {name}(void)"));
                }
            }
        }
    }

    fn steps(&mut self, place: usize, steps: &[Step], awaited: &BTreeSet<(usize, usize)>) {
        let loops = loops(steps.iter().map(|step| Some(&self.ops[step.index])));
        for (at, step) in steps.iter().enumerate() {
            self.begin_loop(&loops, at);
            if let Some((other, index)) = step.after {
                self.t.need(Need::HandOver);
                self.t.line(format!("wait_for({other}, {index});"));
            }
            self.operation(step.index);
            if awaited.contains(&(place, step.index)) {
                self.t.line(format!("done({place}, {});", step.index));
            }
        }
    }

    fn begin_loop(&mut self, loops: &BTreeMap<usize, u64>, at: usize) {
        if let Some(times) = loops.get(&at) {
            self.t
                .open(format!("for (long turn = 0; turn < {times}; turn++)"));
        }
    }

    /// A child that hangs is ended: its parent's alarm is not its own.
    fn begin_child(&mut self) {
        self.t.need(Need::WaitForChild);
        self.t.open("if (fork() == 0)");
        self.t.line("alarm(5);");
    }

    fn end_child(&mut self) {
        self.t.line("_exit(0);");
        self.t.close();
        self.t.line("wait_for_child();");
    }

    fn operation(&mut self, index: usize) {
        match self.ops[index].call {
            Call::Repeat => self.t.close(),
            Call::Fork => self.begin_child(),
            Call::Wait => self.end_child(),
            _ => {}
        }
        for line in std::mem::take(&mut self.statements[index]) {
            self.t.line(line);
        }
    }

    /// Makes a function of the statements so far.
    fn function(&mut self, head: &str) {
        let lines = self.t.take_lines().join("\n");
        self.text.push_str(&format!("\n{head}\n{{\n{lines}\n}}\n"));
    }
}

/// The function of a thread of a section, or what it does in a round of destructors, from 1.
fn name(section: usize, thread: u64, round: usize) -> String {
    match round {
        0 => format!("thread_{section}_{thread}"),
        _ => format!("thread_{section}_{thread}_end_{round}"),
    }
}

/// Of the block in every slot.
pub const BLOCKS: &str = "static size_t sizes[SLOTS];\nstatic int bytes[SLOTS];\n";

pub const CHECK: &str = r#"
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
"#;

pub const CHECK_ALL: &str = r#"
static void check_all(void)
{
    for (int slot = 0; slot < SLOTS; slot++)
        check(slot);
}
"#;

pub const KEEP: &str = r#"
/* Fills a new block with a value of its own. */
static void keep(int slot, void *block, size_t size, int byte)
{
    p[slot] = fill(block, size, byte);
    sizes[slot] = size;
    bytes[slot] = byte;
    shake();
}
"#;

pub const ZEROED: &str = r#"
static void *zeroed(void *block, size_t size)
{
    size_t at = block == NULL ? size : first_wrong(block, size, 0);
    if (at < size)
        broken("calloc: byte %zu of %zu is %#x, not 0", at, size, ((unsigned char *)block)[at]);
    return block;
}
"#;

pub const RESIZE: &str = r#"
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
"#;

pub const HAND_OVER: &str = r#"
/* Lines about one block keep their order, whoever they are of. */
static void wait_for(int thread, long line)
{
    while (atomic_load(&progress[thread]) <= line)
        sched_yield();
}

static void done(int thread, long line)
{
    atomic_store(&progress[thread], line + 1);
}
"#;

pub const RUN_THREADS: &str = r#"
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
"#;

pub const ROUNDS: &str = r#"
static pthread_key_t rounds;

/* The destructor of thread-specific data: does what is next in the end of the thread. */
static void next_round(void *round)
{
    ((void (*)(void))round)();
}
"#;

pub const CROWD: &str = r#"
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
"#;

pub const RUNS_TEXT: &str = r#"
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
"#;
