//! A whole check: from options to verdicts.

use super::campaign::{self, Budget, Campaign, Outcome};
use super::facts::facts;
use super::followers::{drop_climbs, drop_followers, drop_hangs, drop_races, is_about_company};
use super::launch::{self, Kin, Launched};
use super::learn::Learned;
use super::misuse;
use super::pairs;
use super::plan::{Item, Plan, is_fresh};
use super::races::RUNS;
use super::verdict::{
    CheckResult, Conformance, Failures, Provider, RuleResult, SubjectInfo, Verdict,
};
use super::{CheckError, CheckOptions, Progress, SubjectSpec};
use crate::program::{Call, Operator, Program, Vocabulary};
use crate::pymalloc::Edition;
use crate::shadow::{Case, Choice, Evidence, Finding, Interception, Ledger, is_about_threads};
use crate::spec::{Catalogue, EdgeCase, Level, Profile, Rule, RuleId, RuleSet};
use std::time::{Duration, Instant};

/// The profile of a C library's allocator.
const C_PROFILE: &str = "linux";
/// The profile of CPythons older than any that has one.
const OLDEST_CPYTHON_PROFILE: &str = "cpython-2.7";
/// Slots that may be live at once in a random program.
const MAX_SLOTS: u32 = 1 << 14;
/// With fewer operations than this, nothing is learned beforehand.
const FEW_OPS: u64 = 1000;
/// Time to learn the size classes, at most.
const LEARNING: Duration = Duration::from_millis(300);

/// Checks a subject.
///
/// # Errors
///
/// When the subject or the options cannot be used, the machine refuses what is needed, or the harness fails.
pub fn check(
    options: &CheckOptions,
    tell: &mut dyn FnMut(Progress),
) -> Result<CheckResult, CheckError> {
    if options.profile.as_deref() == Some(misuse::PROFILE) {
        return misuse::misuse(options, tell);
    }
    let setting = Setting::new(options)?;
    let Setting {
        started,
        profile,
        rules,
        mut launched,
    } = setting;
    let learning = LEARNING.min(options.time / 10);
    let learned = if options.ops.is_some_and(|ops| ops < FEW_OPS) {
        Learned::default()
    } else {
        campaign::learn(&mut launched, learning)?
    };
    let vocabulary = vocabulary(
        options,
        &profile,
        &launched.info,
        launched.kin.as_ref(),
        learned,
    );
    let rules_seen = seen(&rules, launched.kin.as_ref());
    let plan = Plan::new(&vocabulary, &rules_seen, options.seed).only(&options.phases);
    if plan.is_empty() {
        let phases = options.phases.iter().map(|phase| phase.as_str());
        return Err(CheckError::EmptyPhase {
            phases: phases.collect::<Vec<_>>().join(", "),
            subject: launched.info.name,
        });
    }
    finish(options, started, &profile, rules, launched, &plan, tell)
}

/// Runs one program; one with threads until it shows something, a hundred times at most.
///
/// # Errors
///
/// As [`check`]; also when the program calls what the subject does not provide.
pub fn replay(program: &Program, options: &CheckOptions) -> Result<CheckResult, CheckError> {
    let Setting {
        started,
        profile,
        rules,
        launched,
    } = Setting::new(options)?;
    let provided = vocabulary(
        options,
        &profile,
        &launched.info,
        launched.kin.as_ref(),
        Learned::default(),
    );
    if program.has_threads() && !provided.threads {
        return Err(CheckError::OneThread {
            subject: launched.info.name,
        });
    }
    if let Some(call) = program.calls().find(|&call| !provided.has(call)) {
        let symbol = call.entry_point().unwrap_or(call.as_str()).to_owned();
        return Err(CheckError::NotProvided {
            symbol,
            subject: launched.info.name,
        });
    }
    if let Some(index) = provided.first_not_permitted(program) {
        let operation = program.lines().nth(index);
        return Err(CheckError::Undefined {
            operation: operation.map_or(String::new(), |line| line.to_string()),
            profile: profile.id().to_owned(),
        });
    }
    let once = program.rule == Some(RuleId::FirstCallAny) || is_fresh(program);
    let item = Item::given(program.clone(), once);
    // What threads do shows in some runs.
    let plan = match program.has_threads() || program.is_among_threads() {
        true => Plan::again(item, RUNS),
        false => Plan::of(item),
    };
    finish(
        options,
        started,
        &profile,
        rules,
        launched,
        &plan,
        &mut |_| {},
    )
}

