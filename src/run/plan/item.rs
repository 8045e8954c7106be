//! One program of a plan: how it is run, how long it may take, and what it costs.

use crate::program::{Call, Failing, Program, Which};
use crate::run::budget::Budget;
use crate::run::phase::Phase;
use crate::run::process;
use std::time::{Duration, Instant};

/// The share of the time that one program of the plan may take.
const SHARE: u32 = 6;
/// And that it may always take, if there is as much.
const LEAST_SHARE: Duration = Duration::from_secs(1);
/// What a sweep costs, in runs of its program: about as many as there are system calls to fail.
const RUNS: u64 = 8;

/// One program to run.
#[derive(Clone, Debug)]
pub struct Item {
    /// The program.
    pub program: Program,
    /// How it came to be: `vector NAME`, `directed RULE`, `first call`, `random N`, `threads RULE`, `threads N`.
    pub phase: String,
    /// Whether it must be run in a process in which nothing was called before.
    pub once: bool,
    /// Whether it was given by the user, and is run as it is and however long it takes.
    pub(super) given: bool,
    /// How much of the time it may take.
    pub(super) share: Share,
    /// What it costs, roughly: see [`Program::cost`].
    pub(super) cost: u64,
}

/// How much of the time one program may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    /// All that is left.
    Rest,
    /// One in so many parts, but at least so much.
    Part(u32, Duration),
}

impl Item {
    /// A program given by the user.
    pub fn given(program: Program, once: bool) -> Item {
        Item {
            once,
            given: true,
            share: Share::Rest,
            ..Item::planned(program, "replay".into())
        }
    }

    /// A program of the plan, in a fresh process if it needs one.
    pub(super) fn planned(program: Program, phase: String) -> Item {
        Item {
            cost: cost(&program),
            once: is_fresh(&program),
            program,
            phase,
            given: false,
            share: Share::Part(SHARE, LEAST_SHARE),
        }
    }

    /// The same with another program in its place.
    #[must_use]
    pub fn with(&self, program: Program) -> Item {
        Item {
            program,
            ..self.clone()
        }
    }

    /// Whether its first operation is the first call of a process.
    pub fn is_first_call(&self) -> bool {
        self.once && !is_fresh(&self.program)
    }

    /// Whether the program is run again and again, another system call failing each time, until none is left to fail.
    pub fn is_sweep(&self) -> bool {
        !self.given && fails_one_by_one(&self.program)
    }

    /// The same program, in which the system call of this number fails, or those from it on.
    #[must_use]
    pub fn failing(&self, number: u64) -> Item {
        let mut item = self.clone();
        for op in &mut item.program.ops {
            if let Some(failing) = Failing::of(op) {
                *op = Failing { number, ..failing }.op();
            }
        }
        item
    }

    /// The number after this one in a sweep. Where all fail from one on, the runs differ less and less.
    pub fn next_to_fail(&self, number: u64) -> u64 {
        let mut failing = self.program.ops.iter().filter_map(Failing::of);
        match failing.all(|failing| failing.which == Which::From) {
            true => 2 * number,
            false => number + 1,
        }
    }

    /// Keeps at most so many operations of the program, if it has no repetitions.
    pub fn cut_short(&mut self, ops: u64) {
        if self.program.steps() > ops && self.program.ops.iter().all(|op| op.call != Call::Repeat) {
            self.program.ops.truncate(ops as usize);
        }
    }

    /// The phase that it is of; `None` if it was given by the user.
    pub fn phase(&self) -> Option<Phase> {
        Some(match self.phase.split(' ').next()? {
            "vector" => Phase::Vectors,
            "directed" => Phase::Directed,
            "first" => Phase::FirstCalls,
            "random" => Phase::Random,
            "threads" => Phase::Threads,
            _ => return None,
        })
    }

    /// When a run of the program is to stop, in nanoseconds of the monotonic clock: one program must not take the time
    /// of all others.
    pub fn deadline(&self, budget: &Budget) -> u64 {
        let left = budget.latest().saturating_duration_since(Instant::now());
        let share = match self.share {
            Share::Rest => left,
            Share::Part(part, least) => left.min((budget.time / part).max(least)),
        };
        process::now() + share.as_nanos() as u64
    }
}

/// Whether a program begins in circumstances of its own: everything is to be done in them for the first time.
pub fn is_fresh(program: &Program) -> bool {
    program.ops.first().is_some_and(|op| op.call == Call::Under)
}

/// Whether system calls fail in the program, the first alone or all from the first on: one run shows how many there are
/// to fail.
fn fails_one_by_one(program: &Program) -> bool {
    let mut failing = program.ops.iter().filter_map(Failing::of).peekable();
    failing.peek().is_some()
        && failing.all(|failing| failing.which != Which::Some && failing.number == 1)
}

/// What a program of the plan costs, roughly: see [`Program::cost`]. System calls that fail at random wait for those that
/// fail one by one, which show the same in shorter programs.
fn cost(program: &Program) -> u64 {
    let mut failing = program.ops.iter().filter_map(Failing::of);
    let runs = match failing.any(|failing| failing.which == Which::Some) {
        true => 2 * RUNS,
        false if fails_one_by_one(program) => RUNS,
        false => 1,
    };
    program.cost().saturating_mul(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Op, Syscall};

    /// An item whose system calls fail from the first on, or the first alone.
    fn failing(which: Which, given: bool) -> Item {
        let first = Failing {
            syscall: Syscall::Any,
            which,
            number: 1,
        };
        let ops = vec![
            first.op(),
            Op::new(Call::Malloc, 0, 1 << 20, 0),
            Failing::none(),
        ];
        let program = Program { rule: None, ops };
        Item {
            given,
            ..Item::given(program, false)
        }
    }

    #[test]
    fn a_sweep_goes_from_system_call_to_system_call() {
        let numbers = |which| {
            let mut numbers = vec![1];
            for _ in 0..3 {
                let item = failing(which, false);
                numbers.push(item.next_to_fail(numbers[numbers.len() - 1]));
            }
            numbers
        };
        assert_eq!(numbers(Which::Nth), [1, 2, 3, 4]);
        assert_eq!(numbers(Which::From), [1, 2, 4, 8]);

        let item = failing(Which::Nth, false);
        assert!(item.is_sweep());
        let third = item.failing(3).program;
        let text: Vec<String> = third.lines().map(|line| line.to_string()).collect();
        assert_eq!(
            text,
            [
                "fail syscall any 3",
                "p0 = malloc 1048576",
                "fail syscall none"
            ]
        );
        assert!(!item.failing(3).is_sweep(), "what is in it has been chosen");
        assert!(!failing(Which::Some, false).is_sweep(), "all are at random");
        assert!(
            !failing(Which::Nth, true).is_sweep(),
            "a replay is run as it is"
        );
    }
}
