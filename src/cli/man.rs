//! `allocspec man`: the manual page.

use super::output::Output;
use super::{Answer, Failure};
use clap::Args;
use clap_mangen::Man;

/// What clap does not know of.
const EXIT_STATUS: &[u8] = br#".SH "EXIT STATUS"
.TP
0
conformant, or the command was carried out
.TP
1
a rule is broken that must be kept, or a mutant was not caught
.TP
2
the subject or the arguments could not be used; one line on standard error says why
.TP
3
the harness itself failed
"#;

/// Prints the manual page, or that of a subcommand
#[derive(Debug, Args)]
pub struct Arguments {
    /// The subcommand
    command: Option<String>,
}

pub fn run(arguments: &Arguments, mut command: clap::Command) -> Result<Answer, Failure> {
    command.build();
    let page = match &arguments.command {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            Failure::Unusable(format!(
                "no subcommand is named {name:?}: see `allocspec help`"
            ))
        })?,
    };
    Output::Standard.write(|out| {
        Man::new(page).render(&mut *out)?;
        out.write_all(EXIT_STATUS)
    })?;
    Ok(Answer::Good)
}
