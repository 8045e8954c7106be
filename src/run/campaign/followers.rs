//! Findings that follow from others.
//!
//! A heap in which memory of one block is that of another, or of nobody, keeps no promise. Where that shows in a process of
//! one thread that nothing disturbs, what goes wrong among threads, after a fork and so on is the same once more, or cannot
//! be told from it.

use super::races::is_hang;
use crate::program::{Call, Condition, Op, TOLD};
use crate::shadow::{Case, Evidence, Moment, is_about_threads};
use crate::spec::RuleId;

/// Whether a rule is about threads, or about what else a process may meet with.
pub fn is_about_company(rule: RuleId) -> bool {
    is_about_threads(rule) || Condition::RULES.contains(&rule)
}

/// Drops the harm to memory that follows from harm done without company, told or met `beside` what was asked about, and
/// answers with the rule that this breaks. Who waits for ever in company does not do so for damage. What frees do that are
/// told the size explains only what shows in programs that have such.
pub fn drop_followers(cases: &mut Vec<Case>, beside: &[Case]) -> Option<RuleId> {
    let alone = |case: &&Case| {
        let evidence = &case.finding.evidence;
        evidence.harms_memory()
            && !is_of_no_bytes(evidence)
            && case.reproduced
            && !case.program.has_threads()
            && !is_about_company(case.finding.rule)
    };
    let harmful = cases.iter().chain(beside).filter(alone);
    let (told, others): (Vec<RuleId>, Vec<RuleId>) = harmful
        .map(|case| case.finding.rule)
        .partition(|rule| TOLD.contains(rule));
    let is_explained = |case: &Case| {
        let mut its = case.program.ops.iter().filter_map(Op::rule_of_told);
        !others.is_empty() || its.any(|rule| told.contains(&rule))
    };
    let follows = |case: &Case| harms_or_dies(case) && !(case.reproduced && is_hang(&case.finding));
    cases.retain(|case| {
        !is_about_company(case.finding.rule) || !follows(case) || !is_explained(case)
    });
    others.first().copied()
}

/// Whether blocks have one address that no byte is stored at.
fn is_of_no_bytes(evidence: &Evidence) -> bool {
    matches!(
        evidence,
        Evidence::Overlap { size: 0, .. } | Evidence::Overlap { other_size: 0, .. }
    )
}

/// Drops what was laid to a fork among threads and did not show again, if the threads disturb one another without one.
/// Answers with the rules of which that was told.
pub fn drop_races(cases: &mut Vec<Case>) -> Vec<RuleId> {
    let races = |case: &Case| {
        case.finding.rule == RuleId::ThreadSafe && harms_or_dies(case) && case.reproduced
    };
    if !cases.iter().any(races) {
        return Vec::new();
    }
    let forks = [RuleId::ForkMtChild, RuleId::ForkMtParent];
    let explained = |case: &mut Case| {
        !case.reproduced && forks.contains(&case.finding.rule) && harms_or_dies(case)
    };
    let dropped = cases.extract_if(.., explained);
    dropped.map(|case| case.finding.rule).collect()
}

/// Drops hangs in company that did not show again, if one thread that nothing disturbs hangs as well. Answers with the rules
/// of which that was told, each with that which the one thread breaks.
pub fn drop_hangs(cases: &mut Vec<Case>, beside: &[Case]) -> Vec<(RuleId, RuleId)> {
    let alone = |case: &&Case| {
        is_hang(&case.finding)
            && case.reproduced
            && !case.program.has_threads()
            && !is_about_company(case.finding.rule)
    };
    let Some(alone) = cases.iter().chain(beside).find(alone) else {
        return Vec::new();
    };
    let rule = alone.finding.rule;
    let explained = |case: &mut Case| {
        !case.reproduced && is_about_threads(case.finding.rule) && is_hang(&case.finding)
    };
    let dropped = cases.extract_if(.., explained);
    dropped.map(|case| (case.finding.rule, rule)).collect()
}

/// Rules about circumstances, or about bytes that are used beyond those asked for. Hangs that are laid to one kind may have one
/// cause.
const KINDS: [&[RuleId]; 7] = [
    &[RuleId::ForkSt, RuleId::ForkMtChild, RuleId::ForkMtParent],
    &[RuleId::SignalInterrupt, RuleId::VforkSpawn],
    &[RuleId::ClosedDescriptors, RuleId::NoProc],
    &[RuleId::AtexitUse, RuleId::CtorUse],
    &[RuleId::StackSmall],
    &[RuleId::NotCancellationPoint],
    &[RuleId::UsableWritable],
];

