//! Runs a program against a subject and its shadow.

mod calling;
mod direct;

use super::circumstances;
use crate::program::{Call, Condition, Expect, Op, Program, Schedule, Section, Under, sections};
use crate::run::process;
use crate::shadow::{
    ERRNO_BEFORE, Finding, Ledger, MOST_SAMPLES, Moment, Outcome, Reply, Request, Sample, Shadow,
    Standing, Stop, is_plain,
};
use crate::spec::RuleId;
use crate::subject::Subject;
use std::convert::Infallible;
use std::sync::Arc;

/// How many operations ahead the slots and the blocks to come are asked for: as long as memory takes to answer.
const FAR: usize = 16;
const NEAR: usize = 8;
/// Times that a call is made again which should have given a block.
const AGAIN: u32 = 3;
/// Operations between two looks at the clock.
const CLOCK: u32 = 128;

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// The program was run to its end.
    Finished,
    /// A rule is broken.
    Broken(Finding),
    /// The subject is ruined in a way that is known already.
    Abandoned,
    /// There was no more time.
    OutOfTime,
}

/// Hears of a finding, and what each operation of its thread gave. One thread calls it at a time.
pub type Listener<'l> = dyn Fn(&Finding, &[Outcome]) + 'l;

/// A subject, its shadow, and the clock.
pub struct Executor<'l, S> {
    pub(super) subject: S,
    pub(super) shadow: Shadow<'l>,
    pub(super) ledger: &'l Ledger,
    /// Those of the threads to come, by their place in a section.
    ledgers: &'l [Ledger],
    /// Hears of what a thread finds while others are still at work.
    pub(super) listener: Option<&'l Listener<'l>>,
    /// What the threads of the program do.
    pub(super) sections: Arc<[Section]>,
    /// How they are let run.
    pub(super) schedule: Schedule,
    /// The calls the subject provides, a bit each.
    provided: u64,
    /// Whether CPython's rules are checked without seeing what the subject asks for.
    unseen: bool,
    /// Whether the run is looked at closely.
    closely: bool,
    errno: *mut i32,
    /// When to stop, in nanoseconds of the monotonic clock.
    pub(super) deadline: u64,
    until_clock: u32,
    /// Whether system calls fail on purpose.
    failing: bool,
    /// How many had failed after the last call.
    failed_before: u64,
    /// Bytes resident before the program, without those of the harness.
    resident_before: Option<u64>,
    /// What was measured, and how often the program came to where that is done.
    samples: Vec<Sample>,
    passed: u64,
    /// Whether signals are sent.
    signalled: bool,
    /// Whether the program forks.
    forks: bool,
    /// Whether there is a new handler.
    handled: bool,
    /// Whether this process is the child of one that waits for it.
    is_child: bool,
    /// While the operations of a child that has ended are left out, the calls that are provided.
    away: Option<u64>,
}

/// Whether a block was expected of the call and none came.
fn is_unexpected(op: &Op, reply: &Reply) -> bool {
    let expected = matches!(
        op.expect,
        Expect::Pointer | Expect::AsBefore | Expect::AsEarlier | Expect::AsUnhindered
    );
    expected && op.size() != Some(0) && (reply.value == 0 || reply.code != 0)
}

/// Whether a call that failed can be made again: a `reallocf` that fails has freed its block.
fn can_be_repeated(op: &Op, request: &Request) -> bool {
    op.call != Call::Reallocf || !request.before.is_live()
}

/// The bytes of the stack that the program is to run on, if it says so.
fn stack_of(program: &Program) -> Option<usize> {
    let under = Under::of(program.ops.first()?)?;
    (under.condition == Condition::Stack).then_some(under.number as usize)
}

/// Why a run ended early.
pub(super) enum Cut {
    Stop(Stop),
    OutOfTime,
    /// Another thread has the reason.
    Stopped,
}

impl From<Stop> for Cut {
    fn from(stop: Stop) -> Cut {
        Cut::Stop(stop)
    }
}

/// The same, or by whoever watches.
enum Halt<E> {
    Cut(Cut),
    Watcher(E),
}

impl<E> From<Cut> for Halt<E> {
    fn from(cut: Cut) -> Halt<E> {
        Halt::Cut(cut)
    }
}

/// Watches nothing.
fn unwatched<S>(_: usize, _: &S) -> Result<(), Infallible> {
    Ok(())
}

