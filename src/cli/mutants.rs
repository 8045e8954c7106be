//! `allocspec mutants`: the checker checked.

use super::output::Output;
use super::progress::Bar;
use super::{Answer, Failure, values};
use crate::report::write_matrix;
use crate::run::{self, MutantOptions, MutantRow, MutantVerdict};
use crate::{fuzz, lockstep};
use clap::Args;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Runs allocators that are wrong on purpose and shows which rule catches each
///
/// Faults that no rule speaks of are looked for elsewhere: those of order in lockstep with the sound reference, those of
/// the debug layer by a model of it.
/// Fails if one is not caught, or is caught by a rule that it does not break.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The mutants to run [default: all]
    names: Vec<String>,
    /// Time for each, beside the programs that were made for its rule: 500ms, 10s
    #[arg(long, value_parser = values::duration, default_value = "2s")]
    time: Duration,
    /// The seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Processes side by side [default: one a processor]
    #[arg(long, short, value_name = "N", value_parser = values::jobs)]
    jobs: Option<NonZeroUsize>,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let names = arguments.names.iter().cloned();
    let (compared, names) = names.partition::<Vec<String>, _>(|name| lockstep::is_mutant(name));
    let (layers, checked) = names
        .into_iter()
        .partition::<Vec<String>, _>(|name| fuzz::is_debug_mutant(name));
    let all = arguments.names.is_empty();
    let options = MutantOptions {
        names: checked,
        time: arguments.time,
        seed: arguments.seed,
        jobs: arguments.jobs.map_or(processors, NonZeroUsize::get),
    };
    let bar = Bar::new(false);
    let mut tell = |row: &MutantRow| bar.tell(format!("{} ({})", row.name, row.breaks));
    let mut rows = Vec::new();
    if all || !options.names.is_empty() {
        rows.extend(run::mutants(&options, &mut tell)?);
    }
    if all || !compared.is_empty() {
        rows.extend(lockstep::mutants(&compared, options.seed, &mut tell)?);
    }
    if all || !layers.is_empty() {
        rows.extend(fuzz::debug_mutants(&layers, options.seed, &mut tell));
    }
    drop(bar);
    Output::Standard.write(|out| write_matrix(&rows, out))?;
    let all_caught = rows.iter().all(|row| row.verdict == MutantVerdict::Caught);
    Ok(if all_caught {
        Answer::Good
    } else {
        Answer::Bad
    })
}
