//! What a check is asked to do, what it tells on the way, and why it may not happen at all.

use crate::pymalloc::{Domain, Edition};
use crate::run::phase::Phase;
use crate::spec::RuleId;
use crate::subject::Native;
use std::path::PathBuf;
use std::time::Duration;

/// How the entry points of a library are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// By their C names; the library is preloaded.
    #[default]
    Plain,
    /// By their C names with this in front, such as `je_`; the library is opened with `dlopen`.
    Prefix(String),
    /// By these symbols, each after the C name it stands for; the library is opened with `dlopen`.
    Map(Vec<(String, String)>),
}

impl Names {
    /// Reads a pair of [`Names::Map`], such as `malloc=pvPortMalloc`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the pair and what would be right.
    pub fn pair(text: &str) -> Result<(String, String), String> {
        let example = "write malloc=pvPortMalloc,free=vPortFree";
        let (name, symbol) = text.split_once('=').ok_or(example)?;
        if !Native::NAMES.contains(&name) {
            // Nobody gives a C++ operator another name.
            let names = Native::NAMES.iter().copied();
            let of_c: Vec<&str> = names.filter(|name| !name.starts_with('_')).collect();
            return Err(format!("{name:?} is not one of {}", of_c.join(", ")));
        }
        if symbol.is_empty() {
            return Err(format!("no symbol for {name}; {example}"));
        }
        Ok((name.to_owned(), symbol.to_owned()))
    }
}

/// The allocator to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectSpec {
    /// The built-in reference pymalloc, as in this edition of CPython.
    Reference(Edition),
    /// The C library's own `malloc`.
    System,
    /// A shared library.
    Library {
        /// The file.
        path: PathBuf,
        /// The names of its entry points.
        names: Names,
        /// Variables set in the environment of the process it lives in.
        env: Vec<(String, String)>,
    },
    /// The built-in mutant of this name.
    Mutant(String),
    /// A Python interpreter's.
    Interpreter {
        /// Its path, or its name in `PATH`.
        python: PathBuf,
        /// The family of functions.
        domain: Domain,
        /// The allocators it is told to use, by the value of `PYTHONMALLOC`; its own choice if none.
        malloc: Option<String>,
    },
}

/// A check.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The allocator.
    pub subject: SubjectSpec,
    /// The profile's id; without one, `linux` for a C library and that of its version for the reference.
    pub profile: Option<String>,
    /// The seed of every random choice.
    pub seed: u64,
    /// Wall time for the whole check.
    pub time: Duration,
    /// Stops after so many operations, if that comes first.
    pub ops: Option<u64>,
    /// The rules to check; all of the profile if empty.
    pub rules: Vec<RuleId>,
    /// The phases to go through; all if empty.
    pub phases: Vec<Phase>,
    /// Processes that work side by side.
    pub jobs: usize,
    /// Live bytes a program may hold.
    pub max_memory: u64,
    /// Whether broken `quality` rules break conformance.
    pub strict: bool,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done, in a word or two.
    pub phase: &'static str,
    /// Operations so far.
    pub ops: u64,
    /// Time so far.
    pub elapsed: Duration,
    /// Time there is.
    pub total: Duration,
    /// Findings so far.
    pub findings: usize,
}

/// A run of the mutants.
#[derive(Clone, Debug)]
pub struct MutantOptions {
    /// The mutants to run; all if empty.
    pub names: Vec<String>,
    /// Wall time for each mutant.
    pub time: Duration,
    /// The seed of every random choice.
    pub seed: u64,
    /// Processes that work side by side.
    pub jobs: usize,
}

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutantVerdict {
    /// Its own rule found it, and no other did.
    Caught,
    /// No rule found it.
    Survived,
    /// Another rule found it.
    Misattributed,
}

/// One mutant in the matrix.
#[derive(Clone, Debug)]
pub struct MutantRow {
    /// Its name.
    pub name: String,
    /// The rule it breaks, or another check that must find it.
    pub breaks: &'static str,
    /// What is wrong with it, in a few words.
    pub description: String,
    /// The rules, or other checks, that found it.
    pub caught: Vec<&'static str>,
    /// What became of it.
    pub verdict: MutantVerdict,
    /// Operations executed when it was found, or all if it never was.
    pub ops_needed: u64,
    /// Wall time.
    pub elapsed: Duration,
}

