//! `allocspec gate`: many subjects against what is recorded of them.

use super::options::FormOptions;
use super::output::Output;
use super::outputs::Outputs;
use super::progress::Bar;
use super::{Answer, Failure, values};
use crate::gate::{self, GateError, GateFile, GateOptions, GateSubject, Ran, RanError, Shard};
use crate::report::document::{Entry, Standing};
use crate::report::json;
use crate::report::save::prepare;
use crate::report::terminal::gate as terminal;
use crate::run::CheckError;
use clap::Args;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
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
    let (entries, changes, accepted) = accept(&ran);
    let written = outputs.write(
        &entries,
        &arguments.caption,
        |out, width| terminal::write(&entries, &changes, out, width),
        |out| json::write_gate(&entries, out),
    );
    accepted.and(written)?;
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
    if arguments.bless {
        for subject in &subjects {
            expectations_at(&subject.expectations)?;
        }
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

/// Makes sure that expectations can be written here, so that nobody finds out after the checks that they cannot be.
fn expectations_at(path: &Path) -> Result<Output, Failure> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let made = match directory.as_os_str().is_empty() {
        true => Ok(()),
        false => std::fs::create_dir_all(directory),
    };
    made.and_then(|()| Output::at(path))
        .map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Unusable(format!(
        "cannot write {}: {error}: make it writable, or name another file with `expectations`",
        path.display()
    ))
}

/// Writes what was blessed; what cannot be written keeps none of the others from being written.
///
/// Gives the entries as they stand then, and what was changed for each subject.
fn accept(ran: &[Ran]) -> (Vec<Entry>, Vec<terminal::Changes<'_>>, Result<(), Failure>) {
    let mut entries: Vec<Entry> = ran.iter().map(|ran| ran.entry.clone()).collect();
    let mut changes = Vec::new();
    let mut result = Ok(());
    for (ran, entry) in ran.iter().zip(&mut entries) {
        let Some(blessed) = &ran.blessed else {
            continue;
        };
        let path = &blessed.path;
        let written = expectations_at(path).and_then(|mut file| {
            let put = file.put(blessed.text.as_bytes());
            put.map_err(|error| unwritable(path, &error))
        });
        if written.is_ok() {
            changes.push((ran.entry.name.as_str(), &blessed.changes[..]));
            entry.judgement = Some(blessed.judgement.clone());
        }
        result = result.and(written);
    }
    (entries, changes, result)
}

fn answer(ran: &[Ran], entries: &[Entry]) -> Result<Answer, Failure> {
    let errors = || {
        ran.iter()
            .filter_map(|ran| Some((ran, ran.error.as_ref()?)))
    };
    let unchecked: Vec<&str> = errors()
        .filter(|(ran, _)| ran.entry.report.is_none())
        .map(|(ran, _)| ran.entry.name.as_str())
        .collect();
    let mut lines = Vec::new();
    if !unchecked.is_empty() {
        lines.push(format!("could not be checked: {}", unchecked.join(", ")));
    }
    let unkept = errors().filter(|(ran, _)| ran.entry.report.is_some());
    lines.extend(unkept.map(|(_, error)| error.to_string()));
    if !lines.is_empty() {
        let line = lines.join("; ");
        let is_internal =
            |error: &RanError| matches!(error, RanError::Check(CheckError::Internal(_)));
        return Err(match errors().any(|(_, error)| is_internal(error)) {
            true => Failure::Internal(line),
            false => Failure::Unusable(line),
        });
    }
    Ok(match json::standing(entries) {
        Standing::Pass => Answer::Good,
        _ => Answer::Bad,
    })
}
