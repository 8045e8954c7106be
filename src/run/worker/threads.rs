//! The threads of a section: each makes the operations of its list, on the same subject.
//!
//! Nothing of the harness's is held while the subject is at work, so that its calls meet as they would in any program.
//! The threads are the C library's, with nothing of Rust's around them: the first call of the subject that such a thread
//! makes is the one that the program says. What threads wait for is only what the program says must be done before.

use super::executor::{Cut, Executor};
use crate::program::{Call, Op, Schedule, Section, SplitMix, Step};
use crate::run::process;
use crate::shadow::{Choice, Evidence, Finding, Moment, Stop};
use crate::spec::RuleId;
use crate::subject::Subject;
use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Mutex, PoisonError};

/// Turns that a thread waits before it lets others have the processor, and then until it sleeps.
const SPINS: u32 = 200;
const YIELDS: u32 = 400;
/// How long it sleeps at a time, in nanoseconds.
const NAP: i64 = 20_000;

/// What the threads of a section have in common.
struct Stage<'a> {
    ops: &'a [Op],
    /// Threads that are ready to begin, of `expected`.
    ready: AtomicUsize,
    expected: AtomicUsize,
    /// For each thread the position behind the last operation that it has done.
    progress: Vec<AtomicUsize>,
    /// Whether all are to stop.
    stop: AtomicBool,
    /// What was told while others were at work.
    told: Mutex<Option<Weight>>,
    schedule: Schedule,
    /// The key of the data whose destructor makes operations, if there are such.
    key: Option<libc::pthread_key_t>,
}

/// What the end of one thread says, least first: a finding is never lost to a thread that merely stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Stopped,
    Abandoned,
    OutOfTime,
    Finding,
    /// That two were given the same memory says more than what came of it.
    Overlap,
}

impl Weight {
    fn of(finding: Option<&Finding>, cut: &Cut) -> Weight {
        match (finding.map(|finding| &finding.evidence), cut) {
            (Some(Evidence::Overlap { .. }), _) => Weight::Overlap,
            (Some(_), _) => Weight::Finding,
            (None, Cut::OutOfTime) => Weight::OutOfTime,
            (None, Cut::Stop(_)) => Weight::Abandoned,
            (None, Cut::Stopped) => Weight::Stopped,
        }
    }
}

