//! What is expected of a subject: deviations with their reasons, and facts.

use super::GateError;
use super::file::one_line;
use crate::spec::{Catalogue, Level, RuleId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What is recorded of a subject.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// The rules that it is known to break.
    #[serde(default, rename = "deviation")]
    pub deviations: Vec<Deviation>,
    /// The choices that it is known to make; those not listed may be any.
    #[serde(default)]
    pub facts: BTreeMap<RuleId, String>,
    /// The file as it stands; none if there is none.
    #[serde(skip)]
    pub text: Option<String>,
}

/// A rule that a subject is known to break.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The rule.
    pub rule: RuleId,
    /// Why it is broken, or why that is accepted; empty if nobody has said yet.
    pub reason: String,
    /// Where it is discussed.
    pub link: Option<String>,
    /// The share of runs in which it is seen, more than 0 and less than 1, if it is not seen in every one.
    pub flaky: Option<f64>,
}

impl Expectations {
    /// Reads a file; one that is not there expects nothing.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or something in it is wrong.
    pub fn read(path: &Path) -> Result<Expectations, GateError> {
        let name = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Expectations::default());
            }
            Err(error) => {
                return Err(GateError(format!(
                    "cannot read {name}: {error}: name another file with `expectations`"
                )));
            }
        };
        Expectations::parse(&text).map_err(|error| GateError(format!("{name}: {error}")))
    }

    pub(super) fn parse(text: &str) -> Result<Expectations, String> {
        let mut expectations: Expectations =
            toml::from_str(text).map_err(|error| one_line(text, &error))?;
        expectations.text = Some(text.into());
        for (index, deviation) in expectations.deviations.iter().enumerate() {
            let rule = deviation.rule;
            if expectations.deviations[..index]
                .iter()
                .any(|other| other.rule == rule)
            {
                return Err(format!("{rule} is listed twice: remove one"));
            }
            if deviation
                .flaky
                .is_some_and(|rate| !(rate > 0.0 && rate < 1.0))
            {
                return Err(format!(
                    "{rule}: `flaky` is the share of runs that show it, more than 0 and less than 1"
                ));
            }
        }
        if let Some(rule) = expectations.facts.keys().find(|&&rule| !is_of_fact(rule)) {
            return Err(format!(
                "{rule} is no fact: list it as [[deviation]] if it is known to be broken, or remove it"
            ));
        }
        Ok(expectations)
    }
}

/// Whether a rule is of level `fact` in some profile.
fn is_of_fact(rule: RuleId) -> bool {
    let rule = Catalogue::embedded().rule(rule);
    rule.level == Level::Fact || rule.levels.values().any(|&level| level == Level::Fact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file() {
        let expectations = Expectations::parse(
            r#"
            [[deviation]]
            rule = "malloc-errno"
            reason = "never sets errno"
            link = "https://example.org/1"

            [[deviation]]
            rule = "oom-recovers"
            reason = ""
            flaky = 0.5

            [facts]
            malloc-zero-choice = "malloc(0) returns NULL"
            "#,
        )
        .expect("a sound file");
        assert_eq!(expectations.deviations.len(), 2);
        assert_eq!(expectations.deviations[1].flaky, Some(0.5));
        assert_eq!(
            expectations.facts[&RuleId::MallocZeroChoice],
            "malloc(0) returns NULL"
        );
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        let deviation = "[[deviation]]\nrule = \"calloc-zero\"\nreason = \"\"\n";
        for (text, says) in [
            (deviation.repeat(2), "twice"),
            (format!("{deviation}flaky = 1.0"), "share of runs"),
            (
                "[[deviation]]\nrule = \"calloc-zeros\"\nreason = \"\"".into(),
                "line 2",
            ),
            ("[[deviation]]\nrule = \"calloc-zero\"".into(), "reason"),
            ("[facts]\nmalloc-zero = \"\"".into(), "malloc-zero"),
            ("[facts]\ncalloc-zero = \"\"".into(), "no fact"),
        ] {
            let error = Expectations::parse(&text).expect_err(&text);
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
    }
}
