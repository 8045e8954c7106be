//! `allocspec diff`: what changed between two reports.

use super::output::Output;
use super::{Answer, Failure};
use crate::report::diff::{Difference, Told};
use clap::Args;
use std::path::{Path, PathBuf};

/// Shows what changed between two reports in JSON, such as those of two builds of an allocator
///
/// Fails if a rule is newly broken that must not be.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The report before the change
    before: PathBuf,
    /// The report after it
    after: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let before = read(&arguments.before)?;
    let after = read(&arguments.after)?;
    let difference = Difference::new(&before, &after).map_err(Failure::Unusable)?;
    let mut output = Output::Standard;
    let width = output.width();
    output.write(|out| difference.write(out, width))?;
    Ok(match difference.is_worse() {
        true => Answer::Bad,
        false => Answer::Good,
    })
}

fn read(path: &Path) -> Result<Told, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Unusable(format!(
            "cannot read {name}: {error}: give the path of a report in JSON"
        ))
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Unusable(format!(
            "{name} is no report of a check: {error}: write one with `allocspec check --format json=report.json`"
        ))
    })
}
