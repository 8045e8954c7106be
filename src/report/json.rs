//! The report for programs. The names are a promise: fields may be added, none is renamed or dropped.

use super::c_program::c_program;
use super::evidence::contrast;
use super::{Report, commands, trace};
use crate::run::verdict::{Conformance, Provider, SubjectInfo, Verdict};
use crate::shadow::Case;
use crate::spec::{Level, RuleId};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

const TOOL: &str = "allocspec";
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct Document<'a> {
    tool: &'static str,
    version: &'static str,
    subject: Subject<'a>,
    profile: &'a str,
    seed: u64,
    verdict: &'static str,
    strict: bool,
    facts: &'a BTreeMap<RuleId, String>,
    elapsed_s: f64,
    ops: u64,
    workers: u64,
    rules: Vec<Rule<'a>>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Subject<'a> {
    kind: &'static str,
    name: &'a str,
    path: Option<Cow<'a, str>>,
    /// The C names of those that the subject itself provides; only they are called.
    entry_points: Vec<&'static str>,
    /// Who would serve the others.
    other_providers: BTreeMap<&'static str, Option<Cow<'a, str>>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Rule<'a> {
    id: RuleId,
    level: Level,
    verdict: &'static str,
    checks: u64,
    title: &'a str,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Finding {
    rule: RuleId,
    level: Level,
    message: String,
    phase: String,
    op_index: usize,
    reproduced: bool,
    program: String,
    replay: String,
    c: Option<String>,
    expected: String,
    found: String,
}

#[derive(Serialize)]
struct Failure<'a> {
    tool: &'static str,
    version: &'static str,
    verdict: &'static str,
    error: &'a str,
}

/// Writes the report as one JSON object.
///
/// # Errors
///
/// Those of the writer.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_line(&document(report), out)
}

/// Writes why there is no report: the subject or the arguments could not be used.
///
/// # Errors
///
/// Those of the writer.
pub fn write_error(error: &str, out: &mut dyn Write) -> io::Result<()> {
    let failure = Failure {
        tool: TOOL,
        version: VERSION,
        verdict: "error",
        error,
    };
    write_line(&failure, out)
}

fn write_line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

fn document<'a>(report: &'a Report<'_>) -> Document<'a> {
    let result = report.result;
    Document {
        tool: TOOL,
        version: VERSION,
        subject: subject(&result.subject),
        profile: &result.profile.0,
        seed: result.seed,
        verdict: match result.conformance {
            Conformance::Conformant => "conformant",
            Conformance::Nonconformant => "nonconformant",
        },
        strict: report.strict,
        facts: &result.facts,
        elapsed_s: result.elapsed.as_secs_f64(),
        ops: result.ops,
        workers: result.workers,
        rules: result
            .rules
            .iter()
            .map(|result| {
                let rule = report.catalogue.rule(result.rule);
                let (verdict, reason) = match &result.verdict {
                    Verdict::Pass => ("pass", None),
                    Verdict::Fail => ("fail", None),
                    Verdict::NotExercised => ("not-exercised", None),
                    Verdict::NotApplicable(reason) => ("not-applicable", Some(reason.as_str())),
                };
                Rule {
                    id: result.rule,
                    level: result.level,
                    verdict,
                    checks: result.checks,
                    title: &rule.title,
                    source: report.cited(result.rule).sources.join("; "),
                    reason,
                }
            })
            .collect(),
        findings: result
            .cases
            .iter()
            .enumerate()
            .map(|(index, case)| finding(report, index, case))
            .collect(),
    }
}

fn subject(subject: &SubjectInfo) -> Subject<'_> {
    let points = &subject.entry_points;
    let own = points
        .iter()
        .filter(|point| point.provider == Provider::Subject);
    Subject {
        kind: subject.kind,
        name: &subject.name,
        path: subject.path.as_ref().map(|path| path.to_string_lossy()),
        entry_points: own.map(|point| point.name).collect(),
        other_providers: points
            .iter()
            .filter_map(|point| match &point.provider {
                Provider::Subject => None,
                Provider::Other(path) => Some((point.name, Some(path.to_string_lossy()))),
                Provider::Nobody => Some((point.name, None)),
            })
            .collect(),
        notes: &subject.notes,
    }
}

