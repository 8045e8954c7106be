//! The phases of a check: kinds of program, each of which has its part of the time.

use std::str::FromStr;
use std::time::Duration;

/// A kind of program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Those written by hand, of `conformance/programs`.
    Vectors,
    /// Those made for a rule.
    Directed,
    /// Each function as the first call of a process.
    FirstCalls,
    /// Random ones.
    Random,
    /// Those of several threads, made for a rule or random.
    Threads,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Phase; 5] = [
        Phase::Vectors,
        Phase::Directed,
        Phase::FirstCalls,
        Phase::Random,
        Phase::Threads,
    ];

    /// The word used on the command line and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Vectors => "vectors",
            Phase::Directed => "directed",
            Phase::FirstCalls => "first-calls",
            Phase::Random => "random",
            Phase::Threads => "threads",
        }
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(name: &str) -> Result<Phase, String> {
        let found = Phase::ALL.into_iter().find(|phase| phase.as_str() == name);
        found.ok_or_else(|| {
            let names = Phase::ALL.map(Phase::as_str).join(", ");
            format!("use one or more of {names}")
        })
    }
}

/// What a phase had of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseShare {
    /// The phase.
    pub phase: Phase,
    /// Its programs that were run.
    pub programs: u64,
    /// The time that took, with what was found; of all processes side by side together.
    pub time: Duration,
}
