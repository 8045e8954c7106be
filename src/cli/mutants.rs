//! `allocspec mutants`: the checker checked.

use super::output::Output;
use super::progress::Bar;
use super::{Answer, Failure, values};
use crate::report::write_matrix;
use crate::run::{self, MutantOptions, MutantVerdict};
use clap::Args;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Runs allocators that are wrong on purpose and shows which rule catches each
///
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
    let options = MutantOptions {
        names: arguments.names.clone(),
        time: arguments.time,
        seed: arguments.seed,
        jobs: arguments.jobs.map_or(processors, NonZeroUsize::get),
    };
    let bar = Bar::new(false);
    let rows = run::mutants(&options, &mut |row| {
        bar.tell(format!("{} ({})", row.name, row.rule))
    })?;
    drop(bar);
    Output::Standard.write(|out| write_matrix(&rows, out))?;
    let all_caught = rows.iter().all(|row| row.verdict == MutantVerdict::Caught);
    Ok(if all_caught {
        Answer::Good
    } else {
        Answer::Bad
    })
}