impl<'l, S: Subject> Executor<'l, S> {
    /// An executor of programs on `subject`, whose blocks `shadow` knows. It stops at `deadline`, in nanoseconds of
    /// the monotonic clock.
    pub fn new(
        subject: S,
        mut shadow: Shadow<'l>,
        ledger: &'l Ledger,
        deadline: u64,
    ) -> Executor<'l, S> {
        shadow.reserve(process::own_mappings());
        let provided = Call::ALL
            .iter()
            .filter(|call| !call.is_entry_point() || subject.provides(**call))
            .fold(0, |calls, &call| calls | 1 << call as u8);
        Executor {
            subject,
            closely: shadow.conduct().closely,
            unseen: !S::HOOKED && shadow.conduct().rules.contains(RuleId::ZeroMallocNonnull),
            shadow,
            ledger,
            ledgers: &[],
            listener: None,
            sections: Arc::default(),
            schedule: Schedule::Free,
            provided,
            // SAFETY: always valid for the thread that asks.
            errno: unsafe { libc::__errno_location() },
            deadline,
            until_clock: CLOCK,
            failing: false,
            failed_before: 0,
            resident_before: None,
            samples: Vec::new(),
            passed: 0,
            signalled: false,
            forks: false,
            handled: false,
            is_child: false,
            away: None,
        }
    }

    /// The executor with a ledger for each thread that programs have beside the main one.
    #[must_use]
    pub fn with_ledgers(self, ledgers: &'l [Ledger]) -> Executor<'l, S> {
        Executor { ledgers, ..self }
    }

    /// The executor with somebody who hears at once of what a thread finds: the others may never come back.
    #[must_use]
    pub fn with_listener(self, listener: &'l Listener<'l>) -> Executor<'l, S> {
        Executor {
            listener: Some(listener),
            ..self
        }
    }

    /// An executor for the thread of this place in a section, and of this number; `None` if the subject serves no other
    /// thread.
    pub(super) fn sibling(&mut self, place: usize, number: u64) -> Option<Executor<'l, S>> {
        let ledger = self.ledgers.get(place).unwrap_or(self.ledger);
        Some(Executor {
            subject: self.subject.sibling()?,
            shadow: self.shadow.sibling(number, ledger),
            ledger,
            ledgers: &[],
            sections: Arc::default(),
            failing: false,
            resident_before: None,
            samples: Vec::new(),
            ..*self
        })
    }

    /// Makes the executor one of the calling thread.
    pub(super) fn attend(&mut self) {
        // SAFETY: always valid for the thread that asks.
        self.errno = unsafe { libc::__errno_location() };
        self.ledger.attend();
    }

    /// The shadow.
    pub fn shadow(&self) -> &Shadow<'l> {
        &self.shadow
    }

    /// Runs a legal program, then verifies every block that is left.
    pub fn run(&mut self, program: &Program) -> Ending {
        let Ok(ending) = self.run_watched(program, unwatched);
        ending
    }

    /// Runs a legal program as [`run`](Executor::run) does. After every operation `watch` is given its position and
    /// the subject.
    ///
    /// # Errors
    ///
    /// The first error of `watch`, which ends the run.
    pub fn run_watched<E>(
        &mut self,
        program: &Program,
        watch: impl FnMut(usize, &S) -> Result<(), E>,
    ) -> Result<Ending, E> {
        self.begin(program);
        let result = match stack_of(program) {
            None => self.make(&program.ops, watch),
            Some(bytes) => self.make_on_stack(bytes, &program.ops, watch),
        };
        if program.makes(Call::Limit) || program.makes(Call::FailSyscall) {
            // Whatever comes next, telling about it takes memory.
            let _ = process::limit_mapping(None);
        }
        let result = result.and_then(|()| match program.ops.last() {
            Some(last) => {
                let index = program.ops.len() - 1;
                self.shadow.sweep(index, last).map_err(Cut::from)?;
                // Signals that did not come have put nothing to the test.
                let was_tested = !self.signalled || circumstances::has_come();
                if was_tested && !program.makes(Call::Fork) {
                    self.shadow.count_circumstance(index);
                }
                Ok(())
            }
            None => Ok(()),
        });
        self.ending(result)
    }

    /// Makes ready for a program that is to be run in parts.
    pub fn begin(&mut self, program: &Program) {
        self.shadow.begin(program);
        self.schedule = Schedule::Free;
        self.sections = match program.has_threads() {
            true => sections(&program.ops).into(),
            false => Arc::default(),
        };
        self.resident_before = match program.makes(Call::Bounded) {
            true => self.resident(),
            false => None,
        };
        self.samples.clear();
        if program.makes(Call::Sample) {
            self.samples.reserve_exact(MOST_SAMPLES);
        }
        self.passed = 0;
        self.signalled = false;
        self.forks = program.makes(Call::Fork);
        self.handled = false;
    }

    /// Makes the operations that come next in the program begun. Findings count from their start.
    pub fn proceed(&mut self, ops: &[Op]) -> Ending {
        let result = self.make(ops, unwatched);
        let Ok(ending) = self.ending(result);
        ending
    }

    /// Frees what the last program left.
    pub fn free_left(&mut self) {
        for (_, block) in self.shadow.live_blocks() {
            let delete = block.maker.plain_delete().and_then(Call::operator);
            // SAFETY: a live block of the subject, by its own word; the caller goes on with another shadow, or none.
            unsafe {
                match delete {
                    // What comes of it is nobody's business any more.
                    Some(delete) => drop(Self::delete(
                        &mut self.subject,
                        delete,
                        block,
                        &Op::new(Call::Free, 0, 0, 0),
                    )),
                    None => self.subject.free(block.pointer()),
                }
            }
        }
    }

    /// Makes the subject as new, for another program: with `shadow`, which knows of nothing yet, or with the present
    /// one. After a finding it must be another one.
    pub fn renew(&mut self, shadow: Option<Shadow<'l>>) {
        // SAFETY: nobody uses a block of the last program, now that the shadow forgets it.
        unsafe { self.subject.renew() };
        match shadow {
            Some(mut shadow) => {
                shadow.reserve(process::own_mappings());
                self.closely = shadow.conduct().closely;
                self.shadow = shadow;
            }
            None => self.shadow.reset(),
        }
    }

    fn ending<E>(&self, result: Result<(), Halt<E>>) -> Result<Ending, E> {
        match result {
            Ok(()) => Ok(Ending::Finished),
            Err(Halt::Cut(Cut::Stop(Stop::Broken))) => match self.shadow.take_finding() {
                Some(finding) => Ok(Ending::Broken(finding)),
                None => unreachable!("a broken rule leaves a finding"),
            },
            // A thread that was stopped by another is never the first.
            Err(Halt::Cut(Cut::Stop(Stop::Abandoned) | Cut::Stopped)) => Ok(Ending::Abandoned),
            Err(Halt::Cut(Cut::OutOfTime)) => Ok(Ending::OutOfTime),
            Err(Halt::Watcher(error)) => Err(error),
        }
    }

    fn make<E>(
        &mut self,
        ops: &[Op],
        mut watch: impl FnMut(usize, &S) -> Result<(), E>,
    ) -> Result<(), Halt<E>> {
        let mut at = 0;
        while let Some(op) = ops.get(at) {
            if op.call != Call::Repeat {
                at = self.make_next(ops, at, &mut watch)?;
                continue;
            }
            let start = at.saturating_sub(op.b as usize);
            let judge = ops.get(at + 1).filter(|op| op.call == Call::Steady);
            for _ in 0..op.a {
                let measured = self.samples.len();
                let mut repeated = start;
                while repeated < at {
                    repeated = self.make_next(ops, repeated, &mut watch)?;
                }
                // What is sure to be found needs no more memory of the machine's.
                if self.samples.len() > measured
                    && judge.is_some_and(|judge| is_plain(&self.samples, judge.a))
                {
                    break;
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// Makes the operation at `at`, or all from there to the end of a section; gives the position of the next.
    #[inline(always)]
    fn make_next<E>(
        &mut self,
        ops: &[Op],
        at: usize,
        watch: &mut impl FnMut(usize, &S) -> Result<(), E>,
    ) -> Result<usize, Halt<E>> {
        let op = &ops[at];
        if op.call == Call::Thread {
            return Ok(self.section(ops, at)?);
        }
        self.look_ahead(ops, at);
        self.step(at, op)?;
        watch(at, &self.subject).map_err(Halt::Watcher)?;
        Ok(at + 1)
    }

    #[inline]
    fn look_ahead(&self, ops: &[Op], index: usize) {
        if let (Some(far), Some(near)) = (ops.get(index + FAR), ops.get(index + NEAR)) {
            self.shadow.look_ahead(far, near);
        }
    }

    /// Makes one operation; says whether it called the subject.
    #[inline]
    pub(super) fn step(&mut self, index: usize, op: &Op) -> Result<bool, Cut> {
        self.until_clock -= 1;
        if self.until_clock == 0 {
            self.until_clock = CLOCK;
            if process::now() >= self.deadline {
                return Err(Cut::OutOfTime);
            }
        }
        if self.provided >> op.call as u8 & 1 == 0 || self.shadow.idle(op) {
            if self.away.is_none() {
                self.shadow.skip(op);
            }
            return Ok(false);
        }
        self.ledger.begin(index);
        if !op.call.is_entry_point() {
            self.direct(index, op)?;
            return Ok(false);
        }
        let request = self.shadow.request(op);
        self.shadow.prepare(index, op, &request)?;
        if S::HOOKED {
            self.subject.clear_events();
        }
        // SAFETY: `errno` is this thread's.
        unsafe { self.errno.write_volatile(ERRNO_BEFORE) };
        self.ledger.enter(Moment::Call);
        let mut reply = self.call(op, &request);
        // What fails when a signal comes need not fail again.
        if is_unexpected(op, &reply) && !self.signalled && can_be_repeated(op, &request) {
            reply = self.call_again(op, &request);
        }
        self.ledger.enter(Moment::Idle);
        if self.handled && op.call.is_new() {
            reply.handler = Some(circumstances::handler_state());
        }
        if self.failing {
            reply.hampered = self.is_hampered(op, &reply);
        }
        // SAFETY: as above.
        reply.errno = unsafe { self.errno.read_volatile() };
        self.shadow.settle(index, op, &request, &reply)?;
        if S::HOOKED {
            // Counting visits every pool: only where time does not matter.
            let counted = self.closely.then(|| self.subject.live_blocks()).flatten();
            self.shadow
                .audit(index, op, &request, &reply, self.subject.events(), counted)?;
        } else if self.unseen {
            self.shadow.audit_unseen(index, op, &request, &reply)?;
        }
        Ok(true)
    }

    /// Whether a system call failed on purpose during the call, of which a note is made.
    #[cold]
    fn is_hampered(&mut self, op: &Op, reply: &Reply) -> bool {
        let interception = self.ledger.interception();
        let failed = interception.failed();
        if interception.standing() == Standing::Refused {
            // Which calls the limit in its place was in the way of cannot be seen.
            return true;
        }
        let hampered = failed != self.failed_before;
        self.failed_before = failed;
        if hampered {
            let makes = op.call.allocates() || op.call.reallocates();
            interception.note(makes && (reply.value == 0 || reply.code != 0));
        }
        hampered
    }

    /// A failure that passes is nobody's fault: only what fails every time is refused.
    #[cold]
    fn call_again(&mut self, op: &Op, request: &Request) -> Reply {
        let mut reply = Reply::default();
        for _ in 0..AGAIN {
            // SAFETY: as in `step`.
            unsafe { self.errno.write_volatile(ERRNO_BEFORE) };
            reply = self.call(op, request);
            if !is_unexpected(op, &reply) {
                break;
            }
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::{Conduct, Muted};
    use std::ptr;

    /// Resizes no block, and counts how often it frees one.
    #[derive(Default)]
    struct NoResize {
        freed: u32,
        asked: u32,
    }

    impl Subject for NoResize {
        fn provides(&self, call: Call) -> bool {
            matches!(
                call,
                Call::Malloc | Call::Free | Call::Realloc | Call::Reallocf
            )
        }
        unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
            // SAFETY: any size may be asked for.
            unsafe { libc::malloc(size).cast() }
        }
        unsafe fn calloc(&mut self, _: usize, _: usize) -> *mut u8 {
            ptr::null_mut()
        }
        unsafe fn realloc(&mut self, _: *mut u8, _: usize) -> *mut u8 {
            self.asked += 1;
            ptr::null_mut()
        }
        unsafe fn free(&mut self, block: *mut u8) {
            self.freed += u32::from(!block.is_null());
        }
        unsafe fn reallocf(&mut self, block: *mut u8, size: usize) -> *mut u8 {
            // SAFETY: the caller's promise.
            unsafe {
                self.free(block);
                self.realloc(block, size)
            }
        }
    }

    #[test]
    fn a_call_that_fails_is_made_again_unless_it_has_freed_its_block() {
        for (call, asked, freed) in [(Call::Realloc, 1 + AGAIN, 0), (Call::Reallocf, 1, 1)] {
            let resize = Op::new(call, 0, 200, 0).expecting(Expect::Pointer);
            let program = Program {
                rule: None,
                ops: vec![Op::new(Call::Malloc, 0, 100, 0), resize],
            };
            let ledger = Ledger::new();
            let conduct = Conduct {
                rules: RuleId::ALL.iter().copied().collect(),
                muted: Muted::NONE,
                stores: true,
                closely: false,
            };
            let shadow = Shadow::new(&ledger, conduct).expect("address space for the tables");
            let mut executor = Executor::new(NoResize::default(), shadow, &ledger, u64::MAX);
            assert!(matches!(executor.run(&program), Ending::Broken(_)));
            let NoResize {
                freed: was_freed,
                asked: was_asked,
            } = executor.subject;
            assert_eq!((was_asked, was_freed), (asked, freed), "{call:?}");
            // Nothing has been verified of a block that reallocf has freed by its own word.
            assert_eq!(ledger.checks(RuleId::ReallocfFrees), 0);
        }
    }
}
