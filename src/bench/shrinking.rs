//! How many candidates the shrinker tries, each in a fresh process, and how long a long program takes to become short.

use super::{Measure, Subject, Target};
use crate::program::{Call, Op, Program, Vocabulary};
use crate::run::{self, CheckError, CheckOptions, SubjectSpec};
use crate::spec::RuleId;
use std::time::{Duration, Instant};

/// An allocator that keeps what `realloc` must not lose, unless the block is over-aligned.
const MUTANT: &str = "realloc-of-aligned-copies-nothing";
/// The operations of the long program.
const LONG: usize = 10_000;
/// Time that the shrinker may take is a share of this.
const TIME: Duration = Duration::from_secs(60);
/// Candidates in the measure of their rate.
const CANDIDATES: u32 = 2000;

pub(super) fn measure() -> Result<Vec<Measure>, CheckError> {
    let subject = SubjectSpec::Mutant(MUTANT.into());
    let pace = run::pace(&subject, &short(), CANDIDATES, true)?;
    let rate = 1.0 / pace.run.as_secs_f64();
    let started = Instant::now();
    let result = run::replay(&long(), &options())?;
    let seconds = started.elapsed().as_secs_f64();
    let Some(case) = result.cases.first() else {
        let reason = format!("nothing was found in mutant:{MUTANT}");
        return Err(CheckError::Internal(reason));
    };
    let left = case.program.ops.len();
    let measure = |what, value, unit| Measure::new(Subject::Shrinking, what, value, unit);
    Ok(vec![
        measure("candidates, each in a fresh process".to_owned(), rate, "/s")
            .with_target(Target::AtLeast(1000.0)),
        measure(format!("{LONG} operations shrunk to {left}"), seconds, "s")
            .with_target(Target::AtMost(5.0)),
    ])
}

fn options() -> CheckOptions {
    CheckOptions {
        subject: SubjectSpec::Mutant(MUTANT.into()),
        profile: None,
        seed: 1,
        time: TIME,
        ops: None,
        rules: vec![RuleId::AlignReallocFirst, RuleId::ReallocContent],
        phases: Vec::new(),
        jobs: 1,
        max_memory: 1 << 30,
        strict: false,
    }
}

/// A program of ten operations that breaks nothing.
fn short() -> Program {
    let ops = (0..5).map(|slot| Op::new(Call::Malloc, slot, 100, 0));
    let ops = ops.chain((0..5).map(|slot| Op::new(Call::Free, slot, 0, 0)));
    Program {
        rule: None,
        ops: ops.collect(),
    }
}

/// A long random program without over-aligned blocks, and in the middle of it one that is resized at the end, to more
/// than there is room for where it is.
fn long() -> Program {
    let vocabulary = Vocabulary {
        calls: [Call::Malloc, Call::Calloc, Call::Realloc, Call::Free]
            .into_iter()
            .collect(),
        hooked: false,
        max_slots: 1000,
        max_live: 16 << 20,
        ..Vocabulary::default()
    };
    let mut program = Program::random(1, &vocabulary, LONG - 3);
    let slot = program.slots() as u32;
    let middle = program.ops.len() / 2;
    program
        .ops
        .insert(middle, Op::new(Call::Memalign, slot, 256, 100));
    program.ops.push(Op::new(Call::Realloc, slot, 2000, 0));
    program.ops.push(Op::new(Call::Free, slot, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_are_legal() {
        assert_eq!(long().check(), Ok(()));
        assert_eq!(long().ops.len(), LONG);
        assert_eq!(short().check(), Ok(()));
    }
}
