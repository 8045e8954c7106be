//! Why a rule cannot be put to the test on a subject, or here.

use crate::program::{Call, Operator};
use crate::run::scope::provides;
use crate::run::supervisor::launch::Kin;
use crate::run::verdict::SubjectInfo;
use crate::shadow::{Choice, Ledger, is_about_threads};
use crate::spec::{Catalogue, Profile, Rule, RuleId, RuleSet};

/// What a rule about circumstances takes that the machine, or the subject, refused.
pub(super) fn refused(rule: RuleId, totals: &Ledger) -> Option<&'static str> {
    const FORKS: &[RuleId] = &[RuleId::ForkSt, RuleId::ForkMtChild, RuleId::ForkMtParent];
    let all = [
        (Choice::ForkRefused, FORKS, "a child process"),
        (Choice::ThreadsRefused, &FORKS[1..], "other threads"),
        (
            Choice::StackRefused,
            &[RuleId::StackSmall],
            "a thread with a small stack",
        ),
        (
            Choice::CancellationRefused,
            &[RuleId::NotCancellationPoint],
            "a thread that can be cancelled",
        ),
        (
            Choice::NoProcRefused,
            &[RuleId::NoProc],
            "a mount namespace",
        ),
        (Choice::ExitRefused, &[RuleId::AtexitUse], "a second thread"),
        (
            Choice::HandlerRefused,
            &[RuleId::CxxNewHandler],
            "std::set_new_handler of a C++ library",
        ),
        (
            Choice::SpawnsRefused,
            &[RuleId::VforkSpawn],
            "another thread, and the program `true`",
        ),
        (
            Choice::ConstructorRefused,
            &[RuleId::CtorUse],
            "a subject that is loaded as the process starts",
        ),
    ];
    let found = all
        .into_iter()
        .find(|(choice, rules, _)| rules.contains(&rule) && totals.noted(*choice));
    let threads = is_about_threads(rule) && totals.noted(Choice::ThreadNotCreated);
    let threads = threads.then_some("other threads");
    found.map(|(.., what)| what).or(threads)
}

/// Whether a rule is about a library as a whole.
pub(super) fn is_about_libraries(rule: RuleId) -> bool {
    matches!(
        rule,
        RuleId::InterposeCore
            | RuleId::InterposeComplete
            | RuleId::CxxPairComplete
            | RuleId::CxxPairSized
            | RuleId::CxxPairDelete
    )
}

/// Why it cannot be seen whether a rule of CPython's is kept.
fn unseen(rule: &Rule, kin: Option<&Kin>) -> Option<String> {
    const HOOKS: &str = "seen only through hooks on the raw and arena allocators";
    let hidden = kin.map_or(Some(HOOKS), |kin| kin.hidden.as_deref());
    let pools = kin.is_some_and(|kin| kin.pools);
    if let Some(reason) = hidden.filter(|_| rule.hooks || rule.pools && !pools) {
        return Some(reason.into());
    }
    if rule.id == RuleId::FreeMakesAvailable && kin.is_some_and(|kin| kin.deferred) {
        return Some(
            "a free-threaded interpreter waits with memory until threads have passed a point where none uses it".into(),
        );
    }
    if rule.id == RuleId::FirstCallAny && kin.is_some_and(|kin| kin.used) {
        return Some("an interpreter has allocated before it can be asked to".into());
    }
    if kin.is_some() && is_about_threads(rule.id) {
        return Some("called with the interpreter's lock held, by one thread at a time".into());
    }
    let about_counts = matches!(
        rule.id,
        RuleId::ReallocNeverFree | RuleId::ReallocCountNeutral
    );
    let counts = kin.is_none_or(|kin| kin.counts);
    (about_counts && !counts).then(|| "it does not export its count of live blocks".into())
}

/// The rules of which it can be seen whether they are kept.
pub(super) fn seen(rules: &RuleSet, kin: Option<&Kin>) -> RuleSet {
    let seen = |&rule: &RuleId| unseen(Catalogue::embedded().rule(rule), kin).is_none();
    rules.iter().filter(seen).collect()
}

/// Why a rule cannot be put to the test on this subject.
pub(super) fn obstacle(
    rule: &Rule,
    profile: &Profile,
    info: &SubjectInfo,
    kin: Option<&Kin>,
) -> Option<String> {
    if let Some(reason) = unseen(rule, kin) {
        return Some(reason);
    }
    let missing = rule.missing_calls(|name| profile.promises(name) && provides(info, name));
    if missing.is_empty() {
        let is_other = is_about_libraries(rule.id) && info.kind != "preload";
        return is_other.then(|| "concerns preloaded libraries".into());
    }
    let names = spoken(&missing);
    let promised = missing.iter().any(|name| profile.promises(name));
    Some(if promised {
        format!("{names} not exported")
    } else {
        format!("the profile has no {names}")
    })
}

/// Entry points in a sentence: of the forms of an operator what they have in common.
fn spoken(names: &[&str]) -> String {
    let forms = |deletes: bool| {
        let operators = names
            .iter()
            .filter_map(|name| Call::of_symbol(name)?.operator());
        operators.filter(move |form| form.deletes == deletes)
    };
    let all = |deletes, has: fn(&Operator) -> bool| forms(deletes).all(|form| has(&form));
    let mut spoken: Vec<&str> = names
        .iter()
        .map(
            |name| match Call::of_symbol(name).and_then(Call::operator) {
                None => name,
                Some(form) if !form.deletes => match () {
                    () if all(false, |form| form.nothrow) => "operator new with std::nothrow",
                    () if all(false, |form| form.aligned) => "operator new with an alignment",
                    () => "operator new",
                },
                Some(_) => match () {
                    () if all(true, |form| form.sized) => "operator delete with a size",
                    () if all(true, |form| form.aligned) => "operator delete with an alignment",
                    () => "operator delete",
                },
            },
        )
        .collect();
    spoken.dedup();
    spoken.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pymalloc::Edition;

    #[test]
    fn what_is_not_exported_is_called_by_its_name() {
        let all = |forms: fn(&Operator) -> bool| {
            let calls = Call::ALL.iter();
            let calls = calls.filter(move |call| call.operator().is_some_and(|form| forms(&form)));
            calls
                .filter_map(|call| call.entry_point())
                .collect::<Vec<_>>()
        };
        for (names, wanted) in [
            (vec!["freezero"], "freezero"),
            (
                vec!["free_sized", "free_aligned_sized"],
                "free_sized, free_aligned_sized",
            ),
            (all(|_| true), "operator new, operator delete"),
            (
                all(|form| !form.deletes && form.aligned),
                "operator new with an alignment",
            ),
            (
                all(|form| !form.deletes && form.nothrow),
                "operator new with std::nothrow",
            ),
            (all(|form| form.sized), "operator delete with a size"),
            (
                all(|form| form.deletes && form.aligned),
                "operator delete with an alignment",
            ),
        ] {
            assert_eq!(spoken(&names), wanted);
        }
    }

    #[test]
    fn memory_that_is_used_again_late_is_no_fault_of_a_free_threaded_interpreter() {
        let kin = |deferred| Kin {
            edition: Edition::USUAL,
            hidden: None,
            pools: true,
            counts: true,
            used: true,
            deferred,
        };
        let seen = |deferred| {
            let rule = Catalogue::embedded().rule(RuleId::FreeMakesAvailable);
            unseen(rule, Some(&kin(deferred))).is_none()
        };
        assert_eq!([true, false].map(seen), [false, true]);
    }
}
