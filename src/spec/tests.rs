//! What the data under `conformance/` must satisfy beyond what the loader demands.

use std::collections::BTreeSet;

use super::*;

fn profile(name: &str) -> Profile {
    match Catalogue::embedded().profile(name) {
        Ok(profile) => profile,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_rule_says_what_it_must() {
    for (rule, &id) in Catalogue::embedded().rules().iter().zip(RuleId::ALL) {
        assert_eq!(rule.id, id, "catalogue order");
        for (key, text) in [
            ("section", &rule.section),
            ("title", &rule.title),
            ("statement", &rule.statement),
            ("checked", &rule.checked),
        ] {
            assert!(!text.trim().is_empty(), "{id}: {key} is empty");
            assert!(
                !text.contains("  ") && text.trim() == text,
                "{id}: {key} has stray blanks"
            );
        }
        assert!(
            !rule.title.ends_with('.') && rule.title.len() <= 80,
            "{id}: {}",
            rule.title
        );
        assert!(rule.statement.ends_with('.'), "{id}: {}", rule.statement);
        assert!(!rule.sources.is_empty(), "{id} has no source");
        assert!(!rule.profiles.is_empty(), "{id} has no profile");
        let kinds = ["passive:", "directed:", "passive and directed:", "once:"];
        assert!(
            kinds.iter().any(|kind| rule.checked.starts_with(kind)),
            "{id}: {}",
            rule.checked
        );
        assert!(
            rule.note.as_ref().is_none_or(|note| note.ends_with('.')),
            "{id}: {:?}",
            rule.note
        );
    }
}

#[test]
fn the_rules_of_a_section_stand_together() {
    let mut sections: Vec<&str> = Catalogue::embedded()
        .rules()
        .iter()
        .map(|rule| rule.section.as_str())
        .collect();
    sections.dedup();
    let distinct: BTreeSet<&str> = sections.iter().copied().collect();
    assert_eq!(sections.len(), distinct.len(), "{sections:?}");
}

#[test]
fn every_profile_has_rules_and_entry_points() {
    for profile in Catalogue::embedded().profiles() {
        assert!(!profile.rules().is_empty(), "{}", profile.id());
        for core in ["malloc", "realloc", "free"] {
            assert!(profile.promises(core), "{} without {core}", profile.id());
        }
        assert!(!profile.title().is_empty() && !profile.document().is_empty());
    }
}

#[test]
fn cpython_has_calloc_since_3_5() {
    for (name, has) in [("2.7", false), ("3.4", false), ("3.5", true), ("3.9", true)] {
        let profile = profile(&format!("cpython-{name}"));
        assert_eq!(profile.promises("calloc"), has, "{name}");
        assert_eq!(profile.has(RuleId::CallocZero), has, "{name}");
        assert_eq!(profile.has(RuleId::CallocSmallNoRaw), has, "{name}");
        assert!(profile.has(RuleId::Threshold512), "{name}");
    }
}

#[test]
fn a_rule_can_be_exercised_wherever_it_stands() {
    let catalogue = Catalogue::embedded();
    for profile in catalogue.profiles() {
        for id in profile.rules().iter() {
            let missing = catalogue
                .rule(id)
                .missing_calls(|call| profile.promises(call));
            assert_eq!(missing, [""; 0], "{id} in {}", profile.id());
        }
    }
}

#[test]
fn a_level_of_its_own_differs_and_belongs_to_a_profile_of_the_rule() {
    let catalogue = Catalogue::embedded();
    for rule in catalogue.rules() {
        for (name, &level) in &rule.levels {
            assert_ne!(level, rule.level, "{} says nothing new of {name}", rule.id);
            assert_eq!(profile(name).level(rule.id), Some(level), "{}", rule.id);
        }
    }
}

#[test]
fn edge_cases_go_with_their_rules() {
    use RuleId::{ReallocP0, ReallocZeroKeepsBlock};
    for profile in Catalogue::embedded().profiles() {
        for (case, rules) in [
            (
                EdgeCase::ReallocZero,
                &[ReallocP0, ReallocZeroKeepsBlock][..],
            ),
            (
                EdgeCase::AlignedAllocInvalid,
                &[RuleId::AlignedAllocInvalid],
            ),
            (EdgeCase::MemalignInvalid, &[RuleId::MemalignInvalid]),
        ] {
            let ruled = rules.iter().any(|&rule| profile.has(rule));
            assert_eq!(profile.defines(case), ruled, "{case:?} in {}", profile.id());
        }
        if profile.has(RuleId::AlignedAllocNonmultiple) {
            assert!(
                profile.defines(EdgeCase::AlignedAllocNonmultiple),
                "{}",
                profile.id()
            );
        }
    }
    assert!(!profile("c23").defines(EdgeCase::ReallocZero));
    assert!(!profile("c11").defines(EdgeCase::AlignedAllocInvalid));
    assert!(!profile("c11").defines(EdgeCase::AlignedAllocNonmultiple));
}

#[test]
fn contested_texts_are_decided_in_notes() {
    use RuleId::*;
    for id in [
        AlignFundamentalAny,
        AlignFundamentalFit,
        AlignZeroSize,
        AlignedAllocInvalid,
        AlignedAllocNonmultiple,
        BoundedSteady,
        CallReturns,
        ForkMtChild,
        FreeErrno,
        FreeMakesAvailable,
        MallocErrno,
        MallocZeroChoice,
        OomReturnsNull,
        PmaErrno,
        PmaMemptr,
        PtrdiffMax,
        ReallocNullIsMalloc,
        ReallocP0,
        ReallocZeroErrno,
        ReallocarrayOverflow,
        UsableWritable,
    ] {
        assert!(Catalogue::embedded().rule(id).note.is_some(), "{id}");
    }
}

#[test]
fn rules_are_found_by_id_and_alias() {
    let catalogue = Catalogue::embedded();
    for rule in catalogue.rules() {
        for name in std::iter::once(rule.id.as_str()).chain(rule.aliases.iter().map(String::as_str))
        {
            assert_eq!(catalogue.find(name), Some(rule));
        }
    }
    for (alias, id) in [
        ("live-disjoint", RuleId::Disjoint),
        ("free-null-noop", RuleId::FreeNull),
        ("calloc-zeroed", RuleId::CallocZero),
        ("deterministic-null-state", RuleId::PmaMemptr),
    ] {
        assert_eq!(catalogue.find(alias).map(|rule| rule.id), Some(id));
    }
    assert_eq!(catalogue.find("windows"), None);
}

#[test]
fn profiles_are_found_by_short_names_and_unions() {
    assert_eq!(profile("posix17").id(), "posix-2017");
    assert_eq!(profile("c17+posix17+c17").id(), "c17+posix-2017");
    for bad in ["", "c16", "c17+", "c17+windows"] {
        let error = Catalogue::embedded().profile(bad).expect_err(bad);
        assert_eq!(Some(error.name.as_str()), bad.split('+').next_back());
        assert!(
            error.to_string().contains("c99, c11, c17, c23, posix-2008"),
            "{error}"
        );
    }
}

#[test]
fn a_union_demands_what_any_part_demands() {
    let (posix, gnu) = (profile("posix-2017"), profile("gnu"));
    let union = profile("posix-2017+gnu");
    for &id in RuleId::ALL.iter().filter(|&&id| union.waiver(id).is_none()) {
        assert_eq!(union.level(id), posix.level(id).max(gnu.level(id)), "{id}");
    }
    assert_eq!(posix.level(RuleId::FreeErrno), Some(Level::Quality));
    assert_eq!(union.level(RuleId::FreeErrno), Some(Level::Must));
    assert!(union.promises("posix_memalign") && union.promises("pvalloc"));
    assert!(union.defines(EdgeCase::MemalignInvalid) && !posix.defines(EdgeCase::MemalignInvalid));
}

#[test]
fn linux_is_its_parts_and_what_c23_adds() {
    let (linux, parts) = (profile("linux"), profile("c17+posix-2017+gnu+cxx17+bsd"));
    let added = [
        RuleId::SizedFreeNull,
        RuleId::FreeSizedEquiv,
        RuleId::FreeAlignedSizedEquiv,
    ];
    for &id in RuleId::ALL {
        let level = match added.contains(&id) {
            true => profile("c23").level(id),
            false => parts.level(id),
        };
        assert_eq!(linux.level(id), level, "{id}");
    }
    let added = |name: &&str| matches!(*name, "free_sized" | "free_aligned_sized");
    let (added, others): (Vec<&str>, Vec<&str>) = linux.entry_points().partition(added);
    assert_eq!(added.len(), 2);
    assert!(parts.entry_points().eq(others));
}

#[test]
fn what_a_document_contradicts_no_union_with_it_demands() {
    let id = RuleId::ReallocZeroErrno;
    assert_eq!(profile("posix-2024").level(id), Some(Level::Must));
    for union in [
        "linux",
        "posix-2017+gnu",
        "gnu+posix-2024",
        "linux+posix-2024+c11",
    ] {
        let union = profile(union);
        assert!(
            !union.has(id) && union.waiver(id).is_some(),
            "{}",
            union.id()
        );
    }
}

#[test]
fn missing_entry_points_are_named() {
    let catalogue = Catalogue::embedded();
    let rule = catalogue.rule(RuleId::AlignReallocFirst);
    let provides = |calls: &'static [&str]| move |call: &str| calls.contains(&call);
    assert_eq!(
        rule.missing_calls(provides(&["realloc", "memalign"])),
        [""; 0]
    );
    assert_eq!(rule.missing_calls(provides(&["memalign"])), ["realloc"]);
    assert_eq!(
        rule.missing_calls(provides(&["realloc"])),
        [
            "aligned_alloc",
            "posix_memalign",
            "memalign",
            "valloc",
            "pvalloc"
        ]
    );
    assert_eq!(
        catalogue.rule(RuleId::Disjoint).missing_calls(|_| false),
        [""; 0]
    );
}
