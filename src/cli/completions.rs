//! `allocspec completions`: the command line for a shell to complete.

use super::output::Output;
use super::{Answer, Failure};
use clap::Args;
use clap_complete::Shell;

/// Prints a completion script for a shell
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

pub fn run(arguments: &Arguments, mut command: clap::Command) -> Result<Answer, Failure> {
    Output::Standard.write(|out| {
        // Into memory, since the generator panics when it cannot write.
        let mut text = Vec::new();
        clap_complete::generate(arguments.shell, &mut command, "allocspec", &mut text);
        out.write_all(&text)
    })?;
    Ok(Answer::Good)
}
