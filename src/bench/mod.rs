//! How fast the harness and the reference are.
//!
//! Machines differ and are seldom quiet, so what is compared is measured in turns within one run, in processor time, and
//! what is told is a ratio: the median over the turns.

mod adversity;
pub mod checking;
mod clock;
mod growth;
mod large;
mod plot;
pub mod reference;
mod shrinking;
mod start;
pub mod workload;

pub use growth::Point;
pub use plot::plot;

use crate::run::CheckError;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Operations fully checked, beside the same operations unchecked.
    Checking,
    /// The same with ever more live blocks.
    Growth,
    /// The contents of large blocks.
    Large,
    /// The reference beside CPython's own allocator and others.
    Reference,
    /// Candidates of the shrinker.
    Shrinking,
    /// System calls that fail on purpose, and threads.
    Adversity,
    /// From the command line to a verdict.
    Start,
}

impl Subject {
    /// Everything there is to measure.
    pub const ALL: [Subject; 7] = [
        Subject::Checking,
        Subject::Growth,
        Subject::Large,
        Subject::Reference,
        Subject::Shrinking,
        Subject::Adversity,
        Subject::Start,
    ];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Checking => "checking",
            Subject::Growth => "growth",
            Subject::Large => "large",
            Subject::Reference => "reference",
            Subject::Shrinking => "shrinking",
            Subject::Adversity => "adversity",
            Subject::Start => "start",
        }
    }
}

/// What a measure should come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Target {
    /// Whether a value is within the target.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
        }
    }
}

/// One thing measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// What it belongs to.
    pub subject: Subject,
    /// What it is.
    pub what: String,
    /// The value.
    pub value: f64,
    /// The unit of the value: `M/s`, `ns`, `ms`, `x` for a ratio.
    pub unit: &'static str,
    /// What it should come to; none if it is told for the record.
    pub target: Option<Target>,
}

impl Measure {
    fn new(subject: Subject, what: impl Into<String>, value: f64, unit: &'static str) -> Measure {
        Measure {
            subject,
            what: what.into(),
            value,
            unit,
            target: None,
        }
    }

    fn with_target(self, target: Target) -> Measure {
        Measure {
            target: Some(target),
            ..self
        }
    }
}

/// Measures the subjects one after the other; `tell` has every measure as it is made.
///
/// # Errors
///
/// When the machine refuses memory or workers.
pub fn bench(subjects: &[Subject], tell: &mut dyn FnMut(&Measure)) -> Result<(), CheckError> {
    for subject in subjects {
        let measures = match subject {
            Subject::Checking => checking::measure()?,
            Subject::Growth => growth::measure()?,
            Subject::Large => large::measure(),
            Subject::Reference => reference::measure(),
            Subject::Shrinking => shrinking::measure()?,
            Subject::Adversity => adversity::measure()?,
            Subject::Start => start::measure()?,
        };
        measures.iter().for_each(&mut *tell);
    }
    Ok(())
}

/// The cost of an operation from a hundred live blocks to `most`, checked and unchecked.
///
/// # Errors
///
/// When the machine refuses memory.
pub fn growth(most: u32) -> Result<Vec<Point>, CheckError> {
    growth::points(most)
}

/// The machine refused memory for the model.
fn refused(error: &std::io::Error) -> CheckError {
    CheckError::Resources {
        what: "memory for the model",
        reason: error.to_string(),
    }
}
