//! From the result of a check to its document.

use super::{
    Answer, Document, Failures, Finding, HeapMap, Line, Misuse, Phase, Rule, RuleVerdict, Series,
    Shown, Sign, Subject, TOOL, VERSION,
};
use crate::report::c_program::c_program;
use crate::report::evidence::contrast;
use crate::report::words::signal;
use crate::report::{Report, commands, listing, trace};
use crate::run::verdict::{
    self, Conformance, MisuseResult, Provider, RuleResult, SubjectInfo, Verdict,
};
use crate::shadow::Case;
use crate::spec::Profile;
use std::path::PathBuf;

impl Document {
    /// The document of a report.
    pub fn new(report: &Report<'_>) -> Document {
        let result = report.result;
        let facts = result.facts.iter();
        let cases = result.cases.iter().enumerate();
        Document {
            tool: TOOL,
            version: VERSION,
            subject: subject(&result.subject),
            profile: result.profile.0.clone(),
            profile_title: result.profile.1.clone(),
            seed: result.seed,
            verdict: match result.conformance {
                Conformance::Conformant => Answer::Conformant,
                Conformance::Nonconformant => Answer::Nonconformant,
            },
            strict: report.strict,
            facts: facts
                .map(|(rule, text)| (rule.to_string(), text.clone()))
                .collect(),
            elapsed_s: result.elapsed.as_secs_f64(),
            ops: result.ops,
            workers: result.workers,
            phases: result
                .phases
                .iter()
                .map(|share| Phase {
                    name: share.phase.as_str(),
                    programs: share.programs,
                    elapsed_s: share.time.as_secs_f64(),
                })
                .collect(),
            tally: report.tally(),
            rules: result.rules.iter().map(|of| rule(report, of)).collect(),
            findings: cases
                .map(|(index, case)| finding(report, index, case))
                .collect(),
            failures: result.failures.map(failures),
            misuse: result.misuse.iter().map(misuse).collect(),
        }
    }
}

fn misuse(result: &MisuseResult) -> Misuse {
    let mut signs: Vec<Sign> = result
        .signs
        .iter()
        .map(|(sign, &times)| Sign {
            signal: sign.signal.map(signal),
            message: sign.message.clone(),
            times,
        })
        .collect();
    signs.sort_by_key(|sign| std::cmp::Reverse(sign.times));
    Misuse {
        misuse: result.misuse,
        title: result.title,
        tried: result.tried,
        detected: result.detected,
        silent: result.silent,
        corrupting: result.corrupting,
        signs,
    }
}

fn failures(of: verdict::Failures) -> Failures {
    Failures {
        seen: of.seen,
        failed: of.failed,
        gave_up: of.gave_up,
        did_without: of.did_without,
    }
}

fn rule(report: &Report<'_>, result: &RuleResult) -> Rule {
    let (verdict, reason) = match &result.verdict {
        Verdict::Pass => (RuleVerdict::Pass, None),
        Verdict::Fail => (RuleVerdict::Fail, None),
        Verdict::NotExercised(reason) => (RuleVerdict::NotExercised, reason.clone()),
        Verdict::NotApplicable(reason) => (RuleVerdict::NotApplicable, Some(reason.clone())),
    };
    let rule = report.cited(result.rule);
    let profiles = report.catalogue.profiles().iter();
    Rule {
        id: result.rule.as_str(),
        level: result.level,
        verdict,
        checks: result.checks,
        title: rule.title,
        source: rule.sources.join("; "),
        section: rule.section,
        statement: rule.statement,
        checked: rule.checked,
        note: rule.note,
        profiles: profiles
            .filter(|profile| profile.has(result.rule))
            .map(Profile::id)
            .map(str::to_owned)
            .collect(),
        reason,
    }
}

fn subject(subject: &SubjectInfo) -> Subject {
    let points = &subject.entry_points;
    let own = points
        .iter()
        .filter(|point| point.provider == Provider::Subject);
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    Subject {
        kind: subject.kind,
        name: subject.name.clone(),
        path: subject.path.as_ref().map(path),
        entry_points: own.map(|point| point.name).collect(),
        other_providers: points
            .iter()
            .filter_map(|point| match &point.provider {
                Provider::Subject => None,
                Provider::Other(other) => Some((point.name, Some(path(other)))),
                Provider::Nobody => Some((point.name, None)),
            })
            .collect(),
        notes: subject.notes.clone(),
    }
}

fn finding(report: &Report<'_>, index: usize, case: &Case) -> Finding {
    let rule = report.cited(case.finding.rule);
    let level = report.level(rule.id);
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
    let file = saved
        .and_then(|saved| saved.c.clone())
        .unwrap_or_else(|| stem.with_extension("c"));
    let c = c_program(case, &report.result.subject, &rule, &file);
    Finding {
        rule: rule.id.as_str(),
        level,
        breaks: report.breaks(level),
        message,
        phase: case.phase.clone(),
        op_index: case.finding.op_index,
        reproduced: case.reproduced,
        shown: case.shown.map(|shown| Shown {
            times: shown.times,
            of: shown.of,
        }),
        steps: case.program.steps(),
        kept: saved.is_some(),
        program: trace::text(report, case),
        listing: listing::lines(case).into_iter().map(line).collect(),
        heap: HeapMap::of(case),
        series: Series::of(case),
        replay: commands::again(report.result, case, trace.as_deref()),
        compile: c
            .is_some()
            .then(|| commands::compile_and_run(&report.result.subject, &file)),
        explain: format!("allocspec rules {}", rule.id),
        c,
        expected: contrast.expected,
        found: contrast.found,
    }
}

fn line(line: listing::Line) -> Line {
    match line {
        listing::Line::Op {
            text,
            outcome,
            guilty,
        } => Line {
            text,
            outcome,
            guilty,
            elided: false,
        },
        listing::Line::Elided(number) => Line {
            text: listing::Line::elision(number),
            outcome: String::new(),
            guilty: false,
            elided: true,
        },
    }
}
