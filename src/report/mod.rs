//! Findings and verdicts for people and for programs.

pub mod c_program;
pub mod catalogue;
mod commands;
mod evidence;
mod heap_map;
pub mod json;
mod listing;
mod matrix;
#[cfg(test)]
mod sample;
pub mod save;
pub mod speed;
pub mod terminal;
mod trace;
pub mod words;

use crate::run::verdict::{CheckResult, RuleResult, Verdict};
use crate::spec::{Catalogue, Level, Rule, RuleId};
pub use matrix::write_matrix;
use save::Saved;

/// The result of a check with what is needed to present it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The result.
    pub result: &'a CheckResult,
    /// What the rules say.
    pub catalogue: &'a Catalogue,
    /// The files written for each case, in the order of the cases; empty if none were asked for.
    pub saved: &'a [Saved],
    /// Whether broken `quality` rules break conformance.
    pub strict: bool,
}

impl Report<'_> {
    /// Whether a broken rule of this level breaks conformance. Of a fact, only a choice that no document permits is
    /// ever called broken.
    fn breaks(&self, level: Level) -> bool {
        level != Level::Quality || self.strict
    }

    /// The level of a rule in the profile that was checked.
    fn level(&self, rule: RuleId) -> Level {
        self.result
            .rules
            .iter()
            .find(|other| other.rule == rule)
            .map_or(self.catalogue.rule(rule).level, |other| other.level)
    }

    /// Whether the profile is one of CPython's.
    fn is_cpython(&self) -> bool {
        self.result.profile.0.starts_with("cpython")
    }

    /// How many rules came to what.
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for RuleResult { level, verdict, .. } in &self.result.rules {
            let count = match verdict {
                Verdict::Fail if self.breaks(*level) => &mut tally.broken,
                Verdict::Fail => &mut tally.warnings,
                Verdict::Pass if *level == Level::Fact => &mut tally.facts,
                Verdict::Pass => &mut tally.pass,
                Verdict::NotApplicable(_) => &mut tally.not_applicable,
                Verdict::NotExercised => &mut tally.not_exercised,
            };
            *count += 1;
        }
        tally
    }
}

/// Where a rule is stated: of several documents those that the reader of the report goes by.
fn sources(rule: &Rule, cpython: bool) -> String {
    let fitting = |source: &&String| source.starts_with("CPython") == cpython;
    let fitting: Vec<&str> = rule
        .sources
        .iter()
        .filter(fitting)
        .map(String::as_str)
        .collect();
    match fitting.is_empty() {
        true => rule.sources.join("; "),
        false => fitting.join("; "),
    }
}

/// How many rules came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    broken: usize,
    warnings: usize,
    pass: usize,
    facts: usize,
    not_applicable: usize,
    not_exercised: usize,
}
