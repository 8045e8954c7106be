//! The pace of the shrinker.

use super::{CheckError, SubjectSpec, launch, process};
use crate::program::Program;
use crate::shadow::{Conduct, Ledger, Muted};
use crate::spec::RuleSet;
use std::time::{Duration, Instant};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many times a second a program can be run as the shrinker runs its candidates: each in a fresh process.
///
/// # Errors
///
/// When the subject cannot be used or the machine refuses workers.
pub fn candidates_per_second(
    subject: &SubjectSpec,
    program: &Program,
    candidates: u32,
) -> Result<f64, CheckError> {
    let mut launched = launch::launch(subject, PATIENCE)?;
    let conduct = Conduct {
        rules: RuleSet::default(),
        muted: Muted::NONE,
        stores: true,
        closely: true,
    };
    let totals = Ledger::new();
    let started = Instant::now();
    for _ in 0..candidates {
        let deadline = process::now() + PATIENCE.as_nanos() as u64;
        let run = launched.worker.run(program, &conduct, deadline, &totals);
        run.map_err(|error| CheckError::Resources {
            what: "a worker process",
            reason: error.to_string(),
        })?;
    }
    Ok(f64::from(candidates) / started.elapsed().as_secs_f64())
}