/// One thread of a section.
struct Actor<'a, 'l, S> {
    executor: Executor<'l, S>,
    stage: &'a Stage<'a>,
    place: usize,
    rounds: &'a [Vec<Step>],
    /// The round of destructors that comes next.
    round: usize,
    in_destructor: bool,
    /// Whether it has called the subject.
    called: bool,
    shaking: SplitMix,
    ended: Result<(), Cut>,
    finding: Option<Finding>,
    /// Whether it was the first that had to stop.
    first: bool,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'l, S: Subject> Executor<'l, S> {
    /// Runs the section that begins at `start`; gives the position of the operation after it.
    #[cold]
    #[inline(never)]
    pub(super) fn section(&mut self, ops: &[Op], start: usize) -> Result<usize, Cut> {
        let sections = self.sections.clone();
        let found = sections.binary_search_by_key(&start, |section| section.start);
        let Ok(section) = found.map(|index| &sections[index]) else {
            unreachable!("a legal program has a section where its first thread is");
        };
        self.ledger.begin(start);
        for &slot in &section.slots {
            self.shadow.give(slot);
        }
        let result = self.perform(ops, section);
        self.shadow.rejoin();
        for &slot in &section.slots {
            self.shadow.take(slot);
        }
        result?;
        let last = section.end - 1;
        self.ledger.begin(last);
        for &slot in &section.slots {
            self.shadow.verify_left(last, &ops[last], slot)?;
        }
        Ok(section.end)
    }

    fn perform(&mut self, ops: &[Op], section: &Section) -> Result<(), Cut> {
        let in_destructor = section.threads.iter().any(|list| list.rounds.len() > 1);
        let stage = Stage {
            ops,
            ready: AtomicUsize::new(0),
            expected: AtomicUsize::new(section.threads.len()),
            progress: section
                .threads
                .iter()
                .map(|_| AtomicUsize::new(0))
                .collect(),
            stop: AtomicBool::new(false),
            told: Mutex::new(None),
            schedule: self.schedule,
            key: match in_destructor {
                true => Some(self.new_key()?),
                false => None,
            },
        };
        let mut actors = Vec::new();
        for (place, list) in section.threads.iter().enumerate() {
            // A subject that serves one thread is never given a program for several.
            let executor = self.sibling(place, list.number).ok_or(Stop::Abandoned)?;
            let seed = match self.schedule {
                Schedule::Shaken(seed) => seed,
                _ => 0,
            };
            actors.push(Actor {
                executor,
                stage: &stage,
                place,
                rounds: &list.rounds,
                round: 1,
                in_destructor: false,
                called: false,
                shaking: SplitMix::new(seed.wrapping_mul(0x1_0001).wrapping_add(list.number)),
                ended: Ok(()),
                finding: None,
                first: false,
                panic: None,
            });
        }
        let all = self.create_and_join(&stage, &mut actors);
        if let Some(key) = stage.key {
            // SAFETY: made above; no thread that has data of it is left.
            unsafe { libc::pthread_key_delete(key) };
        }
        self.conclude(actors, all)
    }

    /// A key of thread-specific data whose destructor goes on with the program.
    fn new_key(&self) -> Result<libc::pthread_key_t, Cut> {
        let mut key = 0;
        // SAFETY: the variable is ours. The destructor is called with what `Actor::come_back` has stored.
        match unsafe { libc::pthread_key_create(&raw mut key, Some(at_exit::<S>)) } {
            0 => Ok(key),
            _ => {
                self.ledger.note(Choice::ThreadNotCreated);
                Err(Stop::Abandoned.into())
            }
        }
    }

    /// Whether all threads could be created.
    fn create_and_join(&mut self, stage: &Stage<'_>, actors: &mut [Actor<'_, 'l, S>]) -> bool {
        let mut threads = Vec::with_capacity(actors.len());
        // The C library asks the subject for memory.
        self.ledger.enter(Moment::Call);
        let first = actors.as_mut_ptr();
        for place in 0..actors.len() {
            let mut thread: libc::pthread_t = 0;
            // SAFETY: the actor stays where it is until all threads have been joined, and from here on its thread alone uses
            // it; what it reports to is shared.
            let (created, ledger) = unsafe {
                let actor = first.add(place);
                let ledger = (*actor).executor.ledger;
                let (none, actor) = (ptr::null(), actor.cast());
                let created = libc::pthread_create(&raw mut thread, none, begin::<S>, actor);
                (created, ledger)
            };
            if created != 0 {
                self.ledger.note(Choice::ThreadNotCreated);
                stage.stop.store(true, Release);
                break;
            }
            threads.push((thread, ledger));
        }
        self.ledger.enter(Moment::Idle);
        stage.expected.store(threads.len(), Release);
        for &(thread, ledger) in &threads {
            // SAFETY: created above, and joined once.
            unsafe { libc::pthread_join(thread, ptr::null_mut()) };
            ledger.enter(Moment::Idle);
        }
        threads.len() == actors.len()
    }

    /// What came of the threads, which have ended.
    fn conclude(&mut self, actors: Vec<Actor<'_, 'l, S>>, all: bool) -> Result<(), Cut> {
        let mut result = if all {
            Ok(())
        } else {
            Err(Stop::Abandoned.into())
        };
        let mut best = None;
        for mut actor in actors {
            if let Some(panic) = actor.panic {
                resume_unwind(panic);
            }
            for step in actor.rounds.iter().flatten() {
                let shadow = &actor.executor.shadow;
                self.shadow.note_outcome(shadow, step.index);
            }
            if let Err(cut) = actor.ended {
                let finding = actor.finding;
                let weight = Some((Weight::of(finding.as_ref(), &cut), actor.first));
                if weight > best {
                    best = weight;
                    result = Err(cut);
                    if let Some(finding) = finding {
                        self.shadow.adopt(finding);
                    }
                }
            }
            self.shadow.count_handed_out(&actor.executor.shadow);
            actor.executor.shadow.give_all();
        }
        result
    }
}

extern "C" fn begin<S: Subject>(actor: *mut c_void) -> *mut c_void {
    // SAFETY: the actor made for this thread, which nobody else uses before the thread has ended.
    let actor = unsafe { &mut *actor.cast::<Actor<'_, '_, S>>() };
    actor.guarded(Actor::perform);
    ptr::null_mut()
}

unsafe extern "C" fn at_exit<S: Subject>(actor: *mut c_void) {
    // SAFETY: as in `begin`; the thread is in its end.
    let actor = unsafe { &mut *actor.cast::<Actor<'_, '_, S>>() };
    actor.guarded(Actor::perform_at_exit);
}

impl<S: Subject> Actor<'_, '_, S> {
    /// Does something, and says so to the others if it has to be the last thing.
    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Cut>) {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(Ok(())) => {}
            Ok(Err(cut)) => {
                self.first = !self.stage.stop.swap(true, AcqRel);
                self.finding = self.executor.shadow.take_finding();
                self.tell(&cut);
                self.ended = Err(cut);
            }
            Err(panic) => {
                self.stage.stop.store(true, Release);
                self.panic = Some(panic);
            }
        }
    }

    /// Tells what it has found, unless what was told before says more. A thread may be in a call that never returns, and is
    /// joined all the same: whoever watches the process ends it then, and has been told by now.
    fn tell(&self, cut: &Cut) {
        let (Some(listener), Some(finding)) = (self.executor.listener, &self.finding) else {
            return;
        };
        let mut told = self
            .stage
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let weight = Some(Weight::of(Some(finding), cut));
        if weight > *told {
            *told = weight;
            listener(finding, self.executor.shadow.outcomes());
        }
    }

    fn perform(&mut self) -> Result<(), Cut> {
        self.executor.attend();
        self.stage.ready.fetch_add(1, AcqRel);
        self.wait(|stage| stage.ready.load(Acquire) >= stage.expected.load(Acquire))?;
        let rounds = self.rounds;
        self.make(&rounds[0])?;
        if let Some(key) = self.stage.key
            && self.rounds.len() > 1
        {
            self.come_back(key);
        }
        self.executor.subject.leave();
        // What the subject does where threads end is yet to come.
        self.executor.ledger.enter(Moment::Ending);
        Ok(())
    }

    fn perform_at_exit(&mut self) -> Result<(), Cut> {
        self.executor.ledger.enter(Moment::Idle);
        let rounds = self.rounds;
        let Some(steps) = rounds.get(self.round).filter(|_| self.ended.is_ok()) else {
            return Ok(());
        };
        self.round += 1;
        self.in_destructor = true;
        self.make(steps)?;
        if let Some(key) = self.stage.key
            && self.round < self.rounds.len()
        {
            self.come_back(key);
        }
        self.executor.ledger.enter(Moment::Ending);
        Ok(())
    }

    /// Has the destructor called.
    fn come_back(&mut self, key: libc::pthread_key_t) {
        // SAFETY: the key exists while the section is run. If there is no memory for the value, the program lacks its end.
        unsafe { libc::pthread_setspecific(key, ptr::from_mut(self).cast_const().cast()) };
    }

    fn make(&mut self, steps: &[Step]) -> Result<(), Cut> {
        let ops = self.stage.ops;
        for (at, step) in steps.iter().enumerate() {
            let op = &ops[step.index];
            if op.call == Call::Repeat {
                let start = at.saturating_sub(op.b as usize);
                for _ in 0..op.a {
                    for step in &steps[start..at] {
                        self.make_one(step.index, &ops[step.index])?;
                    }
                }
            } else {
                if let Some((thread, index)) = step.after {
                    self.wait(|stage| stage.progress[thread].load(Acquire) > index)?;
                }
                if step.takes {
                    self.executor.shadow.take(op.slot);
                }
                self.make_one(step.index, op)?;
            }
            for &slot in &step.gives {
                self.executor.shadow.give(slot);
            }
            self.stage.progress[self.place].store(step.index + 1, Release);
        }
        Ok(())
    }

    fn make_one(&mut self, index: usize, op: &Op) -> Result<(), Cut> {
        if self.stage.stop.load(Acquire) {
            return Err(Cut::Stopped);
        }
        if matches!(self.stage.schedule, Schedule::Shaken(_)) {
            self.shake();
        }
        if self.executor.step(index, op)? {
            self.count(op);
        }
        Ok(())
    }

    /// Counts what a call was an exercise of, because it was made by one of several threads.
    fn count(&mut self, op: &Op) {
        let count = |rule| self.executor.ledger.count(rule);
        if !std::mem::replace(&mut self.called, true) {
            count(RuleId::XthreadReallocFirst);
        }
        if self.in_destructor {
            count(RuleId::TsdDestructor);
        }
        if self.stage.progress.len() > 1 && self.stage.schedule != Schedule::InOrder {
            count(RuleId::ThreadSafe);
            if op.call.reallocates() {
                count(RuleId::ConcurrentRealloc);
            }
            if op.call.frees() && self.executor.shadow.purpose() == Some(RuleId::HappensBefore) {
                count(RuleId::HappensBefore);
            }
        }
    }

    /// Pauses for a while that depends on the program, or not at all.
    fn shake(&mut self) {
        match self.shaking.below(32) {
            0 => nap(NAP / 4),
            1..=4 => yield_processor(),
            5..=12 => {
                for _ in 0..self.shaking.below(300) {
                    std::hint::spin_loop();
                }
            }
            _ => {}
        }
    }

    /// Waits until something is so, or all are to stop.
    fn wait(&self, is_so: impl Fn(&Stage<'_>) -> bool) -> Result<(), Cut> {
        let mut turn = 0;
        while !is_so(self.stage) {
            if self.stage.stop.load(Acquire) {
                return Err(Cut::Stopped);
            }
            match turn {
                0..SPINS => std::hint::spin_loop(),
                SPINS..YIELDS => yield_processor(),
                _ if process::now() >= self.executor.deadline => return Err(Cut::OutOfTime),
                _ => nap(NAP),
            }
            turn = (turn + 1).min(YIELDS);
        }
        Ok(())
    }
}

