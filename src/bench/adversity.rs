//! What it costs to make things hard for an allocator.

use super::{Measure, Subject};
use crate::program::{Program, TraceError};
use crate::run::{self, CheckError, SubjectSpec};

/// Blocks that the C library maps, one after another, each with a system call and given back with another.
const MAPPED: usize = 5000;
/// Threads that call the subject at once.
const THREADS: usize = 4;
/// Rounds of each of them.
const ROUNDS: usize = 50_000;
const RUNS: u32 = 5;
const SWEPT: u32 = 500;

pub(super) fn measure() -> Result<Vec<Measure>, CheckError> {
    let subject = SubjectSpec::System;
    let paced = |text: &str, runs, closely| {
        let program = parse(text).map_err(|error: TraceError| {
            CheckError::Internal(format!("a program to measure with: {error}"))
        })?;
        run::pace(&subject, &program, runs, closely)
    };
    let plain = paced(&mapping(), RUNS, false)?;
    // The number is beyond all that come, so that each is asked about and let pass.
    let let_pass = format!("fail syscall any 1000000000\n{}", mapping());
    let watched = paced(&let_pass, RUNS, false)?;
    if watched.intercepted < MAPPED as u64 {
        return Err(CheckError::Resources {
            what: "the interception of system calls (seccomp)",
            reason: "none was seen".into(),
        });
    }
    let more = watched.run.saturating_sub(plain.run).as_secs_f64();
    let swept = "fail syscall any 1\np0 = malloc 67108864\nfree p0\nfail syscall none\n";
    let swept = paced(swept, SWEPT, true)?;
    let (one, many) = (
        paced(&rounds(1), RUNS, false)?,
        paced(&rounds(THREADS), RUNS, false)?,
    );
    let rate = |pace: run::Pace| pace.ops as f64 / pace.run.as_secs_f64() / 1e6;
    let measure = |what: &str, value, unit| Measure::new(Subject::Adversity, what, value, unit);
    Ok(vec![
        measure(
            "a system call let pass by the supervisor: more than by itself",
            more * 1e6 / watched.intercepted as f64,
            "us",
        ),
        measure(
            "runs of a sweep, a system call failing in each",
            1.0 / swept.run.as_secs_f64(),
            "/s",
        ),
        measure("operations of one thread", rate(one), "M/s"),
        measure("operations of four threads at once", rate(many), "M/s"),
    ])
}

fn parse(lines: &str) -> Result<Program, TraceError> {
    Program::parse(&format!("# allocspec trace 1\n{lines}"))
}

fn mapping() -> String {
    format!("p0 = malloc 67108864\nfree p0\nrepeat {} x 2\n", MAPPED - 1)
}

/// So many threads that make and free blocks of their own.
fn rounds(threads: usize) -> String {
    let thread = |number| {
        format!(
            "thread {number}\np{number} = malloc 100\nfree p{number}\nrepeat {} x 2\n",
            ROUNDS - 1
        )
    };
    let threads: String = (1..=threads).map(thread).collect();
    threads + "join\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_are_legal() {
        for text in [mapping(), rounds(1), rounds(THREADS)] {
            let program = parse(&text).expect("a program");
            assert_eq!(program.check(), Ok(()), "{text}");
        }
    }
}
