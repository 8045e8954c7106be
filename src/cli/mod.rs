//! The command line: one file a subcommand.
//!
//! Reports go to standard output and nothing else does; errors are one line on standard error that says what is wrong
//! and what to do. Exit status 0: conformant; 1: not; 2: the subject or the arguments could not be used; 3: the
//! harness failed.

mod bench;
mod check;
mod completions;
mod diff;
mod gate;
mod lockstep;
mod man;
mod mutants;
mod options;
mod output;
mod outputs;
mod progress;
mod replay;
mod rules;
mod suggest;
mod trace;
mod values;

use crate::report::json;
use crate::run::CheckError;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// Checks memory allocators against the documents that say how they must behave.
///
/// Every broken rule is shown by the smallest program that breaks it.
#[derive(Debug, Parser)]
#[command(
    name = "allocspec",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Replay(replay::Arguments),
    Trace(trace::Arguments),
    Rules(rules::Arguments),
    Gate(gate::Arguments),
    Diff(diff::Arguments),
    Mutants(mutants::Arguments),
    Lockstep(lockstep::Arguments),
    Bench(bench::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// How a command that could be carried out came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing is wrong.
    Good,
    /// A rule is broken, a mutant not caught, or a subject not as expected.
    Bad,
}

/// Why a command could not be carried out: one line.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The subject or the arguments cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The harness is wrong.
    #[error("{0}")]
    Internal(String),
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Failure {
        match error {
            CheckError::Internal(_) => Failure::Internal(error.to_string()),
            _ => Failure::Unusable(error.to_string()),
        }
    }
}

/// Carries out the command line of this process.
pub fn main() -> ExitCode {
    // A file that may not grow is an error to be told like any other.
    // SAFETY: a plain request to the kernel.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    match std::panic::catch_unwind(carry_out) {
        Ok(status) => ExitCode::from(status),
        Err(_) => {
            say("internal error: please report the lines above with the command line");
            ExitCode::from(3)
        }
    }
}

fn carry_out() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let result = match &cli.command {
        Command::Check(arguments) => check::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Trace(arguments) => trace::run(arguments),
        Command::Rules(arguments) => rules::run(arguments),
        Command::Gate(arguments) => gate::run(arguments),
        Command::Diff(arguments) => diff::run(arguments),
        Command::Mutants(arguments) => mutants::run(arguments),
        Command::Lockstep(arguments) => lockstep::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Completions(arguments) => completions::run(arguments, Cli::command()),
        Command::Man(arguments) => man::run(arguments, Cli::command()),
    };
    match result {
        Ok(Answer::Good) => 0,
        Ok(Answer::Bad) => 1,
        Err(failure) => {
            say(&failure.to_string());
            match failure {
                Failure::Unusable(_) => 2,
                Failure::Internal(_) => 3,
            }
        }
    }
}

/// A line on standard error.
fn say(line: &str) {
    // Where it cannot be written, nobody is left to be told so.
    let _ = writeln!(anstream::stderr(), "allocspec: {line}");
}

/// Says in one line what is wrong with the arguments, unless they ask for help.
fn refuse(error: &clap::Error) -> u8 {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    let kind = error.kind();
    if matches!(
        kind,
        DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // Nobody is left to be told that help could not be printed.
        let _ = error.print();
        return u8::try_from(error.exit_code()).unwrap_or(2);
    }
    let line = one_line(&error.to_string());
    if wants_json(std::env::args_os()) {
        let mut output = output::Output::Standard;
        if let Err(failure) = output.write(|out| json::write_error(&line, out)) {
            say(&failure.to_string());
        }
    }
    say(&line);
    2
}

/// What clap says in several lines: what is wrong, and its tip or where to read on.
fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = lines
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    if line.ends_with(':') {
        line.push_str(&format!(" {}", lines.clone().next().unwrap_or_default()));
    }
    let help = |line: &str| {
        let values = line
            .strip_prefix("[possible values: ")
            .and_then(|rest| rest.strip_suffix(']'));
        let tip = line.strip_prefix("tip: ").map(str::to_owned);
        tip.or(values.map(|values| format!("use one of {values}")))
    };
    let help = lines
        .find_map(help)
        .unwrap_or("see `allocspec help`".into());
    format!("{line}: {help}")
}

/// Whether the arguments, which could not be understood, ask for JSON.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.collect();
    arguments.iter().any(|argument| argument == "--format=json")
        || arguments
            .windows(2)
            .any(|pair| pair == ["--format", "json"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from(arguments).expect_err("wrong on purpose");
        one_line(&error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn refusals_are_one_line() {
        let line = refused(&["allocspec", "check", "--sed", "1"]);
        assert_eq!(
            line,
            "unexpected argument '--sed' found: a similar argument exists: '--seed'"
        );
        let line = refused(&["allocspec", "check", "--time", "soon"]);
        assert!(
            line.starts_with("invalid value 'soon' for '--time <TIME>'"),
            "{line}"
        );
        let line = refused(&["allocspec", "check", "--format", "xml"]);
        assert_eq!(
            line,
            "invalid value 'xml' for '--format <FORMAT[=FILE]>': use one of human, json, junit, sarif, markdown, html: \
             see `allocspec help`"
        );
        let line = refused(&["allocspec", "replay"]);
        assert!(line.contains("<TRACE>"), "{line}");
        for line in [line, refused(&["allocspec", "chek"])] {
            assert!(!line.contains('\n') && !line.starts_with("error"), "{line}");
        }
    }

    #[test]
    fn a_refusal_under_json_is_json() {
        let json =
            |arguments: &[&str]| wants_json(arguments.iter().map(|&argument| argument.into()));
        assert!(json(&["check", "--format", "json"]));
        assert!(json(&["check", "--format=json"]));
        assert!(!json(&["check", "--format", "human", "json"]));
    }
}
