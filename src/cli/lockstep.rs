//! `allocspec lockstep`: a real CPython and the reference, address for address.

use super::output::Output;
use super::{Answer, Failure};
use crate::lockstep::{Golden, Lockstep, LockstepError, LockstepOptions, lockstep};
use crate::pymalloc::Edition;
use crate::report::words::thousands;
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;

/// Plays one script in a Python interpreter and on the reference and compares every address
///
/// Both allocators get the same requests, and the same answers to their own: arenas at the same places, the same
/// failures. Every address they return, every arena they obtain and give back and every request to the raw domain must
/// be the same, and the statistics in the end. CPython 3.5 and later can be followed, unless they are free-threaded.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The interpreter: a path, or a name that is in PATH
    #[arg(long, value_name = "EXE")]
    python: PathBuf,
    /// Calls and other steps
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    ops: u64,
    /// The seed of the script: the same seed makes the same script for every version with the same layout
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Takes the reference as in this version or with this layout, not the interpreter's: to see what makes them
    /// different
    #[arg(long, value_name = "VERSION", conflicts_with = "record")]
    layout: Option<Edition>,
    /// Writes what the interpreter does into this file as a golden trace, and compares nothing
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

impl From<LockstepError> for Failure {
    fn from(error: LockstepError) -> Failure {
        match error {
            LockstepError::Invariant(_) => Failure::Internal(error.to_string()),
            _ => Failure::Unusable(error.to_string()),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    if let Some(file) = &arguments.record {
        let mut output = Output::open(Some(file))?;
        let golden = Golden::record(&arguments.python, arguments.seed, arguments.ops)?;
        output.write(|out| write!(out, "{golden}"))?;
        return Ok(Answer::Good);
    }
    let options = LockstepOptions {
        python: arguments.python.clone(),
        ops: arguments.ops,
        seed: arguments.seed,
        layout: arguments.layout,
    };
    let result = lockstep(&options, &mut |_| {})?;
    Output::Standard.write(|out| write(&options, &result, out))?;
    Ok(match result.difference {
        None => Answer::Good,
        Some(_) => Answer::Bad,
    })
}

fn write(options: &LockstepOptions, result: &Lockstep, out: &mut dyn Write) -> io::Result<()> {
    let (edition, totals) = (&result.edition, &result.totals);
    let python = options.python.display();
    let layout = edition.build.layout();
    writeln!(
        out,
        "interpreter   CPython {}, layout {layout} ({python})",
        edition.version
    )?;
    let seconds = result.elapsed.as_secs_f64();
    let speed = totals.steps as f64 / seconds.max(1e-9) / 1e6;
    if result.reference != *edition {
        let other = result.reference;
        let layout = other.build.layout();
        writeln!(
            out,
            "reference     CPython {}, layout {layout}",
            other.version
        )?;
    }
    writeln!(
        out,
        "script        seed {}, {} ops, {seconds:.1} s, {speed:.1} M ops a second",
        options.seed,
        thousands(totals.steps)
    )?;
    writeln!(
        out,
        "compared      {} addresses, {} arenas obtained and {} given back, {} raw requests;\n              \
         {} requests were made to fail",
        thousands(totals.addresses),
        thousands(totals.arenas),
        thousands(totals.arenas_freed),
        thousands(totals.raw),
        thousands(totals.failed),
    )?;
    match &result.difference {
        None => writeln!(out, "equal"),
        Some(difference) => write!(out, "\ndifferent\n{difference}"),
    }
}
