//! Lockstep: the same part played by a real CPython and by the reference, and every address compared.
//!
//! An agent is loaded into the interpreter. It uses up whatever the allocator has left, so that its state is known, and
//! hooks the raw domain and the arena allocator. The reference is brought into the same state in this process. From
//! then on both play one [script](Script) on stages that are alike: what the hooks get to see is the same as
//! long as the allocators are. So the records of the two, which hold every address returned, every arena obtained and
//! given back and every raw request, must be equal word for word.

mod difference;
mod golden;
mod interpreter;
mod mutants;
mod play;
mod reference;
mod script;
mod stage;
mod statistics;
#[cfg(test)]
mod tests;
mod totals;
mod wire;

pub use difference::Difference;
pub use golden::{Golden, GoldenError};
pub use interpreter::Interpreter;
pub use mutants::{is_mutant, mutants};
pub use script::Script;
pub use totals::Totals;

use crate::pymalloc::Edition;
use play::Step;
use reference::{Reference, reference};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wire::STEPS;

/// Why nothing could be compared: one line that says what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum LockstepError {
    /// The interpreter cannot be followed.
    #[error("{} cannot be followed: {reason}", python.display())]
    Refused {
        /// the interpreter
        python: PathBuf,
        /// why
        reason: String,
    },
    /// The machine did not give what is needed.
    #[error("the machine refused {what}: {reason}")]
    Machine {
        /// memory, a descriptor
        what: &'static str,
        /// why
        reason: String,
    },
    /// The reference's own state is wrong.
    #[error("internal error: the reference is wrong: {0}: please report it with the command line")]
    Invariant(String),
}

/// A comparison.
#[derive(Clone, Debug)]
pub struct LockstepOptions {
    /// The interpreter.
    pub python: PathBuf,
    /// Steps to play.
    pub ops: u64,
    /// The seed of the script.
    pub seed: u64,
    /// The edition to take the reference in, if not that of the interpreter: to see what makes them different.
    pub layout: Option<Edition>,
}

/// What a comparison came to.
#[derive(Debug)]
pub struct Lockstep {
    /// What the interpreter is.
    pub edition: Edition,
    /// What the reference is.
    pub reference: Edition,
    /// What was compared.
    pub totals: Totals,
    /// Time it took, without that to start the interpreter.
    pub elapsed: Duration,
    /// The first difference, if there is one.
    pub difference: Option<Difference>,
}

/// An interpreter and the reference, at the same point of the same part.
struct Pair {
    interpreter: Interpreter,
    reference: Box<dyn Reference>,
    /// What the reference is.
    edition: Edition,
    script: Script,
    steps: Vec<Step>,
    totals: Totals,
}

/// Where the records of some steps differ: which step it is, and what either came to in it.
struct Split {
    /// The step, from the first one played.
    step: usize,
    interpreter: Vec<u64>,
    reference: Vec<u64>,
}

impl Pair {
    fn start(options: &LockstepOptions) -> Result<Pair, LockstepError> {
        let interpreter = Interpreter::start(&options.python)?;
        let edition = options.layout.unwrap_or(interpreter.edition);
        let build = edition.build;
        let reference =
            reference(build, interpreter.vector).map_err(|error| LockstepError::Machine {
                what: "memory",
                reason: error.to_string(),
            })?;
        Ok(Pair {
            script: Script::new(options.seed, interpreter.edition.geometry()),
            interpreter,
            reference,
            edition,
            steps: Vec::with_capacity(STEPS),
            totals: Totals::default(),
        })
    }

    /// Plays the next steps, so many at most, and says where the two differ.
    fn advance(&mut self, most: u64) -> Result<Option<Split>, LockstepError> {
        self.steps.clear();
        let count = most.min(STEPS as u64) as usize;
        self.steps.extend(self.script.by_ref().take(count));
        let theirs = self.interpreter.play(&self.steps)?;
        let ours = self.reference.play(&self.steps);
        if theirs == ours {
            self.totals.count(ours, self.steps.len());
            self.totals.failed = self.interpreter.failed();
            return Ok(None);
        }
        let at = difference::first(theirs, ours);
        let split = [theirs, ours].map(|record| difference::of_step(record, at));
        self.totals.count(&ours[..split[1].start], at);
        Ok(Some(Split {
            step: self.totals.steps as usize,
            interpreter: theirs[split[0].clone()].to_vec(),
            reference: ours[split[1].clone()].to_vec(),
        }))
    }
}

/// Plays a script in an interpreter and on the reference until they differ or it is at its end.
///
/// # Errors
///
/// When the interpreter cannot be followed, or the machine refuses what is needed.
pub fn lockstep(
    options: &LockstepOptions,
    tell: &mut dyn FnMut(u64),
) -> Result<Lockstep, LockstepError> {
    let mut pair = Pair::start(options)?;
    let (edition, reference) = (pair.interpreter.edition, pair.edition);
    let before = pair.interpreter.statistics()?;
    let usage = pair.reference.usage();
    let started = Instant::now();
    let mut split = None;
    while split.is_none() && pair.totals.steps < options.ops {
        split = pair.advance(options.ops - pair.totals.steps)?;
        tell(pair.totals.steps);
    }
    let elapsed = started.elapsed();
    pair.reference.check().map_err(LockstepError::Invariant)?;
    let totals = pair.totals;
    let difference = match split {
        Some(split) => {
            drop(pair);
            Some(difference::explain(options, split)?)
        }
        None => {
            let after = pair.interpreter.statistics()?;
            statistics::compare([&before, &after], [&usage, &pair.reference.usage()])
        }
    };
    Ok(Lockstep {
        edition,
        reference,
        totals,
        elapsed,
        difference,
    })
}