/// What programs may say to a subject of which nothing was learned.
///
/// # Errors
///
/// As [`check`].
pub fn plain_vocabulary(options: &CheckOptions) -> Result<Vocabulary, CheckError> {
    let Setting {
        profile, launched, ..
    } = Setting::new(options)?;
    Ok(vocabulary(
        options,
        &profile,
        &launched.info,
        launched.kin.as_ref(),
        Learned::default(),
    ))
}

/// What all begin with.
struct Setting {
    started: Instant,
    profile: Profile,
    rules: RuleSet,
    launched: Launched,
}

impl Setting {
    fn new(options: &CheckOptions) -> Result<Setting, CheckError> {
        let started = Instant::now();
        let patience = (options.time / 5).clamp(Duration::from_millis(500), Duration::from_secs(2));
        // What an interpreter is, and so its profile, is known once it runs.
        let mut early = None;
        if options.profile.is_none() && matches!(options.subject, SubjectSpec::Interpreter { .. }) {
            early = Some(launch::launch(&options.subject, patience)?);
        }
        let kin = match &early {
            Some(launched) => launched.kin.clone(),
            None => launch::kin(&options.subject),
        };
        let profile = profile(options, kin.map(|kin| kin.edition))?;
        let rules = chosen_rules(options, &profile)?;
        let launched = match early {
            Some(launched) => launched,
            None => launch::launch(&options.subject, patience)?,
        };
        Ok(Setting {
            started,
            profile,
            rules,
            launched,
        })
    }
}

/// The profile of a subject for which none is named, given the edition of CPython that it is like.
pub(super) fn usual_profile(edition: Option<Edition>) -> String {
    let Some(Edition { version, .. }) = edition else {
        return C_PROFILE.into();
    };
    // Where a version has no document here, the nearest before it has much the same.
    let known = |id: &String| {
        Catalogue::embedded()
            .profiles()
            .iter()
            .any(|p| p.id() == id)
    };
    let mut ids = (0..=version.1)
        .rev()
        .map(|minor| format!("cpython-{}.{minor}", version.0));
    ids.find(known).unwrap_or(OLDEST_CPYTHON_PROFILE.into())
}

pub(super) fn profile(
    options: &CheckOptions,
    edition: Option<Edition>,
) -> Result<Profile, CheckError> {
    let usual = || usual_profile(edition);
    let name = options.profile.clone().unwrap_or_else(usual);
    let profile =
        Catalogue::embedded()
            .profile(&name)
            .map_err(|unknown| CheckError::UnknownProfile {
                name: unknown.name.clone(),
                known: unknown.known.join(", "),
            })?;
    Ok(profile)
}

pub(super) fn chosen_rules(
    options: &CheckOptions,
    profile: &Profile,
) -> Result<RuleSet, CheckError> {
    if options.rules.is_empty() {
        return Ok(profile.rules());
    }
    if let Some(&rule) = options.rules.iter().find(|&&rule| !profile.has(rule)) {
        let having = Catalogue::embedded()
            .profiles()
            .iter()
            .filter(|profile| profile.has(rule));
        let profiles = having.map(Profile::id).collect::<Vec<_>>().join(", ");
        return Err(CheckError::RuleNotInProfile {
            rule,
            profile: profile.id().to_owned(),
            profiles,
        });
    }
    Ok(options.rules.iter().copied().collect())
}

