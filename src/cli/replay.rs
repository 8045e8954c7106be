//! `allocspec replay`: one program again.

use super::check::{Limits, present};
use super::options::{ReportOptions, SubjectOptions};
use super::{Answer, Failure};
use crate::program::Program;
use crate::report::terminal::Detail;
use crate::run;
use clap::Args;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Runs the program of a trace and shows the rules it breaks
#[derive(Debug, Args)]
pub struct Arguments {
    /// The trace; - for standard input
    trace: PathBuf,
    #[command(flatten)]
    subject: SubjectOptions,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    report: ReportOptions,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    present(&arguments.report, Detail::Exercised, || {
        let program = read(&arguments.trace)?;
        let options = arguments
            .limits
            .options(arguments.subject.subject()?, arguments.report.strict);
        Ok(vec![("", run::replay(&program, &options)?)])
    })
}

fn read(path: &Path) -> Result<Program, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let name = path.display();
    let text = text.map_err(|error| {
        Failure::Unusable(format!(
            "cannot read {name}: {error}: give the path of a trace"
        ))
    })?;
    Program::parse(&text).map_err(|error| Failure::Unusable(format!("{name}: {error}")))
}