/// Lays a hang in one call that was laid to circumstances of several kinds to none of them: where blocks lie decides whether
/// such a call returns, and any change moves them. One case stays, as one of a call that does not return. Answers with the
/// rules of which that was told, each with the one that is broken.
pub fn merge_hangs(cases: &mut Vec<Case>) -> Vec<(RuleId, RuleId)> {
    let hang = |case: &Case| {
        let Evidence::Died { moment, .. } = case.finding.evidence else {
            return None;
        };
        let is_it = moment == Moment::Call && is_hang(&case.finding);
        let kind = KINDS
            .iter()
            .position(|kind| kind.contains(&case.finding.rule));
        let kind = kind.filter(|_| is_it)?;
        Some((case.op()?.call.plain(), kind))
    };
    let hangs: Vec<(Call, usize)> = cases.iter().filter_map(hang).collect();
    let differ = |case: &Case| {
        let own = hang(case);
        own.is_some_and(|(call, kind)| hangs.iter().any(|it| it.0 == call && it.1 != kind))
    };
    let mut merged: Vec<Case> = cases.extract_if(.., |case| differ(case)).collect();
    let rules = merged.iter().map(|case| case.finding.rule);
    let told = rules.map(|rule| (rule, RuleId::CallReturns)).collect();
    let returns = |case: &Case| case.finding.rule == RuleId::CallReturns;
    // Any of them shows it: the plainest and shortest stays.
    let plainness = |case: &Case| {
        let is_under = !case.program.circumstances().is_empty();
        (!case.reproduced, is_under, case.program.ops.len())
    };
    merged.sort_by_key(plainness);
    if let Some(mut case) = merged
        .into_iter()
        .next()
        .filter(|_| !cases.iter().any(returns))
    {
        case.finding.rule = RuleId::CallReturns;
        case.program.rule = Some(RuleId::CallReturns);
        cases.push(case);
    }
    told
}

/// Drops growth among threads that was not looked into for want of time, if there is some that was: threads need not have to
/// do with it what they seem to; and that of blocks that are resized, if resizing does not release them. Answers with the
/// rules of which that was told, each with the one that is sure to be broken.
pub fn drop_climbs(cases: &mut Vec<Case>) -> Vec<(RuleId, RuleId)> {
    let climbs = |case: &Case| matches!(case.finding.evidence, Evidence::Climb { .. });
    let keeps = |case: &Case| case.finding.rule == RuleId::ReallocOldDead && case.reproduced;
    let mut told = Vec::new();
    if cases.iter().any(keeps) {
        let resizes = |case: &mut Case| climbs(case) && case.finding.rule == RuleId::BoundedRealloc;
        let dropped = cases.extract_if(.., resizes);
        told.extend(dropped.map(|case| (case.finding.rule, RuleId::ReallocOldDead)));
    }
    let known = cases.iter().find(|case| climbs(case) && case.reproduced);
    let Some(rule) = known.map(|case| case.finding.rule) else {
        return told;
    };
    let explained =
        |case: &mut Case| climbs(case) && !case.reproduced && is_about_threads(case.finding.rule);
    let dropped = cases.extract_if(.., explained);
    told.extend(dropped.map(|case| (case.finding.rule, rule)));
    told
}

fn harms_or_dies(case: &Case) -> bool {
    let evidence = &case.finding.evidence;
    evidence.harms_memory() || matches!(evidence, Evidence::Died { .. })
}

