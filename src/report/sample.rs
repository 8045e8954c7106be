//! Subjects, cases and results for the tests of this room.

use super::Report;
use super::document::{Complaint, ComplaintKind, Document, Entry, Judgement, Known, Standing};
use crate::program::{Call, Op, Program};
use crate::run::verdict::{
    CheckResult, Conformance, EntryPoint, Provider, RuleResult, SubjectInfo, Verdict,
};
use crate::run::{Phase, PhaseShare};
use crate::shadow::{Case, Evidence, Finding, Outcome};
use crate::spec::{Catalogue, Level, Rule, RuleId};
use std::collections::BTreeMap;
use std::time::Duration;

/// A preloaded library at this path that lacks `pvalloc`.
pub fn subject(path: &str) -> SubjectInfo {
    let point = |name, provider| EntryPoint {
        name,
        symbol: name.to_owned(),
        provider,
    };
    SubjectInfo {
        kind: "preload",
        name: path.into(),
        path: Some(path.into()),
        arguments: path.into(),
        environment: Vec::new(),
        entry_points: vec![
            point("malloc", Provider::Subject),
            point("free", Provider::Subject),
            point("pvalloc", Provider::Other("/lib/libc.so.6".into())),
            point("free_sized", Provider::Nobody),
        ],
        notes: Vec::new(),
    }
}

/// A case whose last operation is guilty.
pub fn case(rule: RuleId, ops: &[Op], outcomes: &[Outcome], evidence: Evidence) -> Case {
    Case {
        finding: Finding {
            rule,
            op_index: ops.len().saturating_sub(1),
            evidence,
        },
        program: Program {
            rule: None,
            ops: ops.to_vec(),
        },
        outcomes: outcomes.to_vec(),
        live: Vec::new(),
        phase: "random".into(),
        reproduced: true,
        shown: None,
    }
}

/// A call that gave this value.
pub fn gave(value: u64) -> Outcome {
    Outcome {
        made: true,
        value,
        ..Outcome::default()
    }
}

/// A call that failed with this `errno`.
pub fn failed(errno: i32) -> Outcome {
    Outcome {
        made: true,
        errno: Some(errno),
        ..Outcome::default()
    }
}

/// A result with one rule of each verdict, and these cases.
pub fn result(cases: Vec<Case>) -> CheckResult {
    let rule = |rule, level, verdict, checks| RuleResult {
        rule,
        level,
        verdict,
        checks,
    };
    CheckResult {
        subject: subject("./libfast.so"),
        profile: ("linux".into(), "c17 + posix-2017 + gnu".into()),
        seed: 7,
        elapsed: Duration::from_millis(10_080),
        ops: 83_114_902,
        workers: 512,
        phases: vec![PhaseShare {
            phase: Phase::Threads,
            programs: 40,
            time: Duration::from_millis(1_234),
        }],
        rules: vec![
            rule(RuleId::Disjoint, Level::Must, Verdict::Pass, 83_114_902),
            rule(
                RuleId::ContentStable,
                Level::Must,
                Verdict::Pass,
                41_557_330,
            ),
            rule(RuleId::NoOutput, Level::Quality, Verdict::Fail, 12),
            rule(RuleId::ReallocFailKeeps, Level::Must, Verdict::Fail, 2_114),
            rule(
                RuleId::CallocZeroAfterOom,
                Level::Must,
                Verdict::NotExercised(None),
                0,
            ),
            rule(
                RuleId::ReallocarrayOverflow,
                Level::Must,
                Verdict::NotApplicable("reallocarray is not exported".into()),
                0,
            ),
            rule(RuleId::MallocZeroChoice, Level::Fact, Verdict::Pass, 5),
        ],
        facts: BTreeMap::from([(
            RuleId::MallocZeroChoice,
            "malloc(0) returns a unique pointer".into(),
        )]),
        cases,
        failures: None,
        misuse: Vec::new(),
        conformance: Conformance::Nonconformant,
    }
}

