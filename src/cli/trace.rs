//! `allocspec trace`: from an input of a fuzz target to a trace.

use super::options::SubjectOptions;
use super::output::Output;
use super::{Answer, Failure, say, values};
use crate::fuzz::input;
use crate::program::Program;
use crate::report::trace::vector;
use crate::run::{self, CheckOptions};
use crate::spec::Catalogue;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Writes the program of a fuzz target's input as a trace, shrunk if it breaks a rule
///
/// Inputs are the crash files and corpora of the targets `pymalloc` (subject `reference`) and `subject`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The input, such as fuzz/artifacts/pymalloc/crash-…
    input: PathBuf,
    #[command(flatten)]
    subject: SubjectOptions,
    /// The profile that the fuzz target was run with [default: linux, for the reference cpython-3.14]
    #[arg(long)]
    profile: Option<String>,
    /// Time to shrink
    #[arg(long, value_parser = values::duration, default_value = "10s")]
    time: Duration,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let name = arguments.input.display();
    let bytes = std::fs::read(&arguments.input).map_err(|error| {
        Failure::Unusable(format!(
            "cannot read {name}: {error}: give the path of an input"
        ))
    })?;
    let options = CheckOptions {
        profile: arguments.profile.clone(),
        time: arguments.time,
        ..input::options(arguments.subject.subject()?)
    };
    let vocabulary = run::plain_vocabulary(&options)?;
    let program = input::program(&bytes, &vocabulary).ok_or_else(|| {
        let subject = arguments.subject.subject.display();
        Failure::Unusable(format!(
            "{name} is an input that the fuzz targets reject: no legal trace, or not one for {subject} in a process \
             of the harness; `allocspec replay` runs traces"
        ))
    })?;
    let text = shrunk(&program, &options)?;
    Output::Standard.write(|out| out.write_all(text.as_bytes()))?;
    Ok(Answer::Good)
}

/// The smallest program that was found to break a rule, as a trace; the program itself if it breaks none.
fn shrunk(program: &Program, options: &CheckOptions) -> Result<String, Failure> {
    let result = run::replay(program, options)?;
    Ok(match result.cases.first() {
        Some(case) => vector(Catalogue::embedded(), case),
        None => {
            say("no rule is broken: the trace is the whole program");
            program.to_string()
        }
    })
}
