//! A check as data: what every form of the report is made of, and the JSON report itself.
//!
//! The names of the fields are a promise: fields may be added, none is renamed or dropped. `conformance/schema` has the
//! JSON Schema, which is made of these types and their comments.

mod build;
mod heap;
#[cfg(test)]
mod schema;
mod series;

use crate::report::words::printable;
use crate::spec::Level;
pub use heap::{Block, Frame, HeapMap, Mark};
use serde::Serialize;
pub use series::Series;
use std::collections::BTreeMap;

#[cfg(test)]
use schemars::JsonSchema;

/// The name of the tool, as it stands in every report.
pub const TOOL: &str = "allocspec";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The report of one check.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Document {
    /// `allocspec`.
    pub tool: &'static str,
    /// The version of `allocspec`.
    pub version: &'static str,
    /// The allocator that was checked.
    pub subject: Subject,
    /// The profile's id.
    pub profile: String,
    /// What the profile is made of, in words.
    pub profile_title: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// Whether a rule is broken that must not be.
    pub verdict: Answer,
    /// Whether broken rules of quality count.
    pub strict: bool,
    /// The choices the subject was seen to make where the documents leave one: a sentence each, by rule.
    pub facts: BTreeMap<String, String>,
    /// Wall time in seconds.
    pub elapsed_s: f64,
    /// Operations executed.
    pub ops: u64,
    /// Processes that programs were run in.
    pub workers: u64,
    /// What each phase of the check had, of those that had anything.
    pub phases: Vec<Phase>,
    /// How many rules came to what.
    pub tally: Tally,
    /// The rules of the profile, in the order of the catalogue.
    pub rules: Vec<Rule>,
    /// The broken rules with what was seen.
    pub findings: Vec<Finding>,
    /// What became of system calls that were made to fail; only if some were seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// What became of each way to misuse the subject; only of a check that was about that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub misuse: Vec<Misuse>,
}

impl Document {
    /// Whether a broken rule of this level makes the subject nonconformant. Of a fact, only a choice that no document
    /// permits is ever called broken.
    pub fn breaks(&self, level: Level) -> bool {
        level != Level::Quality || self.strict
    }

    /// A rule of the profile by its id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

/// The overall answer of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// No rule of level `must` is broken, nor under `strict` one of level `quality`.
    Conformant,
    /// At least one is.
    Nonconformant,
}

impl Answer {
    /// The word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Answer::Conformant => "conformant",
            Answer::Nonconformant => "nonconformant",
        }
    }
}

/// The allocator that was checked.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Subject {
    /// How it was reached: `reference`, `system`, `preload`, `dlopen`, `mutant`, `interpreter`.
    pub kind: &'static str,
    /// What the user called it.
    pub name: String,
    /// The file, if there is one.
    pub path: Option<String>,
    /// The C names of the functions that the subject itself provides; only they are called.
    pub entry_points: Vec<&'static str>,
    /// Who would serve the others; null if nobody would.
    pub other_providers: BTreeMap<&'static str, Option<String>>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RuleVerdict {
    /// Kept every time it was exercised, at least once.
    Pass,
    /// Broken.
    Fail,
    /// Never put to the test.
    NotExercised,
    /// Cannot be put to the test on this subject.
    NotApplicable,
}

impl RuleVerdict {
    /// The word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            RuleVerdict::Pass => "pass",
            RuleVerdict::Fail => "fail",
            RuleVerdict::NotExercised => "not-exercised",
            RuleVerdict::NotApplicable => "not-applicable",
        }
    }
}

/// How many rules came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Tally {
    /// Broken, so that the subject does not conform.
    pub broken: usize,
    /// Broken rules of quality that do not count.
    pub warnings: usize,
    /// Kept.
    pub pass: usize,
    /// Choices that were found out.
    pub facts: usize,
    /// That cannot be put to the test on this subject.
    pub not_applicable: usize,
    /// Never put to the test.
    pub not_exercised: usize,
}

