//! The checker checked: every mutant must be found, by the check of its own rule and by no other.

use crate::run::budget::Budget;
use crate::run::campaign::followers::drop_followers;
use crate::run::campaign::{self, Campaign};
use crate::run::learn::Learned;
use crate::run::plan::Plan;
use crate::run::scope::{chosen_vocabulary, usual_profile};
use crate::run::supervisor::launch;
use crate::run::{CheckError, MutantOptions, MutantRow, MutantVerdict, SubjectSpec};
use crate::shadow::Case;
use crate::spec::{Catalogue, RuleId};
use crate::subject::mutants::Mutant;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, mpsc};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Live bytes a program may hold.
const MAX_MEMORY: u64 = 1 << 30;
/// Time for the programs made for a mutant's rule: more than they take.
const PATIENT: Duration = Duration::from_secs(60);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs mutants, telling of each as it is done.
///
/// # Errors
///
/// When a name is unknown, the machine refuses what is needed, or the harness fails.
pub fn mutants(
    options: &MutantOptions,
    tell: &mut dyn FnMut(&MutantRow),
) -> Result<Vec<MutantRow>, CheckError> {
    let chosen = chosen(options)?;
    let next = AtomicUsize::new(0);
    let error = Mutex::new(None);
    let mut rows = Vec::new();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..options.jobs.max(1) {
            let sender = sender.clone();
            let (next, error, chosen) = (&next, &error, &chosen);
            let work = move || {
                while let Some(&(mutant, rule)) = chosen.get(next.fetch_add(1, Relaxed)) {
                    match run(mutant, rule, options) {
                        Ok(row) => drop(sender.send(row)),
                        Err(failure) => {
                            if let Ok(mut error) = error.lock() {
                                error.get_or_insert(failure);
                            }
                            return;
                        }
                    }
                }
            };
            if let Err(refused) = Builder::new().spawn_scoped(scope, work) {
                if let Ok(mut error) = error.lock() {
                    error.get_or_insert(campaign::no_thread(&refused));
                }
                break;
            }
        }
        drop(sender);
        for row in receiver {
            tell(&row);
            rows.push(row);
        }
    });
    match error.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => {
            let place = |row: &MutantRow| {
                chosen
                    .iter()
                    .position(|(mutant, _)| mutant.name() == row.name)
            };
            rows.sort_by_key(place);
            Ok(rows)
        }
    }
}

fn chosen(options: &MutantOptions) -> Result<Vec<(Mutant, RuleId)>, CheckError> {
    let seeded = || Mutant::seeded().filter_map(|mutant| Some((mutant, mutant.rule()?)));
    if options.names.is_empty() {
        return Ok(seeded().collect());
    }
    let find = |name: &String| {
        let found = seeded().find(|(mutant, _)| mutant.name() == name);
        found.ok_or_else(|| CheckError::UnknownMutant { name: name.clone() })
    };
    options.names.iter().map(find).collect()
}

/// Checks one mutant against every rule of the profiles its rule belongs to.
fn run(mutant: Mutant, rule: RuleId, options: &MutantOptions) -> Result<MutantRow, CheckError> {
    let started = Instant::now();
    let subject = SubjectSpec::Mutant(mutant.name().to_owned());
    let mut launched = launch::launch(&subject, PATIENCE)?;
    let learned = campaign::learn(&mut launched, PATIENCE)?;
    let profile = profile_with(&subject, rule)?;
    let rules = profile.rules();
    let vocabulary = chosen_vocabulary(
        &profile,
        &launched.info,
        launched.kin.as_ref(),
        MAX_MEMORY,
        Learned {
            // They have large blocks from the system, however busy it is when that is looked at.
            lazy: true,
            ..learned
        },
    );
    let launch = &launched.launch;
    let mut worker = Some(launched.worker);
    let (mut ops, mut cases, mut beside) = (0, Vec::new(), Vec::new());
    let mut campaign = |plan: &Plan<'_>, time| {
        let budget = Budget {
            started: Instant::now(),
            time,
            ops: None,
            jobs: 1,
        };
        let worker = match worker.take() {
            Some(worker) => worker,
            None => launch::launch(&subject, PATIENCE)?.worker,
        };
        let outcome = Campaign::new(launch, rules, rules, plan, budget).run(worker, &mut |_| {})?;
        ops += outcome.totals.ops();
        cases.extend(outcome.cases);
        beside.extend(outcome.beside);
        let is_it = |case: &Case| case.finding.rule == rule;
        Ok::<bool, CheckError>(cases.iter().any(is_it))
    };
    // What was made for the rule is run to its end, however slow the machine: whether a mutant is caught must not
    // depend on that.
    let [own, others] = Plan::new(&vocabulary, &rules, options.seed).divided(rule);
    let found = campaign(&own, PATIENT)?;
    // What no directed program shows, a random one may.
    if !campaign(&others, options.time)? && !found {
        campaign(&Plan::random(&vocabulary, options.seed), options.time)?;
    }
    drop_followers(&mut cases, &beside);
    let mut caught: Vec<RuleId> = cases.iter().map(|case| case.finding.rule).collect();
    caught.sort_unstable();
    caught.dedup();
    let allowed = |found: &RuleId| *found == rule || mutant.consequences().contains(found);
    let verdict = match caught.as_slice() {
        [] => MutantVerdict::Survived,
        found if found.contains(&rule) && found.iter().all(allowed) => MutantVerdict::Caught,
        _ => MutantVerdict::Misattributed,
    };
    Ok(MutantRow {
        name: mutant.name().to_owned(),
        breaks: rule.as_str(),
        description: mutant.description().to_owned(),
        caught: caught.into_iter().map(RuleId::as_str).collect(),
        verdict,
        ops_needed: ops,
        elapsed: started.elapsed(),
    })
}

/// The usual profile of the mutant, and with it the first that has the rule if the usual one has not.
fn profile_with(subject: &SubjectSpec, rule: RuleId) -> Result<crate::spec::Profile, CheckError> {
    let catalogue = Catalogue::embedded();
    let usual = usual_profile(launch::kin(subject).map(|kin| kin.edition));
    let unknown = |error: crate::spec::UnknownProfile| CheckError::Internal(error.to_string());
    let profile = catalogue.profile(&usual).map_err(unknown)?;
    if profile.has(rule) {
        return Ok(profile);
    }
    let other = catalogue
        .profiles()
        .iter()
        .find(|profile| profile.has(rule) && profile.id() != "c23");
    let other = other.or_else(|| {
        catalogue
            .profiles()
            .iter()
            .find(|profile| profile.has(rule))
    });
    let Some(other) = other else {
        return Ok(profile);
    };
    let both = catalogue
        .profile(&format!("{usual}+{}", other.id()))
        .map_err(unknown)?;
    // The usual one may contradict the rule.
    Ok(if both.has(rule) { both } else { other.clone() })
}
