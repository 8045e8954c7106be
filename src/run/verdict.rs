//! What a check comes to: a verdict for every rule, facts, and cases.

use crate::run::phase::PhaseShare;
use crate::shadow::Case;
use crate::spec::{Level, RuleId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What is known of one rule after a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Kept every time it was exercised, at least once.
    Pass,
    /// Broken.
    Fail,
    /// Never put to the test, or never to the end of one for this reason.
    NotExercised(Option<String>),
    /// Cannot be put to the test here, for this reason.
    NotApplicable(String),
}

/// One rule in the result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// The rule.
    pub rule: RuleId,
    /// Its level in the profile checked.
    pub level: Level,
    /// The verdict.
    pub verdict: Verdict,
    /// How often it was exercised.
    pub checks: u64,
}

/// An entry point looked for, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// The C name, such as `malloc`.
    pub name: &'static str,
    /// The symbol looked up, such as `je_malloc`.
    pub symbol: String,
    /// Who provides it.
    pub provider: Provider,
}

/// Who provides an entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The subject.
    Subject,
    /// Another object, which would serve the call; it is never called.
    Other(PathBuf),
    /// Nobody.
    Nobody,
}

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectInfo {
    /// `reference`, `system`, `preload`, `dlopen`, `mutant` or `interpreter`.
    pub kind: &'static str,
    /// What the user called it.
    pub name: String,
    /// The file, if there is one.
    pub path: Option<PathBuf>,
    /// The arguments that name the subject on the command line, for replay commands: `./lib.so --prefix je_`.
    pub arguments: String,
    /// Variables set in the environment of the subject's process.
    pub environment: Vec<(String, String)>,
    /// The entry points looked for.
    pub entry_points: Vec<EntryPoint>,
    /// Things the user should know, such as a fall-back from dlopen to preload.
    pub notes: Vec<String>,
}

/// The overall answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conformance {
    /// No `must` rule broken (under `--strict`, no `quality` rule either).
    Conformant,
    /// At least one broken.
    Nonconformant,
}

/// What became of one way to misuse the subject, in many places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisuseResult {
    /// Its name.
    pub misuse: &'static str,
    /// What is done, in a few words.
    pub title: &'static str,
    /// How many places it was done in.
    pub tried: u64,
    /// How often the program was stopped, or something was said.
    pub detected: u64,
    /// How often nothing came of it.
    pub silent: u64,
    /// How often live blocks overlapped afterwards or lost their contents, or the program fell over later.
    pub corrupting: u64,
    /// How it was detected, and how often so.
    pub signs: BTreeMap<Sign, u64>,
}

impl MisuseResult {
    /// Nothing tried yet.
    pub fn new(misuse: &'static str, title: &'static str) -> MisuseResult {
        MisuseResult {
            misuse,
            title,
            tried: 0,
            detected: 0,
            silent: 0,
            corrupting: 0,
            signs: BTreeMap::new(),
        }
    }
}

/// How a misuse was detected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sign {
    /// The signal that ended the program, if one did.
    pub signal: Option<i32>,
    /// The first line that the subject said, empty if none; numbers that differ from run to run are left out.
    pub message: String,
}

/// System calls of the subject while programs ran that make some of them fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// All that were seen.
    pub seen: u64,
    /// Those that were made to fail.
    pub failed: u64,
    /// Of these, those after which the call failed, too.
    pub gave_up: u64,
    /// And those after which it did without.
    pub did_without: u64,
}

/// The result of a check.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The subject.
    pub subject: SubjectInfo,
    /// The profile's id, and what it is made of in words: `linux`, `c17 + posix-2017 + gnu`.
    pub profile: (String, String),
    /// The seed.
    pub seed: u64,
    /// Wall time.
    pub elapsed: Duration,
    /// Operations executed, in all workers.
    pub ops: u64,
    /// Processes that programs were run in.
    pub workers: u64,
    /// What each phase had, of those that had anything.
    pub phases: Vec<PhaseShare>,
    /// Rules of the profile in catalogue order.
    pub rules: Vec<RuleResult>,
    /// Implementation-defined choices, by rule: one sentence each.
    pub facts: BTreeMap<RuleId, String>,
    /// The findings.
    pub cases: Vec<Case>,
    /// What became of system calls that failed on purpose; `None` if none was seen.
    pub failures: Option<Failures>,
    /// What became of misuse; empty unless the check was about that.
    pub misuse: Vec<MisuseResult>,
    /// The answer.
    pub conformance: Conformance,
}