/// A way to misuse the subject, and what became of it. Nothing is required: these are facts.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Misuse {
    /// Its name.
    pub misuse: &'static str,
    /// What is done, in a few words.
    pub title: &'static str,
    /// How many places it was done in, each time in a process of its own.
    pub tried: u64,
    /// How often the program was stopped at once or on purpose, or something was said.
    pub detected: u64,
    /// How often nothing came of it.
    pub silent: u64,
    /// How often live blocks overlapped afterwards or lost their contents, or the program fell over later.
    pub corrupting: u64,
    /// How it was detected, the most frequent way first.
    pub signs: Vec<Sign>,
}

/// A way in which a misuse was detected.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Sign {
    /// The signal that ended the program, if one did.
    pub signal: Option<String>,
    /// The first line that the subject said; empty if it said nothing.
    pub message: String,
    /// How often.
    pub times: u64,
}

impl Misuse {
    /// What part of the places these were, as a percentage.
    pub fn percent(&self, times: u64) -> String {
        format!("{}%", (100 * times + self.tried / 2) / self.tried.max(1))
    }

    /// The most frequent way in which it was detected, in a line; empty if it never was.
    pub fn usual_sign(&self) -> String {
        let Some(Sign {
            signal, message, ..
        }) = self.signs.first()
        else {
            return String::new();
        };
        let message = (!message.is_empty()).then(|| format!("\"{}\"", printable(message)));
        let parts: Vec<String> = signal.iter().cloned().chain(message).collect();
        parts.join(" ")
    }
}

/// A rule of the profile.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Rule {
    /// Its name in the catalogue.
    pub id: &'static str,
    /// How much it weighs in this profile.
    pub level: Level,
    /// What became of it.
    pub verdict: RuleVerdict,
    /// How often it was put to the test.
    pub checks: u64,
    /// The rule in a few words.
    pub title: String,
    /// Where the documents of the profile state it.
    pub source: String,
    /// The heading it stands under.
    pub section: String,
    /// The rule in full.
    pub statement: String,
    /// How it is exercised.
    pub checked: String,
    /// What was decided where the documents or their readers disagree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The profiles that have the rule.
    pub profiles: Vec<String>,
    /// Why it does not apply, or was not put to the test, if a reason is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A broken rule with what was seen.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// How much it weighs in this profile.
    pub level: Level,
    /// Whether it makes the subject nonconformant.
    pub breaks: bool,
    /// The guilty operation, what was expected and what was found, in a line.
    pub message: String,
    /// How it was first met: `vector NAME`, `directed RULE`, `random`, `first call`, `loading`.
    pub phase: String,
    /// The position of the guilty operation in the program.
    pub op_index: usize,
    /// Whether the program showed it again in a fresh process.
    pub reproduced: bool,
    /// How often it showed in runs of the program, which has threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// The operations that the program carries out, repetitions counted out.
    pub steps: u64,
    /// Whether the trace and the C program are in the files that the commands name; if not, only `--out` writes them.
    pub kept: bool,
    /// The shrunk program as a trace.
    pub program: String,
    /// The program for the eye, long ones shortened.
    pub listing: Vec<Line>,
    /// The blocks around the one in question; none if the finding is not about a place in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap: Option<HeapMap>,
    /// What was measured; none if the finding is not about growth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// The command that shows it again.
    pub replay: String,
    /// The command that compiles the C program and runs it on the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compile: Option<String>,
    /// The command that explains the rule.
    pub explain: String,
    /// The same as a C program, if it can be one.
    pub c: Option<String>,
    /// What had to be; empty if the rule's statement says it all.
    pub expected: String,
    /// What was.
    pub found: String,
}

impl Finding {
    /// Whether what the command for showing it again names is there.
    pub fn is_repeatable(&self) -> bool {
        self.kept || self.listing.is_empty()
    }

    /// The command for the C program, if that is there.
    pub fn compile_kept(&self) -> Option<&str> {
        self.compile.as_deref().filter(|_| self.kept)
    }

