//! From the command line to a verdict, as a user waits for it.

use super::clock::median;
use super::{Measure, Subject, Target};
use crate::run::CheckError;
use std::process::{Command, Stdio};
use std::time::Instant;

const TURNS: usize = 15;

pub(super) fn measure() -> Result<Vec<Measure>, CheckError> {
    ["reference", "system"]
        .map(|subject| {
            let turns = (0..TURNS).map(|_| milliseconds(subject));
            let turns = turns.collect::<Result<Vec<f64>, CheckError>>()?;
            let what = format!("allocspec check {subject} --ops 1");
            let measure = Measure::new(Subject::Start, what, median(turns), "ms");
            Ok(measure.with_target(Target::AtMost(100.0)))
        })
        .into_iter()
        .collect()
}

fn milliseconds(subject: &str) -> Result<f64, CheckError> {
    let started = Instant::now();
    let status = Command::new("/proc/self/exe")
        .args(["check", subject, "--ops", "1", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(started.elapsed().as_secs_f64() * 1e3),
        Ok(status) => Err(CheckError::Internal(format!("a check ended with {status}"))),
        Err(error) => Err(CheckError::Resources {
            what: "a process",
            reason: error.to_string(),
        }),
    }
}
