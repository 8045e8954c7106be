//! Programs for several threads.
//!
//! A program stays one list of operations. `thread 2` says whose the operations are that follow it, `join` that they
//! are the main thread's again: what lies between the main thread's operations and the next `join` is a *section*, whose
//! threads are created together and have all ended when the main thread goes on. After `at exit` a thread's operations
//! are made by a destructor of thread-specific data, when the thread ends; after another one, in the next round of
//! destructors.
//!
//! The list is one of the orders in which the operations may happen. Operations on one slot happen in its order whoever
//! makes them, each before the next as the C memory model has it: that is how a block is handed over. All others of
//! different threads may happen in any order, or at once. So whether a program is legal is decided on the list alone,
//! no order it allows asks for anything undefined, and no thread can wait for one that waits for it: whoever is waited
//! for stands further up.

use std::collections::HashMap;
use std::fmt;

use super::op::{Call, Expect, NO_SLOT, Op, Program, Slot};
use super::seeded::SplitMix;
use super::vocabulary::Vocabulary;
use crate::spec::RuleId;

/// The threads of a section have the numbers from 1 to this.
pub const MAX_THREADS: u64 = 8;

/// How often the destructors of thread-specific data are run at least if they set their data anew:
/// `_POSIX_THREAD_DESTRUCTOR_ITERATIONS`.
pub const MAX_ROUNDS: usize = 4;

/// How the threads of the sections to come are let run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// As the kernel has it.
    Free,
    /// One operation at a time, in the order of the list.
    InOrder,
    /// As the kernel has it, but for pauses between operations that this number determines.
    Shaken(u64),
}

impl Schedule {
    /// What the operation says, if it is of this kind.
    pub const fn of(op: &Op) -> Option<Schedule> {
        match (op.call, op.a, op.b) {
            (Call::Schedule, 0, 1) => Some(Schedule::InOrder),
            (Call::Schedule, 1.., 2) => Some(Schedule::Shaken(op.a)),
            (Call::Schedule, ..) => Some(Schedule::Free),
            _ => None,
        }
    }

    /// The operation that says so.
    pub const fn op(self) -> Op {
        let (a, b) = match self {
            Schedule::Free | Schedule::Shaken(0) => (0, 0),
            Schedule::InOrder => (0, 1),
            Schedule::Shaken(seed) => (seed, 2),
        };
        Op::new(Call::Schedule, NO_SLOT, a, b)
    }

    /// Reads what follows `schedule`; `None` if that is something else.
    pub fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Op> {
        let schedule = match words.next()? {
            "free" => Schedule::Free,
            "in" if words.next() == Some("order") => Schedule::InOrder,
            "shaken" => {
                let number = words.next()?;
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                Schedule::Shaken(number.parse().ok().filter(|&it: &u64| digits && it > 0)?)
            }
            _ => return None,
        };
        Some(schedule.op())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Free => f.write_str("free"),
            Schedule::InOrder => f.write_str("in order"),
            Schedule::Shaken(seed) => write!(f, "shaken {seed}"),
        }
    }
}

impl Call {
    /// Whether the call only says whose the operations after it are.
    pub const fn switches(self) -> bool {
        matches!(self, Call::Thread | Call::Join | Call::AtExit)
    }
}

impl Program {
    /// Whether any operation is another thread's than the main one's.
    pub fn has_threads(&self) -> bool {
        self.makes(Call::Thread)
    }

    /// The same operations, all made by the main thread. What the main thread was expected to do as it did before is
    /// expected no more where it would be compared with what was another thread's.
    #[must_use]
    pub fn without_threads(&self) -> Program {
        let mut program = self.clone();
        let whose = whose(&self.ops);
        for (index, op) in program.ops.iter_mut().enumerate() {
            let same = |it: &Op| match op.expect {
                Expect::AsBefore if op.call != Call::Bounded => {
                    it.call.allocates() || it.call.reallocates()
                }
                Expect::AsEarlier => it.asks_the_same(op),
                _ => false,
            };
            // A child's are its own.
            let counts = |at: usize| !self.is_in_child(at) || self.is_in_child(index);
            let compared = (0..index).rfind(|&at| same(&self.ops[at]) && counts(at));
            if compared.is_some_and(|at| whose[at].thread != 0) {
                op.expect = Expect::Any;
            }
        }
        program.retain(|op| !op.call.switches() && op.call != Call::Schedule);
        program
    }

