//! `allocspec check`: one allocator against the rules of a profile.

use super::options::{ReportOptions, SubjectOptions};
use super::outputs::Outputs;
use super::progress::Bar;
use super::{Answer, Failure, values};
use crate::report::document::{Document, Entry};
use crate::report::save::{prepare, save};
use crate::report::terminal::{self, Detail};
use crate::report::{Report, json};
use crate::run::verdict::{CheckResult, Conformance};
use crate::run::{self, CheckOptions, Phase, SubjectSpec};
use crate::spec::{Catalogue, RuleId};
use clap::Args;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Checks an allocator and shows every broken rule with a program
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    subject: SubjectOptions,
    #[command(flatten)]
    limits: Limits,
    /// Stops after so many operations, if the time has not run out before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    ops: Option<u64>,
    /// Goes through these phases only: vectors, directed, first-calls, random, threads
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    phase: Vec<Phase>,
    /// The seed of every random choice: the same seed makes the same programs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Processes side by side [default: one a processor]
    #[arg(long, short, value_name = "N", value_parser = values::jobs)]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    report: ReportOptions,
}

/// What may be spent, and against what.
#[derive(Debug, Args)]
pub struct Limits {
    /// The rules: c99 c11 c17 c23 posix-2008 posix-2017 posix-2024 gnu cxx17 bsd linux cpython-3.14 …, or several joined
    /// by +; or hardened, which misuses the allocator and tells what comes of it
    /// [default: linux, for the reference that of its version]
    #[arg(long)]
    profile: Option<String>,
    /// Checks only these rules
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = values::rule)]
    rule: Vec<RuleId>,
    /// Time for everything: 500ms, 10s, 2m
    #[arg(long, value_parser = values::duration, default_value = "10s")]
    time: Duration,
    /// Live bytes at most: 512MiB, 1GiB
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "1GiB")]
    max_memory: u64,
}

impl Limits {
    /// A check of this subject within the limits.
    pub fn options(&self, subject: SubjectSpec, strict: bool) -> CheckOptions {
        CheckOptions {
            subject,
            profile: self.profile.clone(),
            seed: 1,
            time: self.time,
            ops: None,
            rules: self.rule.clone(),
            phases: Vec::new(),
            jobs: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            max_memory: self.max_memory,
            strict,
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    present(&arguments.report, Detail::Full, || {
        let subjects = arguments.subject.subjects()?;
        let time = arguments.limits.time.div_f64(subjects.len() as f64);
        let check = |(part, subject)| Ok((part, check(arguments, subject, time)?));
        subjects.into_iter().map(check).collect()
    })
}

fn check(
    arguments: &Arguments,
    subject: SubjectSpec,
    time: Duration,
) -> Result<CheckResult, Failure> {
    let mut options = arguments.limits.options(subject, arguments.report.strict);
    options.time = time;
    options.seed = arguments.seed;
    options.ops = arguments.ops;
    options.phases = arguments.phase.clone();
    if let Some(jobs) = arguments.jobs {
        options.jobs = jobs.get();
    }
    let bar = Bar::new(arguments.report.quiet);
    Ok(run::check(&options, &mut |progress| bar.show(progress))?)
}

/// Has something checked and reports what came of it, or why nothing did. Each of several results has a name among
/// them.
pub fn present(
    options: &ReportOptions,
    detail: Detail,
    check: impl FnOnce() -> Result<Vec<(&'static str, CheckResult)>, Failure>,
) -> Result<Answer, Failure> {
    let mut outputs = Outputs::open(&options.forms)?;
    // It would be a pity to find out after the check that nothing can be saved.
    let ready = options.out.as_deref().map_or(Ok(()), prepare);
    let ready = ready.map_err(|error| Failure::Unusable(error.to_string()));
    let results = match ready.and_then(|()| check()) {
        Ok(results) => results,
        Err(failure) => {
            outputs.write_error(&failure)?;
            return Err(failure);
        }
    };
    let mut entries = Vec::new();
    let mut saving = Ok(());
    for (part, result) in &results {
        let mut report = Report {
            result,
            catalogue: Catalogue::embedded(),
            saved: &[],
            strict: options.strict,
        };
        let saved = match &options.out {
            Some(directory) => save(&report, &directory.join(part)),
            None => Ok(Vec::new()),
        };
        // The report is shown whether or not the files could be written.
        report.saved = saved.as_deref().unwrap_or_default();
        let mut entry = Entry::of(Document::new(&report));
        if !part.is_empty() {
            entry.name = format!("{} {part}", entry.name);
        }
        entries.push(entry);
        saving = saving.and(saved.map(drop));
    }
    let detail = if options.quiet {
        Detail::Findings
    } else {
        detail
    };
    let documents = || entries.iter().filter_map(|entry| entry.report.as_ref());
    let title = documents()
        .next()
        .map_or("", |first| first.profile_title.as_str());
    outputs.write(
        &entries,
        &format!("Profile {title}"),
        |out, width| {
            for (index, document) in documents().enumerate() {
                if index > 0 {
                    writeln!(out)?;
                }
                terminal::write(document, out, width, detail)?;
            }
            Ok(())
        },
        |out| match documents().collect::<Vec<_>>()[..] {
            [document] => json::write(document, out),
            _ => json::write_gate(&entries, out),
        },
    )?;
    saving.map_err(|error| Failure::Unusable(error.to_string()))?;
    let conformant = |(_, result): &(_, CheckResult)| result.conformance == Conformance::Conformant;
    Ok(match results.iter().all(conformant) {
        true => Answer::Good,
        false => Answer::Bad,
    })
}