fn yield_processor() {
    // SAFETY: has no preconditions.
    unsafe { libc::sched_yield() };
}

fn nap(nanoseconds: i64) {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: nanoseconds,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Program, Vocabulary, directed};
    use crate::run::worker::Ending;
    use crate::shadow::{Conduct, Ledger, Muted, Shadow};
    use crate::subject::threaded::Threaded;

    const ALL: [RuleId; 3] = [
        RuleId::ThreadSafe,
        RuleId::XthreadReallocFirst,
        RuleId::TsdDestructor,
    ];

    /// How a program ends on the sound allocator for threads, and how often the rules were exercised.
    fn run(program: &Program) -> (Ending, [u64; 3]) {
        let ledger = Ledger::new();
        let ledgers: Vec<Ledger> = (0..8).map(|_| Ledger::new()).collect();
        let conduct = Conduct {
            rules: RuleId::ALL.iter().copied().collect(),
            muted: Muted::NONE,
            stores: true,
            closely: false,
        };
        let shadow = Shadow::new(&ledger, conduct).expect("address space for a shadow");
        let executor = Executor::new(Threaded::new(None), shadow, &ledger, u64::MAX);
        let ending = executor.with_ledgers(&ledgers).run(program);
        let checks = ALL.map(|rule| ledgers.iter().map(|ledger| ledger.checks(rule)).sum());
        (ending, checks)
    }

    fn program(lines: &str) -> Program {
        Program::parse(&format!("# allocspec trace 1\n{lines}")).expect(lines)
    }

    #[test]
    fn only_calls_that_were_made_are_exercises() {
        let huge = u64::MAX / 2;
        let lines = format!(
            "thread 1\np0 = malloc {huge}\nfree p0\nat exit\np1 = malloc {huge}\nfree p1\nthread 2\nsweep"
        );
        let (ending, checks) = run(&program(&lines));
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        assert_eq!(checks, [2, 1, 1]);
        let (_, checks) = run(&program(&lines.replace(&huge.to_string(), "10")));
        assert_eq!(checks, [4, 1, 2]);
    }

    #[test]
    fn nothing_is_found_of_an_allocator_that_serves_threads() {
        let vocabulary = Vocabulary {
            threads: true,
            max_live: 64 << 20,
            ..Vocabulary::default()
        };
        let mut all = [0; 3];
        // Beside this one other tests take memory.
        let measures = |program: &Program| program.makes(Call::Steady);
        let programs = directed(&vocabulary, 1).into_iter();
        for program in programs.filter(|it| it.has_threads() && !measures(it)) {
            let (ending, checks) = run(&program);
            assert!(matches!(ending, Ending::Finished), "{ending:?}\n{program}");
            all.iter_mut().zip(checks).for_each(|(all, it)| *all += it);
        }
        assert!(all.iter().all(|&checks| checks > 0), "{all:?}");
    }

    #[test]
    fn a_finding_is_never_lost_to_a_thread_that_stopped() {
        let finding = |evidence| Finding {
            rule: RuleId::Disjoint,
            op_index: 0,
            evidence,
        };
        let overlap = finding(Evidence::Overlap {
            address: 16,
            size: 1,
            other: 0,
            other_address: 16,
            other_size: 1,
        });
        let other = finding(Evidence::BadAddress { address: 16 });
        let ends = [
            (None, Cut::Stopped),
            (None, Cut::Stop(Stop::Abandoned)),
            (None, Cut::OutOfTime),
            (Some(&other), Cut::Stop(Stop::Broken)),
            (Some(&overlap), Cut::Stop(Stop::Broken)),
        ];
        let weights = ends.map(|(finding, cut)| Weight::of(finding, &cut));
        assert!(
            weights.is_sorted_by(|less, more| less < more),
            "{weights:?}"
        );
    }
}
