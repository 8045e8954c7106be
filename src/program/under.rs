//! Circumstances that a program runs in, and the rule that speaks of them.
//!
//! Most programs run in a process of one thread that nobody disturbs. One operation, `under signals 100`, changes that
//! to the end of the program. What breaks under such circumstances, and does not without them, breaks their rule.

use super::op::{Call, NO_SLOT, Op, Program};
use crate::spec::RuleId;
use std::fmt;

/// A kind of circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Condition {
    /// So many other threads make and free blocks of their own meanwhile.
    Threads,
    /// A signal comes every so many microseconds; its handler does nothing.
    Signals,
    /// The program runs on a stack of so many bytes.
    Stack,
    /// The thread is to end at the next cancellation point.
    Cancellation,
    /// Standard input, standard output and standard error are closed.
    ClosedDescriptors,
    /// There is nothing in `/proc`.
    NoProc,
    /// The process is ending: handlers registered with `atexit` run.
    Exit,
    /// There is a new handler, `std::set_new_handler`. The time of this number that it is called it lifts the limit on what
    /// may be mapped, and the time after that it takes itself away.
    NewHandler,
    /// Another thread has a program started that does nothing, one time after another with so many microseconds in
    /// between: `posix_spawn`.
    Spawns,
    /// The process is starting: the constructor of a library runs that is loaded with the subject's, whose own have not run.
    Constructor,
    /// The process is ending: destructors of libraries, the subject's among them, have run.
    Destructors,
}

impl Condition {
    /// Every one of them.
    pub const ALL: [Condition; 11] = [
        Condition::Threads,
        Condition::Signals,
        Condition::Stack,
        Condition::Cancellation,
        Condition::ClosedDescriptors,
        Condition::NoProc,
        Condition::Exit,
        Condition::NewHandler,
        Condition::Spawns,
        Condition::Constructor,
        Condition::Destructors,
    ];

    /// The rules about circumstances: fork and all of these.
    pub const RULES: [RuleId; 11] = [
        RuleId::ForkSt,
        RuleId::ForkMtChild,
        RuleId::ForkMtParent,
        RuleId::SignalInterrupt,
        RuleId::StackSmall,
        RuleId::NotCancellationPoint,
        RuleId::ClosedDescriptors,
        RuleId::NoProc,
        RuleId::AtexitUse,
        RuleId::VforkSpawn,
        RuleId::CtorUse,
    ];

    /// The words used in traces, after which comes the number, if there is one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Condition::Threads => "threads",
            Condition::Signals => "signals",
            Condition::Stack => "stack",
            Condition::Cancellation => "cancellation",
            Condition::ClosedDescriptors => "closed descriptors",
            Condition::NoProc => "no proc",
            Condition::Exit => "exit",
            Condition::NewHandler => "new-handler",
            Condition::Spawns => "spawns",
            Condition::Constructor => "constructor",
            Condition::Destructors => "destructors",
        }
    }

    /// Whether a number belongs to it.
    const fn has_number(self) -> bool {
        matches!(
            self,
            Condition::Threads
                | Condition::Signals
                | Condition::Stack
                | Condition::NewHandler
                | Condition::Spawns
        )
    }

    /// The rule that says that they change nothing. That about new handlers says what they change.
    const fn rule(self) -> Option<RuleId> {
        match self {
            Condition::NewHandler => None,
            Condition::Threads => Some(RuleId::ThreadSafe),
            Condition::Signals => Some(RuleId::SignalInterrupt),
            Condition::Stack => Some(RuleId::StackSmall),
            Condition::Cancellation => Some(RuleId::NotCancellationPoint),
            Condition::ClosedDescriptors => Some(RuleId::ClosedDescriptors),
            Condition::NoProc => Some(RuleId::NoProc),
            Condition::Exit | Condition::Destructors => Some(RuleId::AtexitUse),
            Condition::Spawns => Some(RuleId::VforkSpawn),
            Condition::Constructor => Some(RuleId::CtorUse),
        }
    }
}

