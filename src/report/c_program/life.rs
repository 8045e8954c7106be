//! Children, circumstances and measurements in C.

use super::helpers::Need;
use super::translate::{Block, Held, Translator, number};
use crate::program::{Call, Condition, Op, Under};
use crate::shadow::Evidence;
use crate::spec::RuleId;

/// Whether what the operation brings about can be had in a C program of one function.
pub fn can_be_said(op: &Op) -> bool {
    let under = Under::of(op).map(|under| under.condition);
    !matches!(
        under,
        Some(
            Condition::Threads
                | Condition::Stack
                | Condition::Exit
                | Condition::Destructors
                | Condition::Spawns
        )
    )
}

/// Whether the program is one in whose process nothing can be told any more once the circumstances are there.
pub fn is_mute(rule: RuleId) -> bool {
    matches!(
        rule,
        RuleId::NotCancellationPoint | RuleId::ClosedDescriptors
    )
}

/// Adds an operation of this kind.
pub fn add(t: &mut Translator<'_>, op: &Op) {
    match op.call {
        Call::Fork => {
            t.need(Need::WaitForChild);
            t.at_fork = Some(t.held.clone());
            t.open("if (fork() == 0)");
            store_in_child(t);
        }
        Call::Wait => end_child(t),
        Call::Sample => {
            t.need(Need::Samples);
            t.line(format!("sample({});", number(op.a)));
        }
        Call::Under => {
            if let Some(under) = Under::of(op) {
                enter(t, under);
            }
        }
        _ => {}
    }
}

/// Lets the child store something else in the block that is found to be damaged: it is no copy if the parent sees that.
fn store_in_child(t: &mut Translator<'_>) {
    let Evidence::Contents { slot, .. } = t.case.finding.evidence else {
        return;
    };
    if let Held::Block(block) = t.held(slot) {
        t.need(Need::Fill);
        let variable = t.variable(slot);
        let (size, byte) = (number(block.size), block.byte % 251 + 1);
        t.line(format!("fill({variable}, {size}, {byte});"));
        t.held.insert(slot, Held::Block(Block { byte, ..block }));
    }
}

/// Ends what the child does, if it does something.
pub fn end_child(t: &mut Translator<'_>) {
    if let Some(held) = t.at_fork.take() {
        t.line("_exit(0);");
        t.close();
        t.line("wait_for_child();");
        t.held = held;
    }
}

fn enter(t: &mut Translator<'_>, under: Under) {
    match under.condition {
        Condition::Signals => {
            t.need(Need::Disturb);
            t.line(format!("disturb({});", number(under.number)));
        }
        Condition::Cancellation => {
            t.need(Need::Cancel);
            t.line("pthread_cancel(pthread_self());");
        }
        Condition::ClosedDescriptors => t.line("close(0), close(1), close(2);"),
        Condition::NoProc => {
            t.need(Need::HideProc);
            t.line("hide_proc();");
        }
        Condition::NewHandler => {
            t.need(Need::NewHandler);
            t.line(format!("handle({});", number(under.number)));
        }
        // All of it stands where it runs before the constructors.
        Condition::Constructor => {}
        Condition::Threads
        | Condition::Stack
        | Condition::Exit
        | Condition::Destructors
        | Condition::Spawns => {}
    }
}

/// Adds the judgement of the measurements.
pub fn climbs(t: &mut Translator<'_>, allowed: u64) -> bool {
    t.need(Need::Samples);
    let allowed = number(allowed);
    for (field, what) in [(1, "resident"), (0, "mapped")] {
        t.line(format!("if (climbs({field}, {allowed}))"));
        t.line(format!(
            "    broken(\"{what} bytes rise on and on, from %ld to %ld\", samples[{field}][0], samples[{field}][taken - 1]);"
        ));
    }
    true
}

pub const SAMPLES: &str = r#"
static long samples[2][4096];
static int taken;

/* Measures what is mapped and what is resident, every so many times that it is called. */
static void sample(unsigned long every)
{
    static unsigned long passed;
    if (passed++ % every != 0 || taken == 4096)
        return;
    for (int field = 0; field < 2; field++)
        samples[field][taken] = memory(field);
    taken++;
}

/* The least measurement in a part of all. */
static long least(int field, int part, int parts)
{
    long result = samples[field][taken * part / parts];
    for (int k = taken * part / parts; k < taken * (part + 1) / parts; k++)
        if (samples[field][k] < result)
            result = samples[field][k];
    return result;
}

/* Whether that rises from fifth to fifth, the first left out, by more than is allowed, not ever less, and to the end. */
static int climbs(int field, long allowed)
{
    long rises[3];
    for (int k = 0; k < 3; k++)
        rises[k] = least(field, k + 2, 5) - least(field, k + 1, 5);
    return taken >= 20 && rises[0] > allowed && rises[1] > allowed && rises[2] > allowed && 2 * rises[2] >= rises[0]
        && least(field, 9, 10) > least(field, 8, 10) + allowed / 4;
}
"#;

pub const WAIT_FOR_CHILD: &str = r#"
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
"#;

pub const DISTURB: &str = r#"
static void nothing(int number)
{
    (void)number;
}

/* A signal comes every so many microseconds from here on. */
static void disturb(long micros)
{
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval timer = {{0, micros}, {0, micros}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}
"#;

pub const HIDE_PROC: &str = r#"
/* Mounts an empty directory on /proc, for this process alone. */
static void hide_proc(void)
{
    if ((unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", "/proc", "tmpfs", 0, NULL) != 0)
        not_shown();   /* no mount namespace can be had here */
}
"#;