pub(super) fn vocabulary(
    options: &CheckOptions,
    profile: &Profile,
    info: &SubjectInfo,
    kin: Option<&Kin>,
    learned: Learned,
) -> Vocabulary {
    chosen_vocabulary(profile, info, kin, options.max_memory, learned)
}

/// What programs may say to a subject: what its profile promises and it has.
pub(super) fn chosen_vocabulary(
    profile: &Profile,
    info: &SubjectInfo,
    kin: Option<&Kin>,
    max_live: u64,
    learned: Learned,
) -> Vocabulary {
    let has = |call: &Call| match call.entry_point() {
        Some(name) => profile.promises(name) && provides(info, name),
        None => false,
    };
    Vocabulary {
        calls: Call::ALL.iter().copied().filter(has).collect(),
        boundaries: learned.boundaries,
        max_live,
        lazy: learned.lazy,
        max_slots: MAX_SLOTS,
        zero_realloc: profile.defines(EdgeCase::ReallocZero),
        invalid_alignments: profile.defines(EdgeCase::AlignedAllocInvalid),
        nonmultiple_sizes: profile.defines(EdgeCase::AlignedAllocNonmultiple),
        invalid_memalign: profile.defines(EdgeCase::MemalignInvalid),
        hooked: kin.is_some_and(|kin| kin.hidden.is_none()),
        geometry: kin.map(|kin| kin.edition).unwrap_or_default().geometry(),
        // CPython's functions are called with the interpreter's lock held.
        threads: kin.is_none(),
        bursts: false,
    }
}

fn provides(info: &SubjectInfo, name: &str) -> bool {
    info.entry_points
        .iter()
        .any(|entry| entry.name == name && entry.provider == Provider::Subject)
}