    /// The same operations, what destructors of thread-specific data do being done by the threads themselves; `None` if there
    /// are no such destructors.
    pub fn without_destructors(&self) -> Option<Program> {
        self.makes(Call::AtExit).then(|| {
            let mut program = self.clone();
            program.retain(|op| op.call != Call::AtExit);
            program
        })
    }

    /// Keeps some of the operations, and of those what is legal without the others. A repetition that lost some of what it
    /// covers reaches back less far.
    pub fn retain(&mut self, is_kept: impl Fn(&Op) -> bool) {
        let all = std::mem::take(&mut self.ops);
        for (index, op) in all.iter().enumerate().filter(|(_, op)| is_kept(op)) {
            let mut op = *op;
            if op.call == Call::Repeat {
                let covered = &all[index.saturating_sub(op.b as usize)..index];
                op.b = covered.iter().filter(|op| is_kept(op)).count() as u64;
            }
            self.ops.push(op);
        }
        self.legalise();
    }

    /// The same threads, one operation at a time, in the order of the list.
    #[must_use]
    pub fn in_order(&self) -> Program {
        let ops = self.ops.iter().copied();
        let ops = ops.filter(|op| op.call != Call::Schedule);
        let mut program = Program {
            rule: self.rule,
            ops: std::iter::once(Schedule::InOrder.op()).chain(ops).collect(),
        };
        program.legalise();
        program
    }

    /// The threads that a run has at work at most, beside the main one.
    pub fn threads(&self) -> usize {
        sections(&self.ops)
            .iter()
            .map(|section| section.threads.len())
            .max()
            .unwrap_or(0)
    }
}

/// Of so many operations one is made by another thread than the block's.
const STRAYS: u64 = 8;
/// Operations in a section of a random program, at most.
const SECTION: u64 = 4000;

impl Program {
    /// The program of about `ops` operations in 2 to 8 threads that `seed` stands for.
    ///
    /// It is a random program of one thread whose blocks are dealt out: each is one thread's, but for some operations that
    /// others make.
    pub fn random_threads(seed: u64, vocabulary: &Vocabulary, ops: usize) -> Program {
        let modest = Vocabulary {
            // More may be live at once in other orders.
            max_live: vocabulary.max_live / 4,
            ..vocabulary.clone()
        };
        let random = Program::random(seed, &modest, ops);
        let mut dealer = SplitMix::new(!seed);
        let threads = dealer.below(MAX_THREADS - 1) + 2;
        let mut owners = vec![0; random.slots()];
        let mut program = Program {
            rule: Some(RuleId::ThreadSafe),
            ops: vec![Schedule::Shaken(1 + seed % 1_000_000).op()],
        };
        let (mut current, mut left) = (0, 0);
        for op in random.ops {
            if left == 0 {
                if current != 0 {
                    program.ops.push(Op::new(Call::Join, NO_SLOT, 0, 0));
                }
                (current, left) = (0, SECTION / 2 + dealer.below(SECTION / 2));
            }
            left -= 1;
            let any = 1 + dealer.below(threads);
            let thread = match owners.get_mut(op.slot as usize) {
                Some(owner) => {
                    if op.call.allocates() || *owner == 0 {
                        *owner = any;
                    }
                    if dealer.below(STRAYS) == 0 {
                        any
                    } else {
                        *owner
                    }
                }
                None => any,
            };
            if thread != current {
                program.ops.push(Op::new(Call::Thread, NO_SLOT, thread, 0));
                current = thread;
            }
            program.ops.push(op);
        }
        program.legalise();
        program
    }
}

/// Whose an operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// How many sections begin before it, its own included.
    pub section: usize,
    /// The number of the thread, 0 for the main one.
    pub thread: u64,
    /// The round of destructors it is made in, from 1; 0 if in none.
    pub round: usize,
}

