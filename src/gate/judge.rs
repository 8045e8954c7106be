//! What was seen against what is expected.

use super::expectations::{Deviation, Expectations};
use crate::report::document::{
    Complaint, ComplaintKind, Document, Judgement, Known, RuleVerdict, Standing,
};
use crate::spec::RuleId;
use std::path::Path;

/// Judges a check. Every broken rule counts, whatever its level; `file` is where the expectations stand.
pub fn judge(document: &Document, expected: &Expectations, file: &Path) -> Judgement {
    let file = file.display().to_string();
    let mut complaints: Vec<Complaint> = new_deviations(document, expected, &file);
    let (mut known, mut unseen) = (Vec::new(), Vec::new());
    for deviation in &expected.deviations {
        match gone(document, deviation, &file) {
            Some((kind, message)) => complaints.push(complaint(kind, deviation.rule, message)),
            None if is_broken(document, deviation.rule) => known.push(known_as(deviation)),
            None => unseen.push(known_as(deviation)),
        }
    }
    for (&rule, fact) in &expected.facts {
        if let Some((kind, why)) = changed(document, rule, fact) {
            let message = format!("{rule}: {file} has \"{fact}\", {why}");
            complaints.push(complaint(kind, rule, message));
        }
    }
    Judgement {
        verdict: match complaints.is_empty() {
            true => Standing::Pass,
            false => Standing::Fail,
        },
        note: None,
        complaints,
        known,
        unseen,
    }
}

fn known_as(deviation: &Deviation) -> Known {
    Known {
        rule: deviation.rule.to_string(),
        reason: match deviation.reason.trim() {
            "" => "no reason is given yet".into(),
            reason => reason.into(),
        },
        link: deviation.link.clone(),
        flaky: deviation.flaky,
    }
}

fn complaint(kind: ComplaintKind, rule: RuleId, message: String) -> Complaint {
    Complaint {
        kind,
        rule: Some(rule.to_string()),
        message,
    }
}

/// The broken rules that are not listed, each once.
fn new_deviations(document: &Document, expected: &Expectations, file: &str) -> Vec<Complaint> {
    let listed = |id: &str| {
        let mut deviations = expected.deviations.iter();
        deviations.any(|deviation| deviation.rule.as_str() == id)
    };
    let broken = document.rules.iter();
    broken
        .filter(|rule| rule.verdict == RuleVerdict::Fail && !listed(rule.id))
        .map(|rule| Complaint {
            kind: ComplaintKind::NewDeviation,
            rule: Some(rule.id.into()),
            message: format!("{} is broken, which {file} does not expect", rule.id),
        })
        .collect()
}

fn is_broken(document: &Document, rule: RuleId) -> bool {
    document
        .rule(rule.as_str())
        .is_some_and(|rule| rule.verdict == RuleVerdict::Fail)
}

/// Why a deviation is not as listed: it is gone, or nobody can tell.
fn gone(document: &Document, deviation: &Deviation, file: &str) -> Option<(ComplaintKind, String)> {
    let rule = deviation.rule;
    let Some(seen) = document.rule(rule.as_str()) else {
        let profile = &document.profile;
        return Some((
            ComplaintKind::GoneDeviation,
            format!("{rule} is no rule of profile {profile}: remove it from {file}"),
        ));
    };
    match seen.verdict {
        RuleVerdict::Fail => None,
        RuleVerdict::NotApplicable => {
            let reason = seen.reason.as_deref().unwrap_or("not applicable");
            // What is seen now and then may be back when the rule applies again.
            let kind = match deviation.flaky {
                Some(_) => ComplaintKind::NotExercised,
                None => ComplaintKind::GoneDeviation,
            };
            Some((
                kind,
                format!("{rule} no longer applies, {reason}: remove it from {file}"),
            ))
        }
        _ if deviation.flaky.is_some() => None,
        RuleVerdict::Pass => Some((
            ComplaintKind::GoneDeviation,
            format!("{rule} now passes: remove it from {file}"),
        )),
        RuleVerdict::NotExercised => Some((
            ComplaintKind::NotExercised,
            format!(
                "{rule} was not put to the test: give the subject more `time`, or remove the rule from {file}"
            ),
        )),
    }
}

