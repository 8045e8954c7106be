//! A whole check: from options to verdicts.

use crate::program::{Program, Vocabulary};
use crate::run::budget::Budget;
use crate::run::campaign::RUNS;
use crate::run::campaign::followers::{
    drop_climbs, drop_followers, drop_hangs, drop_races, is_about_company, merge_hangs,
};
use crate::run::campaign::{self, Campaign, Outcome};
use crate::run::facts::facts;
use crate::run::learn::Learned;
use crate::run::misuse;
use crate::run::obstacles::{is_about_libraries, obstacle, refused, seen};
use crate::run::plan::{Item, Plan, is_fresh};
use crate::run::scope::{chosen_rules, profile, vocabulary};
use crate::run::supervisor::launch::{self, Launched};
use crate::run::verdict::{CheckResult, Conformance, Failures, RuleResult, Verdict};
use crate::run::whole::library_cases;
use crate::run::{CheckError, CheckOptions, Progress, SubjectSpec};
use crate::shadow::{Case, Choice, Interception};
use crate::spec::{Catalogue, Level, Profile, RuleId, RuleSet};
use std::time::{Duration, Instant};

/// With fewer operations than this, nothing is learned beforehand.
const FEW_OPS: u64 = 1000;
/// A machine that is short of something may disturb so many runs.
const FEW_DISTURBED: u64 = 3;
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
    let seen = |rules| seen(&rules, kin.as_ref());
    let (asked, watched) = (seen(rules), seen(profile.rules()));
    let outcome = Campaign::new(&launch, asked, watched, plan, budget).run(worker, tell)?;
    let Outcome {
        totals,
        workers,
        mut cases,
        beside,
        disturbed,
        mut given_up,
        lost,
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
    if disturbed > 0 {
        info.notes.push(format!(
            "{} ended by a signal from outside or stood still outside every call, and not again: nothing is laid to the \
             subject for that",
            match disturbed {
                1 => "a run was".to_owned(),
                _ => format!("{disturbed} runs were"),
            }
        ));
    }
    let forsaken = campaign::is_forsaken(lost);
    if forsaken {
        info.notes.push(
            "a process that has loaded it cannot fork again and again: each program had one that was started for it"
                .into(),
        );
    }
    info.notes.extend(told_beside(&beside));
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
    given_up.extend(merge_hangs(&mut cases));
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
    if conformance == Conformance::Conformant && is_mostly(disturbed, workers) {
        return Err(CheckError::Disturbed {
            subject: info.name,
            disturbed,
            runs: workers,
        });
    }
    let forked = totals.checks(RuleId::ForkSt) > 0;
    if conformance == Conformance::Conformant
        && asked.contains(RuleId::ForkSt)
        && !plan.is_given()
        && (forsaken || (lost > 0 && !forked))
    {
        return Err(CheckError::Forsaken { subject: info.name });
    }
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

/// What is broken that nobody asked about.
fn told_beside(beside: &[Case]) -> Option<String> {
    let mut rules: Vec<&str> = beside
        .iter()
        .filter(|case| case.reproduced)
        .map(|case| case.finding.rule.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    (!rules.is_empty()).then(|| format!("met as well, and not asked about: {}", rules.join(", ")))
}

/// Whether so many runs, of all those, came to nothing that the others do not say much. Each is followed by one or two others,
/// in which it does not show again.
fn is_mostly(disturbed: u64, runs: u64) -> bool {
    disturbed >= FEW_DISTURBED && disturbed * 4 >= runs
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_which_little_is_left_says_nothing() {
        assert!(
            is_mostly(4, 9),
            "each was followed by one that showed nothing"
        );
        assert!(!is_mostly(2, 2), "that may happen to a machine");
        assert!(!is_mostly(20, 500));
    }
}