/// Whether no block can be had without the company either that its lack was laid to at first.
pub(super) fn is_as_without(laid_to: RuleId, case: &Case) -> bool {
    let is_circumstance = |op: &Op| op.call.is_circumstance();
    is_about_company(laid_to)
        && matches!(case.finding.evidence, Evidence::UnexpectedNull)
        && !case.program.has_threads()
        && !case.program.ops.iter().any(is_circumstance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::shadow::{Death, Finding, Measured};

    fn case(rule: RuleId, evidence: Evidence) -> Case {
        Case {
            finding: Finding {
                rule,
                op_index: 0,
                evidence,
            },
            program: Program::default(),
            outcomes: Vec::new(),
            live: Vec::new(),
            phase: String::new(),
            reproduced: true,
            shown: None,
        }
    }

    fn left(findings: Vec<Case>) -> (Option<RuleId>, Vec<RuleId>) {
        let mut cases = findings;
        let first = drop_followers(&mut cases, &[]);
        (first, cases.iter().map(|case| case.finding.rule).collect())
    }

    #[test]
    fn what_is_broken_alone_is_not_told_of_threads_and_forks_again() {
        let harm = Evidence::BadAddress { address: 1 };
        let all = [RuleId::Disjoint, RuleId::ThreadSafe, RuleId::ForkSt];
        let cases = |rules: &[RuleId]| {
            let cases = rules.iter().map(|&rule| case(rule, harm.clone()));
            cases.collect::<Vec<Case>>()
        };
        assert_eq!(
            left(cases(&all)),
            (Some(RuleId::Disjoint), vec![RuleId::Disjoint])
        );
        assert_eq!(left(cases(&all[1..])), (None, all[1..].to_vec()));
    }

    #[test]
    fn what_a_free_does_that_is_told_the_size_explains_only_programs_that_have_one() {
        let harm = Evidence::BadAddress { address: 1 };
        let race = |program: &str| Case {
            program: Program::parse(&format!("# allocspec trace 1\n{program}\n"))
                .expect("a program"),
            ..case(RuleId::ThreadSafe, harm.clone())
        };
        let told = || case(RuleId::CxxSizedEquiv, harm.clone());
        let plain = race("p0 = new 8\ndelete p0");
        let sized = race("p0 = new 8\ndelete_sized p0");
        let both = vec![RuleId::CxxSizedEquiv, RuleId::ThreadSafe];
        assert_eq!(left(vec![told(), plain]), (None, both));
        assert_eq!(
            left(vec![told(), sized]),
            (None, vec![RuleId::CxxSizedEquiv])
        );
    }

    #[test]
    fn what_hangs_or_is_known_once_only_explains_nothing_and_is_not_explained() {
        let harm = case(RuleId::Disjoint, Evidence::BadAddress { address: 1 });
        let stuck = Evidence::Died {
            death: Death::Hang { millis: 1 },
            moment: Moment::Call,
            said: String::new(),
        };
        let stuck = case(RuleId::ForkMtChild, stuck);
        let rules = vec![RuleId::Disjoint, RuleId::ForkMtChild];
        assert_eq!(
            left(vec![harm.clone(), stuck]),
            (Some(RuleId::Disjoint), rules)
        );
        let once = Case {
            reproduced: false,
            ..harm.clone()
        };
        let race = case(RuleId::ThreadSafe, Evidence::BadAddress { address: 1 });
        assert_eq!(left(vec![once, race.clone()]).0, None);
        let mut asked = vec![race];
        assert_eq!(drop_followers(&mut asked, &[harm]), Some(RuleId::Disjoint));
        assert!(asked.is_empty());
    }

    #[test]
    fn a_race_that_a_fork_showed_once_is_told_as_a_race() {
        let harm = Evidence::BadAddress { address: 1 };
        let fork = |reproduced| Case {
            reproduced,
            ..case(RuleId::ForkMtChild, harm.clone())
        };
        let race = case(RuleId::ThreadSafe, harm.clone());
        let left = |mut cases: Vec<Case>| {
            drop_races(&mut cases);
            cases.len()
        };
        assert_eq!(left(vec![fork(false), race.clone()]), 1);
        assert_eq!(left(vec![fork(true), race]), 2, "a fork is needed");
        assert_eq!(left(vec![fork(false)]), 1, "nothing else explains it");
    }

    #[test]
    fn a_hang_that_was_seen_once_is_laid_to_one_that_needs_no_threads() {
        let stuck = Evidence::Died {
            death: Death::Hang { millis: 1 },
            moment: Moment::Call,
            said: String::new(),
        };
        let alone = case(RuleId::CallReturns, stuck.clone());
        let among = |reproduced| Case {
            reproduced,
            ..case(RuleId::ThreadSafe, stuck.clone())
        };
        let mut cases = vec![among(false)];
        let told = drop_hangs(&mut cases, std::slice::from_ref(&alone));
        assert_eq!(told, [(RuleId::ThreadSafe, RuleId::CallReturns)]);
        assert!(cases.is_empty());
        let mut cases = vec![among(true)];
        assert!(drop_hangs(&mut cases, &[alone]).is_empty());
        assert!(drop_hangs(&mut vec![among(false)], &cases).is_empty());
    }

    #[test]
    fn one_hang_under_many_circumstances_is_laid_to_none_of_them() {
        let stuck = Evidence::Died {
            death: Death::Hang { millis: 1 },
            moment: Moment::Call,
            said: String::new(),
        };
        let merged = |parts: &[(RuleId, &str)]| {
            let hang = |&(rule, call): &(RuleId, &str)| Case {
                program: Program::parse(&format!("# allocspec trace 1\n{call}\n"))
                    .expect("a program"),
                ..case(rule, stuck.clone())
            };
            let mut cases: Vec<Case> = parts.iter().map(hang).collect();
            let told = merge_hangs(&mut cases).len();
            let rules: Vec<RuleId> = cases.iter().map(|case| case.finding.rule).collect();
            (told, rules)
        };
        let (signals, stack, fork) = (RuleId::SignalInterrupt, RuleId::StackSmall, RuleId::ForkSt);
        let (one, other) = ("p0 = malloc 9", "p0 = calloc 1 9");
        assert_eq!(
            merged(&[(signals, one), (stack, one)]),
            (2, vec![RuleId::CallReturns])
        );
        assert_eq!(
            merged(&[(signals, one), (stack, other)]),
            (0, vec![signals, stack])
        );
        let both = [fork, RuleId::ForkMtParent];
        assert_eq!(merged(&[(fork, one), (both[1], one)]), (0, both.to_vec()));
    }

    #[test]
    fn growth_that_was_not_looked_into_is_laid_to_growth_that_was() {
        let climb = |rule, reproduced| Case {
            reproduced,
            ..case(
                rule,
                Evidence::Climb {
                    what: Measured::Resident,
                    bytes: 1,
                    allowed: 1,
                    samples: Vec::new(),
                },
            )
        };
        let (threads, at_once) = (RuleId::BoundedThreads, RuleId::BoundedConcurrent);
        let mut cases = vec![climb(threads, true), climb(at_once, false)];
        assert_eq!(drop_climbs(&mut cases), [(at_once, threads)]);
        assert_eq!(cases.len(), 1);
        let mut sure = vec![climb(threads, true), climb(at_once, true)];
        assert!(drop_climbs(&mut sure).is_empty());
        let mut only = vec![climb(threads, false), climb(at_once, false)];
        assert!(drop_climbs(&mut only).is_empty(), "nothing explains them");

        let (resizing, kept) = (RuleId::BoundedRealloc, RuleId::ReallocOldDead);
        let mut cases = vec![climb(resizing, true), climb(kept, true)];
        assert_eq!(drop_climbs(&mut cases), [(resizing, kept)]);
        assert_eq!(cases[0].finding.rule, kept);
        let mut alone = vec![climb(resizing, true)];
        assert!(drop_climbs(&mut alone).is_empty() && alone.len() == 1);
    }

    #[test]
    fn what_harms_no_memory_is_told_and_hides_nothing() {
        let errno = case(RuleId::MallocErrno, Evidence::UnexpectedNull);
        let race = case(RuleId::ThreadSafe, Evidence::BadAddress { address: 1 });
        let rules = vec![RuleId::MallocErrno, RuleId::ThreadSafe];
        assert_eq!(left(vec![errno, race]), (None, rules));
        let harm = case(RuleId::Disjoint, Evidence::BadAddress { address: 1 });
        let null = case(RuleId::SignalInterrupt, Evidence::UnexpectedNull);
        let rules = vec![RuleId::Disjoint, RuleId::SignalInterrupt];
        assert_eq!(left(vec![harm, null]), (Some(RuleId::Disjoint), rules));
    }

    #[test]
    fn circumstances_in_which_there_is_no_more_than_elsewhere_are_kept() {
        let null = |program: &str| Case {
            program: Program::parse(&format!("# allocspec trace 1\n{program}\n"))
                .expect("a program"),
            ..case(RuleId::AllocNonnullUsable, Evidence::UnexpectedNull)
        };
        let call = "p0 = malloc 100 expect pointer";
        let under = format!("under no proc\n{call}");
        assert!(is_as_without(RuleId::NoProc, &null(call)));
        assert!(!is_as_without(RuleId::NoProc, &null(&under)));
        let asked = RuleId::AllocNonnullUsable;
        assert!(!is_as_without(asked, &null(call)), "what it was made for");
        let race = RuleId::ThreadSafe;
        assert!(is_as_without(race, &null(call)));
        let beside = format!("under threads 3\n{call}");
        let among = format!("thread 1\n{call}");
        assert!(!is_as_without(race, &null(&beside)) && !is_as_without(race, &null(&among)));
    }
}