/// Why nothing could be checked: one line that says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}: give the path of a shared library (.so)")]
    Unreadable {
        /// the file
        path: PathBuf,
        /// why
        reason: String,
    },
    /// The file is not a shared library for this machine.
    #[error("{path} cannot be loaded here: {reason}: build it as an x86-64 Linux shared library")]
    NotALibrary {
        /// the file
        path: PathBuf,
        /// what it is instead
        reason: String,
    },
    /// The dynamic loader refused the library, or its constructor ended the process.
    #[error("{path} does not load: {reason}")]
    LoadFailed {
        /// the file
        path: PathBuf,
        /// what the loader said, and what to do
        reason: String,
    },
    /// What was named is no Python interpreter, or one that cannot be checked.
    #[error("cannot check {}: {reason}", python.display())]
    Interpreter {
        /// the interpreter
        python: PathBuf,
        /// why
        reason: String,
    },
    /// Entry points without which nothing can be checked are missing.
    #[error("{path} does not export {symbols}: {advice}")]
    MissingEntryPoints {
        /// the file
        path: PathBuf,
        /// the symbols looked up in vain
        symbols: String,
        /// what to do
        advice: String,
    },
    /// No profile has this name.
    #[error("no profile is named {name:?}: use one of {known}")]
    UnknownProfile {
        /// what was asked for
        name: String,
        /// those that there are
        known: String,
    },
    /// A rule was asked for that the profile does not contain.
    #[error(
        "rule {rule} is not part of profile {profile}: choose a profile that has it ({profiles})"
    )]
    RuleNotInProfile {
        /// the rule
        rule: RuleId,
        /// the profile
        profile: String,
        /// the profiles that have it
        profiles: String,
    },
    /// No mutant has this name.
    #[error("no mutant is named {name:?}: `allocspec mutants` shows them all")]
    UnknownMutant {
        /// what was asked for
        name: String,
    },
    /// The profile and the subject do not go together.
    #[error("profile {profile} does not fit {subject}: {advice}")]
    WrongProfile {
        /// the profile
        profile: String,
        /// the subject
        subject: String,
        /// what to do
        advice: String,
    },
    /// The program calls what the subject does not provide.
    #[error("the program calls {symbol}, which {subject} does not provide")]
    NotProvided {
        /// the entry point
        symbol: String,
        /// the subject
        subject: String,
    },
    /// The program has threads, and the subject serves one at a time.
    #[error(
        "{subject} is called by one thread at a time, and the program has several: take its `thread` lines out"
    )]
    OneThread {
        /// the subject
        subject: String,
    },
    /// There is nothing to run in the phases chosen.
    #[error(
        "phase {phases} has no program for {subject} and these rules: choose another, or leave out --phase"
    )]
    EmptyPhase {
        /// the phases
        phases: String,
        /// the subject
        subject: String,
    },
    /// No document of the profile says what comes of an operation of the program.
    #[error(
        "`{operation}` is undefined in profile {profile}: take it out, or choose a profile that defines it"
    )]
    Undefined {
        /// as it stands in the trace
        operation: String,
        /// the profile
        profile: String,
    },
    /// Workers are started and watched through `/proc`.
    #[error(
        "/proc is not there, through which workers are started and watched: mount it (`mount -t proc proc /proc`)"
    )]
    NoProc,
    /// The time was over before the first call.
    #[error("{millis} ms are too little time to call {subject} once: give more with --time")]
    NoTime {
        /// the subject
        subject: String,
        /// the time given
        millis: u128,
    },
    /// The worker was lost in its own forks, and no program has shown why.
    #[error(
        "a process that has loaded {subject} hangs or ends when it forks, and there was not enough time to find out why: \
         give more with --time"
    )]
    Forsaken {
        /// the subject
        subject: String,
    },
    /// Nothing can be said of the subject.
    #[error(
        "{disturbed} of {runs} runs of {subject} hung or were killed outside every call, and not again: nothing can be said \
         of it; see whether the machine is short of memory or time, or whether the library hangs or ends its process by itself"
    )]
    Disturbed {
        /// the subject
        subject: String,
        /// runs that ended so
        disturbed: u64,
        /// all runs
        runs: u64,
    },
    /// The machine did not give what the harness needs.
    #[error(
        "the machine refused {what}: {reason}: raise the limits (see `ulimit -a`) or lower --jobs"
    )]
    Resources {
        /// a process, memory, a file
        what: &'static str,
        /// why
        reason: String,
    },
    /// A defect of the harness.
    #[error("internal error: {0}: please report it with the command line")]
    Internal(String),
}