impl Whose {
    /// Whether the two are of different threads.
    pub fn is_apart_from(&self, other: &Whose) -> bool {
        (self.thread, other.thread) != (0, 0)
            && (self.section, self.thread) != (other.section, other.thread)
    }

    /// Whether the thread has ended when the other does what it does.
    pub fn has_ended_before(&self, other: &Whose) -> bool {
        self.thread != 0 && (self.section < other.section || other.thread == 0)
    }
}

impl Program {
    /// Whether the operation at `index` is a thread's, and may be the first of the program that calls the subject: which
    /// of those that threads begin with is, differs from run to run.
    pub fn may_be_first(&self, index: usize) -> bool {
        let whose = whose(&self.ops);
        let Some(own) = whose.get(index).filter(|own| own.thread != 0) else {
            return false;
        };
        let comes_before =
            |other: &Whose| other.section < own.section || other.thread == own.thread;
        let earlier = self.ops.iter().zip(&whose).take(index);
        !earlier
            .filter(|(op, _)| op.call.is_entry_point())
            .any(|(_, other)| comes_before(other))
    }
}

/// Whose each operation of a legal program is. Those that say so are nobody's in particular.
pub fn whose(ops: &[Op]) -> Vec<Whose> {
    let mut now = Whose::default();
    let mut rounds = HashMap::new();
    ops.iter()
        .map(|op| {
            match op.call {
                Call::Thread => {
                    if now.thread == 0 {
                        now.section += 1;
                        rounds.clear();
                    }
                    now.thread = op.a;
                }
                Call::Join => now.thread = 0,
                Call::AtExit => *rounds.entry(now.thread).or_insert(0) += 1,
                _ => {}
            }
            now.round = rounds.get(&now.thread).copied().unwrap_or(0);
            now
        })
        .collect()
}

/// One operation of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its position in the program.
    pub index: usize,
    /// The operation of another thread that has to be done before it: the place of that thread in the section, and the
    /// position of the operation.
    pub after: Option<(usize, usize)>,
    /// Whether the block in its slot comes from another thread.
    pub takes: bool,
    /// The slots whose blocks are another thread's, or the main one's, once it is done.
    pub gives: Vec<Slot>,
}

/// What one thread of a section does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The number that the program has for the thread.
    pub number: u64,
    /// What it does until it ends, and then in each round of destructors.
    pub rounds: Vec<Vec<Step>>,
}

/// What threads do between two operations of the main one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The position of the first `thread`.
    pub start: usize,
    /// The position of the main thread's next operation.
    pub end: usize,
    /// The threads, in the order in which the program comes to them. Those that do nothing are none.
    pub threads: Vec<List>,
    /// The slots that they use.
    pub slots: Vec<Slot>,
}

/// The sections of a legal program, in order.
pub fn sections(ops: &[Op]) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut schedule = Schedule::Free;
    let mut index = 0;
    while index < ops.len() {
        schedule = Schedule::of(&ops[index]).unwrap_or(schedule);
        if ops[index].call == Call::Thread {
            let length = ops[index..].iter().position(|op| op.call == Call::Join);
            let end = length.map_or(ops.len(), |length| index + length + 1);
            sections.push(section(ops, index, end, schedule));
            index = end;
        } else {
            index += 1;
        }
    }
    sections
}

/// Where an operation is among the threads of a section.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Whereabouts {
    thread: usize,
    round: usize,
    step: usize,
}

