use super::*;
use crate::program::op::{Call, NO_SLOT, Op};
use crate::program::vocabulary::Calls;
use crate::spec::RuleId;
use std::collections::{BTreeMap, BTreeSet};

/// Rules that only the whole process can be asked about, or that come with every other program.
const UNDIRECTED: [RuleId; 9] = [
    // Whose function answers is read from the loaded process.
    RuleId::InterposeCore,
    RuleId::InterposeComplete,
    RuleId::CxxPairComplete,
    RuleId::CxxPairSized,
    RuleId::CxxPairDelete,
    // Each call as the first of a process is made by whoever starts the processes.
    RuleId::FirstCallAny,
    // Looked at after every call of every program.
    RuleId::ErrnoNeverZeroed,
    RuleId::ErrnoSuccess,
    RuleId::FreeErrnoExt,
];

fn rules_of(programs: &[Program]) -> BTreeSet<RuleId> {
    programs.iter().filter_map(|program| program.rule).collect()
}

/// Vocabularies from the poorest to the richest.
fn vocabularies() -> Vec<Vocabulary> {
    let core = [Call::Malloc, Call::Calloc, Call::Realloc, Call::Free];
    let core: Calls = core.into_iter().collect();
    let poor = Vocabulary {
        calls: core,
        zero_realloc: false,
        invalid_alignments: false,
        nonmultiple_sizes: false,
        invalid_memalign: false,
        hooked: false,
        bursts: false,
        ..Vocabulary::default()
    };
    let c11 = Vocabulary {
        calls: core.with(Call::AlignedAlloc),
        ..poor.clone()
    };
    let odd = Vocabulary {
        boundaries: vec![1, 8, 25, 300, 70_000, u64::MAX],
        max_live: 4096,
        ..Vocabulary::default()
    };
    vec![poor, c11, odd, Vocabulary::default()]
}

#[test]
fn programs_are_legal_and_permitted() {
    for vocabulary in vocabularies() {
        for program in directed(&vocabulary, 7) {
            let rule = program.rule.unwrap();
            assert_eq!(program.check(), Ok(()), "{rule}\n{program}");
            assert!(vocabulary.permits(&program), "{rule}\n{program}");
        }
    }
}

#[test]
fn every_rule_has_programs() {
    let rules = rules_of(&directed(&Vocabulary::default(), 7));
    for &rule in RuleId::ALL {
        assert_ne!(rules.contains(&rule), UNDIRECTED.contains(&rule), "{rule}");
    }
}

#[test]
fn the_four_calls_of_c_are_enough_for_their_rules() {
    let [poor, _, _, rich] = &vocabularies()[..] else {
        panic!()
    };
    let (poor, rich) = (rules_of(&directed(poor, 7)), rules_of(&directed(rich, 7)));
    for rule in [
        RuleId::HugeMustFail,
        RuleId::CallocWrap,
        RuleId::CallocZero,
        RuleId::NoStaleSuccess,
        RuleId::OomRecovers,
        RuleId::ReallocFailKeeps,
        RuleId::ReallocContent,
        RuleId::FreeNull,
    ] {
        assert!(poor.contains(&rule), "{rule}");
    }
    assert!(poor.is_subset(&rich));
}

#[test]
fn programs_are_short_and_the_cheapest_come_first() {
    let programs = directed(&Vocabulary::default(), 7);
    assert!(programs.is_sorted_by_key(Program::steps));
    assert!(programs.len() < 2400, "{}", programs.len());
    let long = programs
        .iter()
        .filter(|program| program.steps() > 20_000)
        .count();
    assert!(long * 10 < programs.len(), "{long} of {}", programs.len());
    // For many children there need not be time.
    let needed = programs.iter().filter(|program| {
        let children = |op: &Op| op.call == Call::Repeat && op.a >= 499;
        !(program.is_among_threads()
            && program.calls().any(|call| call == Call::Fork)
            && program.ops.iter().any(children))
    });
    let total: u64 = needed.map(Program::steps).sum();
    assert!(total < 10_000_000, "{total}");
    let all: u64 = programs.iter().map(Program::steps).sum();
    assert!(all < 12_000_000, "{all}");
}

/// The most bytes live at once, of requests that may be met.
fn peak(program: &Program) -> u64 {
    let mut sizes = BTreeMap::new();
    let (mut live, mut peak) = (0, 0);
    let mut most = 1 << 47;
    for op in &program.ops {
        if op.call == Call::Limit {
            most = if op.a == 0 { 1 << 47 } else { op.a };
        }
        if op.slot == NO_SLOT {
            continue;
        }
        let size = match op.size() {
            Some(size) if size < most => size,
            _ if op.call.frees() => 0,
            _ => continue,
        };
        live = live + size - sizes.insert(op.slot, size).unwrap_or(0);
        peak = peak.max(live);
    }
    peak
}

#[test]
fn no_more_is_live_than_may_be() {
    let vocabulary = Vocabulary {
        max_live: 1 << 28,
        ..Vocabulary::default()
    };
    // These ask for more than there is, on purpose: sizes that are untouched but for some pages, and exhaustion.
    let large = [
        RuleId::SizeBoundaries,
        RuleId::CallocNoFalseWrap,
        RuleId::OomReturnsNull,
        RuleId::MallocErrno,
    ];
    for program in directed(&vocabulary, 7) {
        let rule = program.rule.unwrap();
        assert!(
            large.contains(&rule) || peak(&program) <= vocabulary.max_live,
            "{rule} {}",
            peak(&program)
        );
    }
}