/// A rule with this id.
pub fn rule(id: RuleId) -> Rule {
    Rule {
        id,
        section: "addresses and contents".into(),
        title: "a title".into(),
        statement: "A statement that says what must be.".into(),
        level: Level::Must,
        levels: BTreeMap::new(),
        profiles: vec!["c".into()],
        sources: vec!["C17 7.22.3p1".into(), "POSIX.1-2017 malloc".into()],
        checked: "passive: on every call".into(),
        calls: Vec::new(),
        calls_all: Vec::new(),
        pools: false,
        hooks: false,
        mutants: Vec::new(),
        note: None,
        aliases: Vec::new(),
    }
}

/// A failed realloc that freed the block.
pub fn realloc_fail_keeps() -> Case {
    let ops = [
        Op::new(Call::Malloc, 0, 100, 0),
        Op::new(Call::Realloc, 0, i64::MAX as u64, 0),
        Op::new(Call::Malloc, 1, 100, 0),
    ];
    let outcomes = [
        gave(0x7f31_c400_1040),
        failed(libc::ENOMEM),
        gave(0x7f31_c400_1040),
    ];
    let evidence = Evidence::Overlap {
        address: 0x7f31_c400_1040,
        size: 100,
        other: 0,
        other_address: 0x7f31_c400_1040,
        other_size: 100,
    };
    case(RuleId::ReallocFailKeeps, &ops, &outcomes, evidence)
}

/// A failed malloc that leaves `errno` alone.
pub fn malloc_errno() -> Case {
    let evidence = Evidence::Errno {
        before: 0,
        after: 0,
        wanted: Some(libc::ENOMEM),
    };
    let ops = [Op::new(Call::Malloc, 0, i64::MAX as u64, 0)];
    case(RuleId::MallocErrno, &ops, &[gave(0)], evidence)
}

/// The document of a check that found two rules of level `must` and one of quality broken.
pub fn document() -> Document {
    let output = Evidence::Output {
        text: "hello\n".into(),
    };
    let mut result = result(vec![
        realloc_fail_keeps(),
        malloc_errno(),
        case(RuleId::NoOutput, &[], &[], output),
    ]);
    result.rules.push(RuleResult {
        rule: RuleId::MallocErrno,
        level: Level::Must,
        verdict: Verdict::Fail,
        checks: 31,
    });
    Document::new(&Report {
        result: &result,
        catalogue: Catalogue::embedded(),
        saved: &[],
        strict: false,
    })
}

/// A gate with a subject that is not as expected, and one that is not installed.
pub fn entries() -> Vec<Entry> {
    let complaint = |kind, rule: RuleId, message: &str| Complaint {
        kind,
        rule: Some(rule.to_string()),
        message: message.into(),
    };
    let fast = Entry {
        name: "fast".into(),
        judgement: Some(Judgement {
            verdict: Standing::Fail,
            note: None,
            complaints: vec![
                complaint(
                    ComplaintKind::NewDeviation,
                    RuleId::ReallocFailKeeps,
                    "realloc-fail-keeps is broken, which is new",
                ),
                complaint(
                    ComplaintKind::GoneDeviation,
                    RuleId::CallocWrap,
                    "calloc-wrap now passes: remove it",
                ),
            ],
            known: vec![Known {
                rule: RuleId::MallocErrno.to_string(),
                reason: "errno is not documented to be set".into(),
                link: Some("https://example.org/1".into()),
                flaky: None,
            }],
            unseen: vec![Known {
                rule: RuleId::ErrnoSuccess.to_string(),
                reason: "the first call may leave ENOENT".into(),
                link: None,
                flaky: Some(0.9),
            }],
        }),
        report: Some(document()),
    };
    let absent = Entry {
        name: "absent".into(),
        judgement: Some(Judgement {
            verdict: Standing::Skipped,
            note: Some("not installed: apt-get install libabsent1".into()),
            complaints: Vec::new(),
            known: Vec::new(),
            unseen: Vec::new(),
        }),
        report: None,
    };
    vec![fast, absent]
}