fn section(ops: &[Op], start: usize, end: usize, schedule: Schedule) -> Section {
    let mut section = Section {
        start,
        end,
        ..Section::default()
    };
    let mut current = 0;
    // The last step so far on each slot, and of all.
    let mut last_on: HashMap<Slot, Whereabouts> = HashMap::new();
    let mut last = None;
    for index in start..end {
        let op = &ops[index];
        match op.call {
            Call::Thread => {
                let known = section.threads.iter().position(|list| list.number == op.a);
                current = known.unwrap_or(section.threads.len());
                if known.is_none() {
                    section.threads.push(List {
                        number: op.a,
                        rounds: vec![Vec::new()],
                    });
                }
            }
            Call::AtExit => section.threads[current].rounds.push(Vec::new()),
            Call::Join => {}
            _ => {
                let round = section.threads[current].rounds.len() - 1;
                let here = Whereabouts {
                    thread: current,
                    round,
                    step: section.threads[current].rounds[round].len(),
                };
                let before = last_on.get(&op.slot).copied();
                let before = before.filter(|_| op.slot != NO_SLOT);
                let foreign = |it: &Whereabouts| it.thread != current;
                let after = match schedule {
                    Schedule::InOrder => last.filter(foreign),
                    _ => before.filter(foreign),
                };
                let step = Step {
                    index,
                    after: after.map(|it| (it.thread, section.step(it).index)),
                    takes: op.slot != NO_SLOT && before.is_none_or(|it| foreign(&it)),
                    gives: Vec::new(),
                };
                if let Some(before) = before.filter(foreign) {
                    section.step_mut(before).gives.push(op.slot);
                }
                section.threads[current].rounds[round].push(step);
                last = Some(here);
                if op.slot != NO_SLOT {
                    last_on.insert(op.slot, here);
                }
                if op.call == Call::Repeat {
                    // What is repeated is done when the repetition is.
                    let first = index.saturating_sub(op.b as usize);
                    let repeated = ops[first..index].iter().filter(|op| op.slot != NO_SLOT);
                    for op in repeated {
                        last_on.insert(op.slot, here);
                    }
                }
            }
        }
    }
    let mut left: Vec<(Slot, Whereabouts)> = last_on.into_iter().collect();
    left.sort_unstable_by_key(|&(slot, _)| slot);
    for &(slot, last) in &left {
        section.step_mut(last).gives.push(slot);
    }
    section.slots = left.into_iter().map(|(slot, _)| slot).collect();
    section.drop_idle();
    section
}

impl Section {
    fn step(&self, it: Whereabouts) -> &Step {
        &self.threads[it.thread].rounds[it.round][it.step]
    }

    fn step_mut(&mut self, it: Whereabouts) -> &mut Step {
        &mut self.threads[it.thread].rounds[it.round][it.step]
    }

