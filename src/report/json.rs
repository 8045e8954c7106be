//! The reports for programs: one JSON object each.

use super::document::{Answer, Document, Entry, Standing, TOOL, VERSION};
use serde::Serialize;
use std::io::{self, Write};

/// The report of the gate.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gate<'a> {
    /// `allocspec`.
    tool: &'static str,
    /// The version of `allocspec`.
    version: &'static str,
    /// `error` if a subject could not be checked, else `fail` if one is not as expected, else `pass`.
    verdict: Standing,
    /// The subjects in the order of the gate file.
    subjects: &'a [Entry],
}

impl<'a> Gate<'a> {
    /// The report of these subjects, each with its judgement.
    pub fn new(subjects: &'a [Entry]) -> Gate<'a> {
        Gate {
            tool: TOOL,
            version: VERSION,
            verdict: standing(subjects),
            subjects,
        }
    }
}

/// How the gate stands as a whole; outside the gate a subject is expected to conform.
pub fn standing(entries: &[Entry]) -> Standing {
    let of = |entry: &Entry| match (&entry.judgement, &entry.report) {
        (Some(judgement), _) => judgement.verdict,
        (None, Some(report)) if report.verdict == Answer::Conformant => Standing::Pass,
        (None, Some(_)) => Standing::Fail,
        (None, None) => Standing::Error,
    };
    let any = |wanted: Standing| entries.iter().any(|entry| of(entry) == wanted);
    [Standing::Error, Standing::Fail]
        .into_iter()
        .find(|&standing| any(standing))
        .unwrap_or(Standing::Pass)
}

/// The report of what could not be done.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure<'a> {
    /// `allocspec`.
    tool: &'static str,
    /// The version of `allocspec`.
    version: &'static str,
    /// That there is none.
    verdict: NoVerdict,
    /// Why, in a line.
    error: &'a str,
}

impl<'a> Failure<'a> {
    /// The report of this error.
    pub fn new(error: &'a str) -> Failure<'a> {
        Failure {
            tool: TOOL,
            version: VERSION,
            verdict: NoVerdict::Error,
            error,
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum NoVerdict {
    /// The subject or the arguments could not be used.
    Error,
}

/// What a file that was asked for has in it: a report, or why there is none.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(super) enum File<'a, T> {
    /// The report.
    Report(T),
    /// Why there is none.
    Failure(Failure<'a>),
}

/// Writes the report of a check.
///
/// # Errors
///
/// Those of the writer.
pub fn write(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    write_line(document, out)
}

/// Writes the report of the gate, or of several subjects outside it.
///
/// # Errors
///
/// Those of the writer.
pub fn write_gate(entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    write_line(&Gate::new(entries), out)
}

/// Writes why there is no report: the subject or the arguments could not be used.
///
/// # Errors
///
/// Those of the writer.
pub fn write_error(error: &str, out: &mut dyn Write) -> io::Result<()> {
    write_line(&Failure::new(error), out)
}

fn write_line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, sample};
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
        write(&Document::new(&report), &mut text).expect("memory can be written");
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
    fn outside_the_gate_a_subject_is_to_conform() {
        let entry = |verdict| {
            Entry::of(Document {
                verdict,
                ..sample::document()
            })
        };
        let good = entry(Answer::Conformant);
        assert_eq!(standing(std::slice::from_ref(&good)), Standing::Pass);
        let bad = entry(Answer::Nonconformant);
        assert_eq!(standing(&[good, bad]), Standing::Fail);
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