fn finish(
    options: &CheckOptions,
    started: Instant,
    profile: &Profile,
    rules: RuleSet,
    launched: Launched,
    plan: &Plan<'_>,
    tell: &mut dyn FnMut(Progress),
) -> Result<CheckResult, CheckError> {
    let Launched {
        launch,
        mut info,
        kin,
        worker,
        said,
    } = launched;
    let budget = Budget {
        started,
        time: options.time,
        ops: options.ops,
        // One run after another, so that none is in the way of what another has found.
        jobs: if plan.is_given() { 1 } else { options.jobs },
    };
    let outcome =
        Campaign::new(&launch, seen(&rules, kin.as_ref()), plan, budget).run(worker, tell)?;
    let Outcome {
        totals,
        workers,
        mut cases,
        beside,
        mut given_up,
        cut_short,
        phases,
    } = outcome;
    if totals.ops() == 0 && cases.is_empty() {
        return Err(CheckError::NoTime {
            subject: info.name,
            millis: options.time.as_millis(),
        });
    }
    if plan.is_given() && plan.runs() > 1 && cases.is_empty() {
        info.notes
            .push(format!("the program showed nothing in {workers} runs"));
    }
    if cut_short && plan.is_given() {
        info.notes
            .push("the program was cut short: give it more time with --time".into());
    }
    let failures = failures(totals.interception());
    info.notes
        .extend(told_of(totals.interception(), failures.as_ref()));
    if totals.noted(Choice::ThreadNotCreated) {
        info.notes.push(
            "a thread was refused: what comes after that in its program was not put to the test"
                .into(),
        );
    }
    cases.extend(library_cases(&info, &rules, &said));
    let harmful = drop_followers(&mut cases, &beside);
    let raced = drop_races(&mut cases);
    given_up.extend(drop_hangs(&mut cases, &beside));
    given_up.extend(drop_climbs(&mut cases));
    let results: Vec<RuleResult> = rules
        .iter()
        .map(|rule| {
            let level = profile.level(rule).unwrap_or(Level::Fact);
            let mut checks = totals.checks(rule);
            if is_about_libraries(rule) && info.kind == "preload" {
                checks = info.entry_points.len() as u64;
            }
            let broken = cases.iter().any(|case| case.finding.rule == rule);
            let verdict = match obstacle(
                Catalogue::embedded().rule(rule),
                profile,
                &info,
                kin.as_ref(),
            ) {
                _ if broken => Verdict::Fail,
                Some(reason) => Verdict::NotApplicable(reason),
                None if is_about_company(rule) && harmful.is_some() => {
                    let first = harmful.map_or("", RuleId::as_str);
                    Verdict::NotApplicable(format!(
                        "{first} is broken by one thread that nothing disturbs"
                    ))
                }
                None if raced.contains(&rule) => Verdict::NotApplicable(format!(
                    "{} is broken, and may be all that was seen",
                    RuleId::ThreadSafe
                )),
                None if rule == RuleId::MallocZeroErrno
                    && totals.noted(Choice::MallocZeroPointer)
                    && checks == 0 =>
                {
                    Verdict::NotApplicable("malloc(0) never returned NULL".into())
                }
                None if checks == 0 => match refused(rule, &totals) {
                    Some(what) => {
                        Verdict::NotApplicable(format!("takes {what}, which cannot be had here"))
                    }
                    None => Verdict::NotExercised(None),
                },
                None => match given_up.iter().find(|(given_up, _)| *given_up == rule) {
                    Some((_, other)) => Verdict::NotExercised(Some(format!(
                        "its programs show first that {other} is broken"
                    ))),
                    None => Verdict::Pass,
                },
            };
            // What was counted in passing is not an exercise of a rule that does not apply.
            if matches!(
                verdict,
                Verdict::NotApplicable(_) | Verdict::NotExercised(_)
            ) {
                checks = 0;
            }
            RuleResult {
                rule,
                level,
                verdict,
                checks,
            }
        })
        .collect();
    let breaks = |result: &RuleResult| {
        result.verdict == Verdict::Fail && (result.level != Level::Quality || options.strict)
    };
    let conformance = if results.iter().any(breaks) {
        Conformance::Nonconformant
    } else {
        Conformance::Conformant
    };
    Ok(CheckResult {
        subject: info,
        profile: (profile.id().to_owned(), profile.title().to_owned()),
        seed: options.seed,
        elapsed: started.elapsed(),
        ops: totals.ops(),
        workers,
        phases,
        facts: facts(&totals, &rules),
        rules: results,
        cases,
        failures,
        misuse: Vec::new(),
        conformance,
    })
}

/// What a rule about circumstances takes that the machine, or the subject, refused.
fn refused(rule: RuleId, totals: &Ledger) -> Option<&'static str> {
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

/// What became of system calls that failed on purpose, in words.
fn told_of(interception: &Interception, failures: Option<&Failures>) -> Option<String> {
    if interception.refusals() > 0 {
        return Some(
            "system calls cannot be intercepted here (seccomp): a limit on mapped memory (RLIMIT_AS) made mmap and brk \
             fail, the others did not"
                .into(),
        );
    }
    failures.map(|failures| {
        let Failures {
            seen,
            failed,
            gave_up,
            did_without,
        } = failures;
        format!(
            "{failed} of {seen} system calls were made to fail on purpose: {gave_up} calls gave up, {did_without} did \
             without"
        )
    })
}

/// What became of system calls that failed on purpose; `None` if none was seen.
fn failures(interception: &Interception) -> Option<Failures> {
    let (gave_up, did_without) = interception.outcomes();
    (interception.seen() > 0).then(|| Failures {
        seen: interception.seen(),
        failed: interception.failed(),
        gave_up,
        did_without,
    })
}