    /// Leaves out threads that do nothing. Nobody waits for them.
    fn drop_idle(&mut self) {
        let idle = |list: &List| list.rounds.iter().all(Vec::is_empty);
        let mut place = 0;
        let places: Vec<usize> = self
            .threads
            .iter()
            .map(|list| {
                place += usize::from(!idle(list));
                place.saturating_sub(1)
            })
            .collect();
        self.threads.retain(|list| !idle(list));
        let steps = self.threads.iter_mut().flat_map(|list| &mut list.rounds);
        for (thread, _) in steps.flatten().filter_map(|step| step.after.as_mut()) {
            *thread = places[*thread];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(lines: &str) -> Program {
        Program::parse(&format!("# allocspec trace 1\n{lines}")).unwrap()
    }

    #[test]
    fn each_thread_begins_with_what_may_be_first() {
        let threads =
            "thread 1\np0 = malloc 1\nfree p0\nthread 2\np1 = malloc 1\njoin\np2 = malloc 1\n";
        let first = |text: &str| {
            let program = program(text);
            let all = 0..program.ops.len();
            all.filter(|&at| program.ops[at].call.is_entry_point() && program.may_be_first(at))
                .collect::<Vec<usize>>()
        };
        assert_eq!(first(threads), [1, 4]);
        assert!(first(&format!("p3 = malloc 1\n{threads}")).is_empty());
        assert_eq!(
            first(&format!("{threads}thread 1\np3 = malloc 1\n")),
            [1, 4]
        );
    }

    fn after(section: &Section, thread: usize) -> Vec<Option<(usize, usize)>> {
        let steps = section.threads[thread].rounds.iter().flatten();
        steps.map(|step| step.after).collect()
    }

    #[test]
    fn a_block_is_handed_over_in_the_order_of_the_list() {
        let program = program(
            "p0 = malloc 1\nthread 1\nfree p0\np1 = malloc 2\nthread 2\nfree p1\np2 = malloc 3\njoin\nfree p2",
        );
        let sections = sections(&program.ops);
        assert_eq!(sections.len(), 1);
        let section = &sections[0];
        assert_eq!((section.start, section.end), (1, 8));
        assert_eq!(section.slots, [0, 1, 2]);
        assert_eq!(after(section, 0), [None, None]);
        assert_eq!(after(section, 1), [Some((0, 3)), None]);
        let [first, second] = &section.threads[..] else {
            panic!()
        };
        let takes =
            |list: &List| -> Vec<bool> { list.rounds[0].iter().map(|it| it.takes).collect() };
        let gives = |list: &List| -> Vec<Vec<Slot>> {
            list.rounds[0].iter().map(|it| it.gives.clone()).collect()
        };
        assert_eq!(takes(first), [true, true]);
        assert_eq!(gives(first), [vec![0], vec![1]]);
        assert_eq!(takes(second), [true, true]);
        assert_eq!(gives(second), [vec![1], vec![2]]);
    }

    #[test]
    fn what_is_repeated_is_handed_over_at_its_end() {
        let program = program(
            "thread 1\np0 = malloc 1\nfree p0\nrepeat 9 x 2\nthread 2\np0 = malloc 1\nthread 3\nthread 1\nfree p0",
        );
        let section = &sections(&program.ops)[0];
        assert_eq!(section.threads.len(), 2, "one of the three does nothing");
        assert_eq!(after(section, 1), [Some((0, 3))]);
        let repeat = &section.threads[0].rounds[0][2];
        assert_eq!(repeat.gives, [0]);
        assert!(section.threads[0].rounds[0][3].takes);
    }

    #[test]
    fn destructors_are_rounds_of_their_own() {
        let program = program("thread 1\np0 = malloc 1\nat exit\nfree p0\nat exit\np1 = malloc 1");
        let section = &sections(&program.ops)[0];
        let lengths: Vec<usize> = section.threads[0].rounds.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1, 1, 1]);
    }

    #[test]
    fn in_order_every_thread_waits_for_the_line_above() {
        let program = program(
            "schedule in order\nthread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\nthread 1\nfree p0",
        );
        let section = &sections(&program.ops)[0];
        assert_eq!(after(section, 0), [None, Some((1, 4))]);
        assert_eq!(after(section, 1), [Some((0, 2))]);
    }

    #[test]
    fn without_threads_the_operations_are_the_same() {
        let threaded = program(
            "schedule shaken 3\nthread 1\np0 = malloc 1\nfree p0\njoin\nrepeat 5 x 4\np1 = malloc 2",
        );
        let alone = program("p0 = malloc 1\nfree p0\nrepeat 5 x 2\np1 = malloc 2");
        assert_eq!(threaded.without_threads(), alone);
        assert_eq!((threaded.threads(), alone.threads()), (1, 0));
    }

    #[test]
    fn without_destructors_the_threads_do_it_themselves() {
        let ending = program(
            "thread 1\np0 = malloc 1\nat exit\nfree p0\nat exit\np1 = malloc 2\nfree p1\njoin\nrepeat 5 x 8",
        );
        let plain =
            program("thread 1\np0 = malloc 1\nfree p0\np1 = malloc 2\nfree p1\njoin\nrepeat 5 x 6");
        assert_eq!(ending.without_destructors(), Some(plain.clone()));
        assert_eq!(plain.without_destructors(), None);
    }

    #[test]
    fn schedules_are_read_as_they_are_written() {
        for schedule in [Schedule::Free, Schedule::InOrder, Schedule::Shaken(7)] {
            let text = schedule.to_string();
            let op = Schedule::parse(&mut text.split(' '));
            assert_eq!(op, Some(schedule.op()), "{text}");
            assert_eq!(Schedule::of(&schedule.op()), Some(schedule));
        }
        for wrong in ["", "in", "in time", "shaken", "shaken 0", "shaken x"] {
            assert_eq!(Schedule::parse(&mut wrong.split(' ')), None, "{wrong}");
        }
    }
}
