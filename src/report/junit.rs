//! The report for those who show test results: JUnit XML, a suite a subject, a case a rule.

use super::document::{
    ComplaintKind, Document, Entry, Finding, Judgement, Rule, RuleVerdict, Standing,
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::io::{self, Write};
use std::time::Duration;

/// Writes the suites of these subjects.
///
/// Of a subject in the gate a deviation that is known is skipped, with its reason; what is not as expected fails.
///
/// # Errors
///
/// Those of the writer.
pub fn write(entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    let mut report = Report::new("allocspec");
    for entry in entries {
        report.add_test_suite(suite(entry));
    }
    // The clock runs once for each subject; suites side by side take less.
    report.time = None;
    report.serialize(out).map_err(io::Error::other)
}

fn suite(entry: &Entry) -> TestSuite {
    let mut suite = TestSuite::new(entry.name.as_str());
    if let Some(document) = &entry.report {
        suite.set_time(Duration::from_secs_f64(document.elapsed_s));
        suite.add_property(("profile", document.profile.as_str()));
        suite.add_property(("seed", document.seed.to_string().as_str()));
        for (rule, fact) in &document.facts {
            suite.add_property((format!("fact {rule}").as_str(), fact.as_str()));
        }
        for rule in &document.rules {
            suite.add_test_case(case(entry, document, rule));
        }
    }
    if let Some(judgement) = &entry.judgement {
        suite.add_test_cases(beside_rules(judgement));
    }
    suite
}

/// The case of a rule.
fn case(entry: &Entry, document: &Document, rule: &Rule) -> TestCase {
    let mut findings = document.findings.iter().filter(|of| of.rule == rule.id);
    let known = entry.known(rule.id);
    let counts = entry.judgement.is_some() || document.breaks(rule.level);
    let status = match (rule.verdict, known) {
        (RuleVerdict::Fail, Some(known)) => skipped(&format!("known deviation: {}", known.why())),
        (RuleVerdict::Fail, None) if counts => match findings.next() {
            Some(finding) => failed(finding),
            None => broken(rule),
        },
        (RuleVerdict::Fail, None) | (RuleVerdict::Pass, _) => TestCaseStatus::success(),
        (RuleVerdict::NotExercised, _) => {
            skipped(rule.reason.as_deref().unwrap_or("never put to the test"))
        }
        (RuleVerdict::NotApplicable, _) => skipped(rule.reason.as_deref().unwrap_or_default()),
    };
    let mut case = TestCase::new(rule.id, status);
    case.set_classname(document.profile.as_str());
    case.set_assertions(usize::try_from(rule.checks).unwrap_or(usize::MAX));
    let warning = document
        .findings
        .iter()
        .find(|of| of.rule == rule.id && !of.breaks);
    if let Some(warning) = warning {
        case.set_system_out(format!(
            "warning: {}\n\n{}",
            warning.message, warning.program
        ));
    }
    case
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

fn failed(finding: &Finding) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(finding.level.as_str());
    status.set_message(finding.message.as_str());
    status.set_description(format!("{}\n{}\n", finding.program, finding.replay));
    status
}

/// A broken rule of which nothing more is known.
fn broken(rule: &Rule) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(rule.level.as_str());
    status.set_message(format!("broken: {}", rule.statement));
    status
}

/// What the gate says that is no broken rule.
fn beside_rules(judgement: &Judgement) -> Vec<TestCase> {
    let complaints = judgement.complaints.iter();
    let mut cases: Vec<TestCase> = complaints
        .filter(|complaint| complaint.kind != ComplaintKind::NewDeviation)
        .map(|complaint| {
            let kind = match complaint.kind {
                ComplaintKind::Unusable => NonSuccessKind::Error,
                _ => NonSuccessKind::Failure,
            };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(complaint.message.as_str());
            let rule = complaint.rule.as_deref().unwrap_or("subject");
            TestCase::new(format!("as expected: {rule}"), status)
        })
        .collect();
    if judgement.verdict == Standing::Skipped {
        let why = judgement.note.as_deref().unwrap_or_default();
        cases.push(TestCase::new("as expected: subject", skipped(why)));
    }
    for case in &mut cases {
        case.set_classname("gate");
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn written(entries: &[Entry]) -> String {
        let mut out = Vec::new();
        write(entries, &mut out).expect("memory can be written");
        String::from_utf8(out).expect("XML is text")
    }

    #[test]
    fn a_check() {
        insta::assert_snapshot!(written(&[Entry::of(sample::document())]));
    }

    #[test]
    fn a_broken_rule_without_a_finding_fails() {
        let mut document = sample::document();
        document.findings.clear();
        let text = written(&[Entry::of(document)]);
        assert!(text.contains("broken: When realloc cannot"), "{text}");
        assert_eq!(text.matches("<failure").count(), 2, "{text}");
    }

    #[test]
    fn a_gate() {
        let text = written(&sample::entries());
        for part in [
            "known deviation: errno is not documented to be set",
            "as expected: calloc-wrap",
            "not installed: apt-get install libabsent1",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
