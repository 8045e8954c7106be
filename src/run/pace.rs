//! How fast programs are run, each in a fresh process as the shrinker and the sweeps run them.

use crate::program::Program;
use crate::run::process;
use crate::run::supervisor::launch;
use crate::run::{CheckError, SubjectSpec};
use crate::shadow::{Conduct, Ledger, Muted};
use crate::spec::RuleSet;
use std::time::{Duration, Instant};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a program may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What runs of a program took.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Wall time of a run, with the process it is in.
    pub run: Duration,
    /// Operations that a run made.
    pub ops: u64,
    /// System calls of the subject that were intercepted in a run.
    pub intercepted: u64,
}

/// Runs a program so many times, closely watched as a candidate of the shrinker if `closely`, but writing into blocks
/// only then.
///
/// # Errors
///
/// When the subject cannot be used, the machine refuses workers, or a run does not come to the program's end.
pub fn pace(
    subject: &SubjectSpec,
    program: &Program,
    runs: u32,
    closely: bool,
) -> Result<Pace, CheckError> {
    let mut launched = launch::launch(subject, PATIENCE)?;
    let conduct = Conduct {
        rules: RuleSet::default(),
        muted: Muted::NONE,
        stores: closely,
        closely,
    };
    let totals = Ledger::new();
    let started = Instant::now();
    for _ in 0..runs {
        let deadline = process::now() + DEADLINE.as_nanos() as u64;
        let run = launched.worker.run(program, &conduct, deadline, &totals);
        run.map_err(|error| CheckError::Resources {
            what: "a worker process",
            reason: error.to_string(),
        })?;
    }
    let each = |total: u64| total / u64::from(runs);
    Ok(Pace {
        run: started.elapsed() / runs,
        ops: each(totals.ops()),
        intercepted: each(totals.interception().seen()),
    })
}
