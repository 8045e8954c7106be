//! Findings and verdicts for people and for programs.

pub mod c_program;
pub mod catalogue;
mod commands;
pub mod diff;
pub mod document;
pub mod documents;
mod evidence;
mod heap_map;
#[cfg(feature = "cli")]
pub mod html;
pub mod json;
#[cfg(feature = "cli")]
pub mod junit;
mod listing;
pub mod markdown;
mod matrix;
#[cfg(test)]
pub(crate) mod sample;
pub mod sarif;
pub mod save;
#[cfg(feature = "cli")]
pub mod speed;
pub mod terminal;
pub mod trace;
pub mod words;

use crate::run::verdict::{CheckResult, RuleResult, Verdict};
use crate::spec::{Catalogue, Level, Rule, RuleId};
use document::Tally;
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

    /// A rule with those of its sources that the profile is made of.
    fn cited(&self, rule: RuleId) -> Rule {
        let (id, title) = &self.result.profile;
        cited(self.catalogue.rule(rule), id, title)
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
                Verdict::NotExercised(_) => &mut tally.not_exercised,
            };
            *count += 1;
        }
        tally
    }
}

/// A rule with those of its sources that the profile of this id and title is made of; if none is, with all of its kind.
pub fn cited(rule: &Rule, id: &str, title: &str) -> Rule {
    let mut rule = rule.clone();
    let of_cpython = |source: &str| source.starts_with("CPython");
    if id.starts_with("cpython") {
        retain_if_any(&mut rule.sources, of_cpython);
        return rule;
    }
    retain_if_any(&mut rule.sources, |source| !of_cpython(source));
    let parts: Vec<&str> = id.split('+').chain(title.split(" + ")).collect();
    retain_if_any(&mut rule.sources, |source| {
        parts.contains(&document(source))
    });
    rule
}

fn retain_if_any(sources: &mut Vec<String>, fits: impl Fn(&str) -> bool) {
    if sources.iter().any(|source| fits(source)) {
        sources.retain(|source| fits(source));
    }
}

/// The profile that a source belongs to.
fn document(source: &str) -> &'static str {
    match source.split(' ').next().unwrap_or_default() {
        "C99" => "c99",
        "C11" => "c11",
        "C17" => "c17",
        "C23" => "c23",
        "POSIX.1-2008" => "posix-2008",
        "POSIX.1-2017" => "posix-2017",
        "POSIX.1-2024" => "posix-2024",
        "C++17" => "cxx17",
        "OpenBSD" | "FreeBSD" => "bsd",
        _ => "gnu",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_cited_from_the_documents_of_the_profile() {
        let sources = |id: &str, title: &str, rule: RuleId| {
            let mut result = sample::result(Vec::new());
            result.profile = (id.into(), title.into());
            let report = Report {
                result: &result,
                catalogue: Catalogue::embedded(),
                saved: &[],
                strict: false,
            };
            report.cited(rule).sources.join("; ")
        };
        let linux = ("linux", "c17 + posix-2017 + gnu");
        let rule = RuleId::MallocErrno;
        let all = Catalogue::embedded().rule(rule).sources.join("; ");
        assert!(all.contains("POSIX.1-2024"), "{all}");
        let cited = sources(linux.0, linux.1, rule);
        assert!(
            cited.contains("POSIX.1-2017") && cited.contains("Linux malloc(3)"),
            "{cited}"
        );
        assert!(!cited.contains("POSIX.1-2024"), "{cited}");
        let cited = sources("c17+posix-2024", "ISO C17 + POSIX Issue 8", rule);
        assert!(
            cited.contains("POSIX.1-2024") && !cited.contains("2017"),
            "{cited}"
        );
        let cited = sources("cpython-3.14", "CPython 3.14", RuleId::Disjoint);
        assert!(
            !cited.is_empty(),
            "a rule without a source of its kind has all"
        );
        // C23 restates what older documents say: where only it is cited, it is.
        let usable = sources("c99", "ISO C99", RuleId::AllocNonnullUsable);
        assert_eq!(usable, "C17 7.22.3p1; POSIX.1-2017 malloc");
    }
}