/// What one `under` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Under {
    /// The circumstances.
    pub condition: Condition,
    /// How many threads, microseconds, bytes or calls; 0 where there is no number.
    pub number: u64,
}

impl Under {
    /// What the operation says; `None` if it says nothing, or is of another kind.
    pub fn of(op: &Op) -> Option<Under> {
        let condition = *Condition::ALL.get(usize::try_from(op.b).ok()?)?;
        let is_right = condition.has_number() == (op.a != 0);
        (op.call == Call::Under && is_right).then_some(Under {
            condition,
            number: op.a,
        })
    }

    /// The operation that says so.
    pub const fn op(self) -> Op {
        Op::new(
            Call::Under,
            NO_SLOT,
            self.number,
            self.condition as u8 as u64,
        )
    }

    /// Reads what follows `under`; `None` if that is something else.
    pub fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Op> {
        let first = words.next()?;
        let named = |condition: &Condition| condition.as_str().split(' ').next() == Some(first);
        let condition = Condition::ALL.into_iter().find(named)?;
        for word in condition.as_str().split(' ').skip(1) {
            words.next().filter(|next| *next == word)?;
        }
        let number = match condition.has_number() {
            false => 0,
            true => {
                let word = words.next()?;
                let digits = word.bytes().all(|byte| byte.is_ascii_digit());
                word.parse().ok().filter(|&it: &u64| digits && it > 0)?
            }
        };
        Some(Under { condition, number }.op())
    }
}

impl fmt::Display for Under {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        if self.condition.has_number() {
            write!(f, " {}", self.number)?;
        }
        Ok(())
    }
}

impl Program {
    /// How many other threads work beside it at most.
    pub fn others(&self) -> u64 {
        let under = self.ops.iter().filter_map(Under::of);
        let others = under.filter(|under| under.condition == Condition::Threads);
        others.map(|under| under.number).max().unwrap_or(0)
    }

    /// Whether other threads work beside it at some time.
    pub fn is_among_threads(&self) -> bool {
        self.others() > 0
    }

    /// The program with nobody at work beside it.
    #[must_use]
    pub fn without_others(&self) -> Program {
        let mut program = self.clone();
        program
            .ops
            .retain(|op| Under::of(op).is_none_or(|under| under.condition != Condition::Threads));
        program.legalise();
        program
    }

    /// The program under no circumstances, nothing of it in a child.
    #[must_use]
    pub fn without_circumstances(&self) -> Program {
        let mut program = self.clone();
        program.retain(|op| !op.call.is_circumstance());
        program
    }

    /// The program with at most so many at work beside it.
    #[must_use]
    pub fn with_others(&self, most: u64) -> Program {
        let mut program = self.clone();
        for op in &mut program.ops {
            if let Some(under) = Under::of(op).filter(|it| it.condition == Condition::Threads) {
                let number = under.number.min(most);
                *op = Under { number, ..under }.op();
            }
        }
        program
    }

    /// Whether it runs in a constructor.
    pub fn is_in_constructor(&self) -> bool {
        let under = self.ops.first().and_then(Under::of);
        under.is_some_and(|under| under.condition == Condition::Constructor)
    }

    /// Whether the operation at `index` is one that a child makes.
    pub fn is_in_child(&self, index: usize) -> bool {
        let mut before = self.ops.iter().take(index + 1);
        let last = before.rfind(|op| matches!(op.call, Call::Fork | Call::Wait));
        last.is_some_and(|op| op.call == Call::Fork) && self.ops[index].call != Call::Fork
    }