    /// How to have the files that are not there.
    pub fn unkept(&self) -> Option<String> {
        let files = [(!self.listing.is_empty(), "trace"), (self.c.is_some(), "c")];
        let files: Vec<String> = files
            .iter()
            .filter(|(is_there, _)| *is_there && !self.kept)
            .map(|(_, ending)| format!("{}.{ending}", self.rule))
            .collect();
        (!files.is_empty()).then(|| format!("--out DIR writes {}", files.join(" and ")))
    }
}

/// System calls of the subject while programs ran that make some of them fail.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
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

/// In how many runs of a program something showed.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Shown {
    /// Those runs.
    pub times: u32,
    /// All runs.
    pub of: u32,
}

/// What a phase had of a check.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Phase {
    /// Its name, as `--phase` takes it.
    pub name: &'static str,
    /// The programs of it that were run.
    pub programs: u64,
    /// The time that took, with what was found, in seconds of all processes side by side together.
    pub elapsed_s: f64,
}

/// A line of a program.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Line {
    /// The operation as in a trace, or how many were left out.
    pub text: String,
    /// What it gave; empty if nothing or unknown.
    pub outcome: String,
    /// Whether it broke the rule.
    pub guilty: bool,
    /// Whether it stands for operations left out.
    pub elided: bool,
}

/// A subject in a report of one or several.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Entry {
    /// What it is called in the report.
    pub name: String,
    /// What the gate makes of it; none outside the gate.
    #[serde(flatten)]
    pub judgement: Option<Judgement>,
    /// The report; none of a subject that could not be checked.
    pub report: Option<Document>,
}

impl Entry {
    /// The entry of a check by itself.
    pub fn of(document: Document) -> Entry {
        Entry {
            name: document.subject.name.clone(),
            judgement: None,
            report: Some(document),
        }
    }

    /// Why the deviation is expected, if the gate expects it.
    pub fn known(&self, rule: &str) -> Option<&Known> {
        let known = &self.judgement.as_ref()?.known;
        known.iter().find(|known| known.rule == rule)
    }
}

/// What the gate makes of a subject.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Judgement {
    /// The answer.
    pub verdict: Standing,
    /// Why it was skipped or could not be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What is not as expected.
    pub complaints: Vec<Complaint>,
    /// The deviations that were expected and seen.
    pub known: Vec<Known>,
    /// The deviations that are not seen every time, and were not seen this time.
    pub unseen: Vec<Known>,
}

/// How a subject stands in the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// All is as expected.
    Pass,
    /// Something is not.
    Fail,
    /// Not installed, and not required.
    Skipped,
    /// It could not be checked.
    Error,
}

impl Standing {
    /// The word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Pass => "pass",
            Standing::Fail => "fail",
            Standing::Skipped => "skipped",
            Standing::Error => "error",
        }
    }
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Complaint {
    /// What kind of thing.
    pub kind: ComplaintKind,
    /// The rule it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What is not as expected and what to do, in a line.
    pub message: String,
}

/// The ways in which a subject can be other than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ComplaintKind {
    /// A rule is broken that is not listed.
    NewDeviation,
    /// A rule is listed that is not broken.
    GoneDeviation,
    /// A fact is not as recorded.
    ChangedFact,
    /// Something is recorded of a rule that was not put to the test.
    NotExercised,
    /// The subject is required and not there.
    NotInstalled,
    /// The subject cannot be checked.
    Unusable,
}

/// A deviation that was expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Known {
    /// The rule.
    pub rule: String,
    /// Why it is broken, or why that is accepted.
    pub reason: String,
    /// Where it is discussed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The share of runs in which it is seen, between 0 and 1, if it is not seen in every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaky: Option<f64>,
}

impl Known {
    /// Why it is expected, and how often it is seen if that is not always.
    pub fn why(&self) -> String {
        match self.flaky {
            Some(rate) => format!("{} (flaky: in {rate} of the runs)", self.reason),
            None => self.reason.clone(),
        }
    }

    /// That it was not seen this time, in a line.
    pub fn not_seen(&self) -> String {
        format!("{} was not seen this time: {}", self.rule, self.why())
    }
}
