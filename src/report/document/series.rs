//! What was measured while the same work was done again and again.

use crate::shadow::{Case, Evidence, Measured};
use serde::Serialize;

#[cfg(test)]
use schemars::JsonSchema;

/// The size of a process over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Series {
    /// What grows on and on: `resident` or `mapped`.
    pub grows: &'static str,
    /// The bytes by which it may rise from one fifth of the measurements to the next.
    pub allowed: u64,
    /// Resident bytes at each measurement, without those of the harness.
    pub resident: Vec<u64>,
    /// Mapped bytes at each measurement.
    pub mapped: Vec<u64>,
}

impl Series {
    /// The measurements of a case; none if it is not about growth.
    pub fn of(case: &Case) -> Option<Series> {
        let Evidence::Climb {
            what,
            allowed,
            samples,
            ..
        } = &case.finding.evidence
        else {
            return None;
        };
        let all = |what: Measured| samples.iter().map(|sample| what.of(sample)).collect();
        Some(Series {
            grows: match what {
                Measured::Resident => "resident",
                Measured::Mapped => "mapped",
            },
            allowed: *allowed,
            resident: all(Measured::Resident),
            mapped: all(Measured::Mapped),
        })
    }
}
