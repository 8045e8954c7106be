//! `allocspec gate`: many subjects against what is recorded of them.

use super::options::FormOptions;
use super::output::Output;
use super::outputs::Outputs;
use super::progress::Bar;
use super::{Answer, Failure, values};
use crate::gate::{self, GateError, GateFile, GateOptions, GateSubject, Ran, Shard};
use crate::report::document::{Entry, Standing};
use crate::report::json;
use crate::report::save::prepare;
use crate::report::terminal::gate as terminal;
use crate::run::CheckError;
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Checks many allocators against their recorded deviations and facts, for CI
///
/// Fails on a rule that is newly broken, on a recorded deviation that is gone, and on a fact that has changed.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The gate file
    #[arg(default_value = "conformance/gate.toml")]
    file: PathBuf,
    /// Only these subjects
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only part I of N, so that several machines can share the work
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Time for each subject, instead of what the file says: 500ms, 10s, 2m
    #[arg(long, value_parser = values::duration)]
    time: Option<Duration>,
    /// Fails on subjects that are not installed
    #[arg(long)]
    require: bool,
    /// Writes the expectations from what is seen, with reasons left to fill in, and says what it changed
    #[arg(long)]
    bless: bool,
    /// Subjects side by side [default: one a processor]
    #[arg(long, short, value_name = "N", value_parser = values::jobs)]
    jobs: Option<NonZeroUsize>,
    /// Writes RULE.trace and RULE.c for every finding into a directory for each subject in this one
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    forms: FormOptions,
    /// What stands under the title of a page
    #[arg(long, value_name = "TEXT", default_value = "")]
    caption: String,
    /// Shows no progress
    #[arg(long, short)]
    quiet: bool,
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Failure {
        Failure::Unusable(error.to_string())
    }
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let mut outputs = Outputs::open(&arguments.forms)?;
    let ran = check(arguments).inspect_err(|failure| {
        // The failure itself is told in any case.
        let _ = outputs.write_error(failure);
    })?;
    let (entries, changes) = bless(&ran, arguments)?;
    let changes: Vec<terminal::Changes<'_>> = changes
        .iter()
        .map(|(name, changes)| (*name, *changes))
        .collect();
    outputs.write(
        &entries,
        &arguments.caption,
        |out, width| terminal::write(&entries, &changes, out, width),
        |out| json::write_gate(&entries, out),
    )?;
    answer(&ran, &entries)
}

fn check(arguments: &Arguments) -> Result<Vec<Ran>, Failure> {
    let mut file = GateFile::read(&arguments.file)?;
    for subject in &mut file.subjects {
        subject.options.time = arguments.time.unwrap_or(subject.options.time);
    }
    let subjects = chosen(&file, arguments)?;
    if let Some(out) = &arguments.out {
        prepare(out).map_err(|error| Failure::Unusable(error.to_string()))?;
    }
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let options = GateOptions {
        require: arguments.require,
        bless: arguments.bless,
        jobs: arguments.jobs.map_or(processors, NonZeroUsize::get),
        out: arguments.out.clone(),
    };
    let bar = Bar::new(arguments.quiet);
    let mut done = 0;
    let ran = gate::run(&subjects, &options, &mut |ran| {
        done += 1;
        bar.tell(format!("{done} of {}: {}", subjects.len(), ran.entry.name));
    })?;
    Ok(ran)
}

fn chosen<'a>(file: &'a GateFile, arguments: &Arguments) -> Result<Vec<&'a GateSubject>, Failure> {
    let known = |name: &String| file.subjects.iter().any(|subject| subject.name == *name);
    if let Some(name) = arguments.only.iter().find(|name| !known(name)) {
        let names: Vec<&str> = file.subjects.iter().map(|of| of.name.as_str()).collect();
        return Err(Failure::Unusable(format!(
            "no subject is named {name:?}: use one of {}",
            names.join(", ")
        )));
    }
    let wanted = file
        .subjects
        .iter()
        .filter(|subject| arguments.only.is_empty() || arguments.only.contains(&subject.name));
    let in_shard = |position| arguments.shard.is_none_or(|shard| shard.has(position));
    Ok(wanted
        .enumerate()
        .filter(|(position, _)| in_shard(*position))
        .map(|(_, subject)| subject)
        .collect())
}

/// What was changed for one subject.
type Change<'a> = (&'a str, &'a [String]);

/// Writes what was blessed: the entries as they stand then, and the changes.
fn bless<'a>(
    ran: &'a [Ran],
    arguments: &Arguments,
) -> Result<(Vec<Entry>, Vec<Change<'a>>), Failure> {
    let mut entries: Vec<Entry> = ran.iter().map(|ran| ran.entry.clone()).collect();
    let mut changes = Vec::new();
    if !arguments.bless {
        return Ok((entries, changes));
    }
    let file = GateFile::read(&arguments.file)?;
    for (ran, entry) in ran.iter().zip(&mut entries) {
        let subject = file.subjects.iter().find(|of| of.name == entry.name);
        let (Some(blessed), Some(subject)) = (&ran.blessed, subject) else {
            continue;
        };
        if let Some(directory) = subject.expectations.parent() {
            std::fs::create_dir_all(directory).map_err(|error| {
                Failure::Unusable(format!("cannot make {}: {error}", directory.display()))
            })?;
        }
        Output::open(Some(&subject.expectations))?
            .write(|out| out.write_all(blessed.text.as_bytes()))?;
        changes.push((ran.entry.name.as_str(), &blessed.changes[..]));
        if let Some(judgement) = &mut entry.judgement {
            judgement.verdict = Standing::Pass;
            judgement.complaints.clear();
        }
    }
    Ok((entries, changes))
}

fn answer(ran: &[Ran], entries: &[Entry]) -> Result<Answer, Failure> {
    let failed: Vec<&Ran> = ran.iter().filter(|ran| ran.error.is_some()).collect();
    if !failed.is_empty() {
        let names: Vec<&str> = failed.iter().map(|ran| ran.entry.name.as_str()).collect();
        let line = format!("could not be checked: {}", names.join(", "));
        let internal = |ran: &&Ran| matches!(ran.error, Some(CheckError::Internal(_)));
        return Err(match failed.iter().any(internal) {
            true => Failure::Internal(line),
            false => Failure::Unusable(line),
        });
    }
    Ok(match json::standing(entries) {
        Standing::Pass => Answer::Good,
        _ => Answer::Bad,
    })
}