fn is_about_libraries(rule: RuleId) -> bool {
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
fn seen(rules: &RuleSet, kin: Option<&Kin>) -> RuleSet {
    let seen = |&rule: &RuleId| unseen(Catalogue::embedded().rule(rule), kin).is_none();
    rules.iter().filter(seen).collect()
}

/// Why a rule cannot be put to the test on this subject.
fn obstacle(
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

/// What a library that replaces `malloc` must replace.
const CORE: [&str; 4] = ["malloc", "calloc", "realloc", "free"];
/// What else makes blocks, or reads what lies beside them, in the C library's own heap. `reallocarray` calls whatever
/// `realloc` there is, and `malloc_trim` has nothing to do with blocks.
const BESIDES: [&str; 6] = [
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
];

/// Findings about a library as a whole.
fn library_cases(info: &SubjectInfo, rules: &RuleSet, said: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |rule: RuleId, evidence: Evidence| {
        let finding = Finding {
            rule,
            op_index: 0,
            evidence,
        };
        let phase = "loading".to_owned();
        if rules.contains(rule) {
            cases.push(Case {
                finding,
                program: Program {
                    rule: Some(rule),
                    ops: Vec::new(),
                },
                outcomes: Vec::new(),
                live: Vec::new(),
                phase,
                reproduced: true,
                shown: None,
            });
        }
    };
    if info.kind == "preload" {
        let foreign = |wanted: &[&str]| -> Vec<&str> {
            let others = info
                .entry_points
                .iter()
                .filter(|entry| matches!(entry.provider, Provider::Other(_)));
            others
                .map(|entry| entry.name)
                .filter(|name| wanted.contains(name))
                .collect()
        };
        for (rule, wanted) in [
            (RuleId::InterposeCore, CORE.as_slice()),
            (RuleId::InterposeComplete, BESIDES.as_slice()),
        ] {
            let names = foreign(wanted);
            if !names.is_empty() {
                let what = format!(
                    "does not define {}: the C library would serve it from another heap",
                    names.join(", ")
                );
                add(rule, Evidence::Library { what });
            }
        }
        let defines = |call: Call| call.entry_point().is_some_and(|name| provides(info, name));
        for (rule, what) in pairs::broken(defines) {
            add(rule, Evidence::Library { what });
        }
    }
    if !said.trim().is_empty() {
        add(
            RuleId::NoOutput,
            Evidence::Output {
                text: said.to_owned(),
            },
        );
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::verdict::EntryPoint;
    use crate::subject::Native;

    /// The rules about the library as a whole that these foreign functions break in a library loaded like this.
    fn broken(kind: &'static str, foreign: &[&'static str], said: &str) -> Vec<RuleId> {
        let entry = |&name: &&'static str| EntryPoint {
            name,
            symbol: name.to_owned(),
            provider: match foreign.contains(&name) {
                true => Provider::Other("libc.so.6".into()),
                false => Provider::Subject,
            },
        };
        let info = SubjectInfo {
            kind,
            name: "./lib.so".into(),
            path: None,
            arguments: String::new(),
            environment: Vec::new(),
            entry_points: Native::NAMES.iter().map(entry).collect(),
            notes: Vec::new(),
        };
        let rules = RuleId::ALL.iter().copied().collect();
        let cases = library_cases(&info, &rules, said);
        cases.iter().map(|case| case.finding.rule).collect()
    }

    #[test]
    fn functions_left_to_another_heap_break_the_rule_about_them() {
        assert_eq!(broken("preload", &[], ""), []);
        for name in ["malloc", "calloc", "realloc", "free"] {
            assert_eq!(broken("preload", &[name], ""), [RuleId::InterposeCore]);
        }
        assert_eq!(
            broken("preload", &["memalign"], ""),
            [RuleId::InterposeComplete]
        );
        assert_eq!(
            broken("preload", &["calloc", "valloc"], ""),
            [RuleId::InterposeCore, RuleId::InterposeComplete]
        );
        assert_eq!(broken("dlopen", &["calloc", "valloc"], ""), []);
        assert_eq!(broken("dlopen", &[], "hello\n"), [RuleId::NoOutput]);
    }

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