/// Why a fact is not as recorded: it has changed, or nobody can tell.
fn changed(document: &Document, rule: RuleId, fact: &str) -> Option<(ComplaintKind, String)> {
    let verdict = document.rule(rule.as_str()).map(|rule| rule.verdict);
    match (document.facts.get(rule.as_str()), verdict) {
        (Some(seen), _) if seen == fact => None,
        (Some(seen), _) => Some((ComplaintKind::ChangedFact, format!("seen was \"{seen}\""))),
        (None, None) => {
            let profile = &document.profile;
            let why = format!("which is no rule of profile {profile}: remove it");
            Some((ComplaintKind::ChangedFact, why))
        }
        (None, Some(RuleVerdict::NotApplicable)) => Some((
            ComplaintKind::ChangedFact,
            "which no longer applies: remove it".into(),
        )),
        (None, Some(_)) => Some((
            ComplaintKind::NotExercised,
            "nothing was seen of it: give the subject more `time`, or remove it".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn judged(expectations: &str) -> Judgement {
        let expected = Expectations::parse(expectations).expect("sound expectations");
        judge(&sample::document(), &expected, Path::new("x.toml"))
    }

    fn kinds(judgement: &Judgement) -> Vec<(ComplaintKind, &str)> {
        let complaints = judgement.complaints.iter();
        complaints
            .map(|of| (of.kind, of.rule.as_deref().unwrap_or_default()))
            .collect()
    }

    const ALL: &str = "
        [[deviation]]
        rule = \"realloc-fail-keeps\"
        reason = \"known\"
        [[deviation]]
        rule = \"malloc-errno\"
        reason = \"\"
        [[deviation]]
        rule = \"no-output\"
        reason = \"greets\"
        [facts]
        malloc-zero-choice = \"malloc(0) returns a unique pointer\"
    ";

    #[test]
    fn all_as_expected() {
        let judgement = judged(ALL);
        assert_eq!(judgement.verdict, Standing::Pass, "{judgement:?}");
        let reasons: Vec<&str> = judgement
            .known
            .iter()
            .map(|of| of.reason.as_str())
            .collect();
        assert_eq!(reasons, ["known", "no reason is given yet", "greets"]);
    }

    #[test]
    fn a_new_deviation_fails_whatever_its_level() {
        let judgement = judged("");
        assert_eq!(judgement.verdict, Standing::Fail);
        let new = ComplaintKind::NewDeviation;
        assert_eq!(
            kinds(&judgement),
            [
                (new, "no-output"),
                (new, "realloc-fail-keeps"),
                (new, "malloc-errno")
            ]
        );
    }

    #[test]
    fn a_deviation_that_is_gone_fails_unless_it_is_flaky() {
        let more = "[[deviation]]\nrule = \"disjoint\"\nreason = \"x\"\n";
        let judgement = judged(&format!("{more}{ALL}"));
        assert_eq!(
            kinds(&judgement),
            [(ComplaintKind::GoneDeviation, "disjoint")]
        );
        assert_eq!(
            judgement.complaints[0].message,
            "disjoint now passes: remove it from x.toml"
        );
        let flaky = judged(&format!("{more}flaky = 0.3\n{ALL}"));
        assert_eq!((flaky.verdict, flaky.known.len()), (Standing::Pass, 3));
        let unseen: Vec<(&str, Option<f64>)> = flaky
            .unseen
            .iter()
            .map(|of| (of.rule.as_str(), of.flaky))
            .collect();
        assert_eq!(unseen, [("disjoint", Some(0.3))]);
    }

    #[test]
    fn what_cannot_be_seen_is_not_expected() {
        let (gone, idle) = (ComplaintKind::GoneDeviation, ComplaintKind::NotExercised);
        for (rule, flaky, kind, says) in [
            ("calloc-zero-after-oom", "", idle, "not put to the test"),
            ("reallocarray-overflow", "", gone, "no longer applies"),
            (
                "reallocarray-overflow",
                "flaky = 0.5",
                idle,
                "no longer applies",
            ),
            ("align-pymalloc", "", gone, "no rule of profile"),
        ] {
            let text = format!("[[deviation]]\nrule = \"{rule}\"\nreason = \"x\"\n{flaky}\n{ALL}");
            let judgement = judged(&text);
            let messages: Vec<&str> = judgement
                .complaints
                .iter()
                .map(|of| of.message.as_str())
                .collect();
            assert!(
                messages.len() == 1 && messages[0].contains(says),
                "{messages:?}"
            );
            assert_eq!(kinds(&judgement), [(kind, rule)]);
        }
    }

    #[test]
    fn a_changed_fact_fails() {
        let judgement = judged(&ALL.replace("a unique pointer", "NULL"));
        assert_eq!(
            kinds(&judgement),
            [(ComplaintKind::ChangedFact, "malloc-zero-choice")]
        );
        let unseen = judged(&format!("{ALL}realloc-p0 = \"x\""));
        assert!(
            unseen.complaints[0]
                .message
                .ends_with("no rule of profile linux: remove it"),
            "{unseen:?}"
        );
        let mut document = sample::document();
        document.facts.clear();
        let expected = Expectations::parse(ALL).expect("sound expectations");
        assert_eq!(
            kinds(&judge(&document, &expected, Path::new("x.toml"))),
            [(ComplaintKind::NotExercised, "malloc-zero-choice")]
        );
    }
}