    /// The rules about the circumstances of operations, each with the position from which on it is the one to blame for
    /// what breaks and would not otherwise.
    pub fn circumstances(&self) -> Vec<(usize, RuleId)> {
        let threads = self.is_among_threads();
        let mut found = Vec::new();
        for (index, op) in self.ops.iter().enumerate() {
            let (at, rule) = match op.call {
                Call::Under => (index, Under::of(op).and_then(|it| it.condition.rule())),
                Call::Fork if threads => {
                    // Whoever comes to what is repeated again has forked before.
                    let again = self.ops[index..].iter().enumerate();
                    let again = again
                        .filter(|(_, op)| op.call == Call::Repeat)
                        .map(|(offset, op)| (index + offset).saturating_sub(op.b as usize))
                        .find(|&start| start <= index);
                    found.extend(again.map(|start| (start, RuleId::ForkMtParent)));
                    (index + 1, Some(RuleId::ForkMtChild))
                }
                Call::Wait if threads => (index, Some(RuleId::ForkMtParent)),
                Call::Fork => (index, Some(RuleId::ForkSt)),
                _ => continue,
            };
            found.extend(rule.map(|rule| (at, rule)));
        }
        found.sort_by_key(|&(at, _)| at);
        found
    }

    /// The rule about the circumstances of the operation at `index`, if there is one.
    pub fn circumstance_at(&self, index: usize) -> Option<RuleId> {
        let before = |&(at, _): &(usize, RuleId)| at <= index;
        let found = self.circumstances();
        found
            .into_iter()
            .take_while(before)
            .last()
            .map(|(_, rule)| rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_again() {
        for condition in Condition::ALL {
            let number = if condition.has_number() { 3 } else { 0 };
            let under = Under { condition, number };
            let text = under.to_string();
            let op = Under::parse(&mut text.split(' '));
            assert_eq!(op, Some(under.op()), "{text}");
            assert_eq!(Under::of(&under.op()), Some(under));
        }
        for wrong in [
            "",
            "threads",
            "threads 0",
            "threads x",
            "no",
            "no proof",
            "rain",
        ] {
            assert_eq!(Under::parse(&mut wrong.split(' ')), None, "{wrong}");
        }
    }

    #[test]
    fn without_circumstances_a_child_is_no_child() {
        let parse = |lines: &str| Program::parse(&format!("# allocspec trace 1\n{lines}")).unwrap();
        let program = parse("under threads 4\np0 = malloc 1\nfork\nfree p0\nwait\np1 = malloc 2");
        let plain = parse("p0 = malloc 1\nfree p0\np1 = malloc 2");
        assert_eq!(program.without_circumstances(), plain);
        assert_eq!(plain.without_circumstances(), plain);
    }

    fn blamed(lines: &str) -> Vec<Option<RuleId>> {
        let program = Program::parse(&format!("# allocspec trace 1\n{lines}")).unwrap();
        (0..program.ops.len())
            .map(|index| program.circumstance_at(index))
            .collect()
    }

    #[test]
    fn who_forks_alone_has_one_rule_for_both_sides() {
        let st = Some(RuleId::ForkSt);
        assert_eq!(
            blamed("p0 = malloc 1\nfork\nfree p0\nwait\nfree p0"),
            [None, st, st, st, st]
        );
    }

    #[test]
    fn among_threads_parent_and_child_have_their_own() {
        let (child, parent) = (Some(RuleId::ForkMtChild), Some(RuleId::ForkMtParent));
        let shared = Some(RuleId::ThreadSafe);
        assert_eq!(
            blamed("under threads 4\np0 = malloc 1\nfork\nfree p0\nwait\nsweep"),
            [shared, shared, shared, child, parent, parent]
        );
        assert_eq!(
            blamed("under threads 4\nsweep\nfork\nsweep\nwait\nrepeat 3 x 4"),
            [shared, parent, parent, child, parent, parent]
        );
    }

    #[test]
    fn only_what_comes_first_runs_in_a_constructor() {
        let program = |lines: &str| Program::parse(&format!("# allocspec trace 1\n{lines}"));
        let early = program("under constructor\np0 = malloc 1").expect("a trace");
        assert!(early.is_in_constructor());
        assert!(
            !program("p0 = malloc 1")
                .expect("a trace")
                .is_in_constructor()
        );
        assert!(program("p0 = malloc 1\nunder constructor").is_err());
    }

    #[test]
    fn other_circumstances_hold_from_where_they_stand() {
        let signals = Some(RuleId::SignalInterrupt);
        assert_eq!(
            blamed("sweep\nunder signals 100\nsweep"),
            [None, signals, signals]
        );
    }
}
