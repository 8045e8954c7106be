//! `allocspec bench`: how fast the harness and the reference are.

use super::output::Output;
use super::progress::Bar;
use super::{Answer, Failure};
use crate::bench::{self, Measure, Subject};
use crate::cli::options::ListFormat;
use crate::report::speed;
use clap::{Args, ValueEnum};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Lets allocators that were not made to be opened late have their thread-local storage; read when a process starts.
const TUNABLE: (&str, &str) = ("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536");

/// Measures the harness and the reference, beside what they are compared with
///
/// Values are ratios within one run wherever that can be; close other programs all the same.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    subjects: Vec<Subject>,
    /// The form of the table
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    format: ListFormat,
    /// Writes the table to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Draws the cost of an operation from 100 to 10,000,000 live blocks into this file (SVG), and measures nothing else
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subjects", "format", "output"])]
    plot: Option<PathBuf>,
}

impl ValueEnum for Subject {
    fn value_variants<'a>() -> &'a [Subject] {
        &Subject::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

/// Live blocks at the right end of the plot.
const MOST: u32 = 10_000_000;

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    if let Some(path) = &arguments.plot {
        let mut output = Output::open(Some(path))?;
        let points = bench::growth(MOST)?;
        let svg = bench::plot(&points)
            .map_err(|error| Failure::Internal(format!("the plot cannot be drawn: {error}")))?;
        output.write(|out| out.write_all(svg.as_bytes()))?;
        return Ok(Answer::Good);
    }
    if std::env::var_os(TUNABLE.0).is_none() {
        // Only comes back if it fails, and then that allocator is not there to be compared with.
        let _ = Command::new("/proc/self/exe")
            .args(std::env::args_os().skip(1))
            .env(TUNABLE.0, TUNABLE.1)
            .exec();
    }
    let mut output = Output::open(arguments.output.as_deref())?;
    let subjects = match arguments.subjects.as_slice() {
        [] => &Subject::ALL,
        some => some,
    };
    let bar = Bar::new(false);
    let mut measures: Vec<Measure> = Vec::new();
    bench::bench(subjects, &mut |measure| {
        bar.tell(measure.what.clone());
        measures.push(measure.clone());
    })?;
    drop(bar);
    output.write(|out| match arguments.format {
        ListFormat::Human => speed::write_table(&measures, out),
        ListFormat::Json => speed::write_json(&measures, out),
    })?;
    Ok(Answer::Good)
}