fn finding(report: &Report<'_>, index: usize, case: &Case) -> Finding {
    let rule = report.cited(case.finding.rule);
    let contrast = contrast(case);
    let operation = case
        .program
        .lines()
        .nth(case.finding.op_index)
        .map_or(String::new(), |line| format!("{line}: "));
    let message = match contrast.expected.as_str() {
        "" => format!("{operation}{}", contrast.found),
        expected => format!("{operation}expected {expected}; found {}", contrast.found),
    };
    let saved = report.saved.get(index);
    let stem = PathBuf::from(case.finding.rule.as_str());
    let trace = match saved {
        Some(saved) => saved.trace.clone(),
        None => (!case.program.ops.is_empty()).then(|| stem.with_extension("trace")),
    };
    let c = saved
        .and_then(|saved| saved.c.clone())
        .unwrap_or_else(|| stem.with_extension("c"));
    Finding {
        rule: rule.id,
        level: report.level(rule.id),
        message,
        phase: case.phase.clone(),
        op_index: case.finding.op_index,
        reproduced: case.reproduced,
        program: trace::text(report, case),
        replay: commands::again(report.result, case, trace.as_deref()),
        c: c_program(case, &report.result.subject, &rule, &c),
        expected: contrast.expected,
        found: contrast.found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::run::verdict::CheckResult;
    use crate::spec::Catalogue;
    use serde_json::{Value, json};

    fn written(result: &CheckResult) -> Value {
        let report = Report {
            result,
            catalogue: Catalogue::embedded(),
            saved: &[],
            strict: false,
        };
        let mut text = Vec::new();
        write(&report, &mut text).expect("memory can be written");
        serde_json::from_slice(&text).expect("a report is JSON")
    }

    #[test]
    fn the_names_other_tools_read() {
        let mut result = sample::result(vec![sample::realloc_fail_keeps()]);
        let value = written(&result);
        for name in [
            "tool",
            "version",
            "subject",
            "profile",
            "seed",
            "verdict",
            "facts",
            "elapsed_s",
            "ops",
            "rules",
            "findings",
        ] {
            assert!(value.get(name).is_some(), "{name}");
        }
        assert_eq!(value["verdict"], "nonconformant");
        assert_eq!(value["subject"]["kind"], "preload");
        assert_eq!(value["subject"]["path"], "./libfast.so");
        assert_eq!(value["subject"]["entry_points"], json!(["malloc", "free"]));
        assert_eq!(
            value["facts"]["malloc-zero-choice"],
            "malloc(0) returns a unique pointer"
        );
        let verdicts: Vec<&Value> = value["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| &rule["verdict"])
            .collect();
        assert_eq!(
            verdicts,
            [
                "pass",
                "pass",
                "fail",
                "fail",
                "not-exercised",
                "not-applicable",
                "pass"
            ]
        );
        assert_eq!(value["rules"][5]["reason"], "reallocarray is not exported");
        assert_eq!(value["rules"][0]["checks"], 83_114_902);
        let finding = &value["findings"][0];
        assert_eq!(finding["level"], "must");
        assert_eq!(finding["op_index"], 2);
        assert_eq!(
            finding["replay"],
            "allocspec replay realloc-fail-keeps.trace ./libfast.so --rule realloc-fail-keeps"
        );
        let c = finding["c"].as_str().unwrap_or_default();
        assert!(c.contains("int main(void)"), "{c}");
        let message = finding["message"].as_str().unwrap_or_default();
        assert!(
            message.starts_with("p1 = malloc 100: expected no byte"),
            "{message}"
        );

        result.subject.kind = "reference";
        result.subject.arguments.clear();
        assert_eq!(written(&result)["findings"][0]["c"], Value::Null);
    }

    #[test]
    fn an_error_has_a_form_too() {
        let mut text = Vec::new();
        write_error("cannot read \"x\": no", &mut text).expect("memory can be written");
        let value: Value = serde_json::from_slice(&text).expect("an error is JSON");
        assert_eq!(value["verdict"], "error");
        assert_eq!(value["error"], "cannot read \"x\": no");
        assert_eq!(value["tool"], "allocspec");
    }
}
