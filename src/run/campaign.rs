//! A check: many programs in many processes, until the time is up, and the findings they lead to.

use super::followers::is_as_without;
use super::investigate::{self, untold};
use super::kind::{cause, harms};
use super::launch::{self, Launched};
use super::learn::Learned;
use super::phase::{Phase, PhaseShare};
use super::plan::{Item, Plan};
use super::process;
use super::protocol::Ended;
use super::supervisor::{End, Launch, Run, Worker};
use super::{CheckError, Progress};
use crate::program::{Call, Condition, Program};
use crate::shadow::{
    Case, Conduct, Death, Evidence, Finding, Ledger, Moment, Muted, attribute_death,
    is_about_threads, is_killed, provisional,
};
use crate::spec::{RuleId, RuleSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Programs of at most this many operations are looked at closely from the start.
const CLOSE: u64 = 512;
/// Findings that one program may lead to.
const FINDINGS_EACH: usize = 16;
/// Times that one rule may be found by one call before it turns out to be another rule's.
const ATTEMPTS: u32 = 4;
/// Times that a sweep over the system calls of one program is gone on with.
const MOST_FAILURES: u64 = 32;
/// Times that a worker may be lost while no program is at work before it is no longer relied upon.
const LOST: u64 = 2;
/// How often the supervisor tells how far it is.
const TELL: Duration = Duration::from_millis(100);

/// What a campaign may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// When it began.
    pub started: Instant,
    /// Wall time.
    pub time: Duration,
    /// Operations, if they are limited.
    pub ops: Option<u64>,
    /// Workers side by side.
    pub jobs: usize,
}

impl Budget {
    /// When no new program is begun.
    pub fn deadline(&self) -> Instant {
        self.started + self.time
    }

    /// The same on the monotonic clock, in nanoseconds.
    pub fn last(&self) -> u64 {
        let left = self.latest().saturating_duration_since(Instant::now());
        process::now() + left.as_nanos() as u64
    }

    /// When the last program and the last finding are cut short.
    pub fn latest(&self) -> Instant {
        self.started + self.time + self.time / 10
    }
}

/// A running check.
pub struct Campaign<'a> {
    launch: &'a Launch,
    asked: RuleSet,
    watched: RuleSet,
    plan: &'a Plan<'a>,
    budget: Budget,
    totals: Ledger,
    workers: AtomicU64,
    /// Workers that died or hung while no program was at work.
    lost: AtomicU64,
    next: Mutex<Next>,
    /// Whether a program was stopped for want of time.
    cut_short: AtomicBool,
    phase: Mutex<&'static str>,
    shares: Mutex<[PhaseShare; Phase::ALL.len()]>,
    known: Mutex<Known>,
}

/// Where in the plan the campaign is.
#[derive(Default)]
struct Next {
    index: usize,
    /// Those that do not wait for their turn, once it is known which; the last comes first.
    urgent: Option<Vec<usize>>,
    ops: u64,
}

/// What was found so far.
struct Known {
    muted: Muted,
    attempts: Vec<Attempts>,
    /// The rules of which a program among threads came to its end.
    finished: Vec<RuleId>,
    cases: Vec<(usize, Case)>,
    beside: Vec<Case>,
    /// Runs that something outside had a hand in.
    disturbed: u64,
    error: Option<CheckError>,
}

/// How often what looked like a finding of one rule was another's.
struct Attempts {
    raw: (RuleId, Call),
    times: u32,
    /// The rule that it was last.
    other: RuleId,
}

impl Known {
    /// Counts one more finding that was not what it looked like; gives how many there were.
    fn attempt(&mut self, raw: (RuleId, Call), other: RuleId) -> u32 {
        let at = self.attempts.iter().position(|seen| seen.raw == raw);
        let at = at.unwrap_or_else(|| {
            let times = 0;
            self.attempts.push(Attempts { raw, times, other });
            self.attempts.len() - 1
        });
        let seen = &mut self.attempts[at];
        (seen.times, seen.other) = (seen.times + 1, other);
        seen.times
    }

    /// The rules about threads that were not put to the test to the end: none of their programs came there, or those that
    /// did not are no longer looked into. Each with a rule that is broken instead.
    fn given_up(&self) -> Vec<(RuleId, RuleId)> {
        let is_given_up = |seen: &&Attempts| {
            let rule = seen.raw.0;
            is_about_threads(rule) && (seen.times >= ATTEMPTS || !self.finished.contains(&rule))
        };
        let given_up = self.attempts.iter().filter(is_given_up);
        given_up.map(|seen| (seen.raw.0, seen.other)).collect()
    }

    fn mute(&mut self, rule: RuleId, call: Call) {
        for &other in Call::ALL
            .iter()
            .filter(|&&other| cause(rule, Some(other)) == call)
        {
            self.muted.mute(rule, other);
        }
    }

    fn unmute(&mut self, rule: RuleId, call: Call) {
        for &other in Call::ALL
            .iter()
            .filter(|&&other| cause(rule, Some(other)) == call)
        {
            self.muted.unmute(rule, other);
        }
    }
}

/// The rules to check in runs of a program. Harm that threads do is seen by the rules about blocks, whether or not those
/// are asked about.
pub(super) fn rules_for(program: &Program, rules: RuleSet) -> RuleSet {
    match program.has_threads() {
        true => rules.iter().chain(harms().iter()).collect(),
        false => rules,
    }
}

/// What a campaign came to.
pub struct Outcome {
    /// Counters and choices.
    pub totals: Ledger,
    /// Processes that programs were run in.
    pub workers: u64,
    /// The cases, in the order of the programs that led to them.
    pub cases: Vec<Case>,
    /// What broke rules that nobody asked about, and was met nevertheless.
    pub beside: Vec<Case>,
    /// The rules about threads whose programs show first that another rule is broken, each with that.
    pub given_up: Vec<(RuleId, RuleId)>,
    /// Runs that ended in a way that is not the subject's doing, see [`is_disturbed`].
    pub disturbed: u64,
    /// How often the worker was lost while no program was at work, see [`is_forsaken`].
    pub lost: u64,
    /// Whether a program was stopped for want of time.
    pub cut_short: bool,
    /// What each phase had, of those that had anything.
    pub phases: Vec<PhaseShare>,
}

impl<'a> Campaign<'a> {
    /// A campaign with this plan against a launched subject. What breaks rules that are watched and not asked about is
    /// looked into as well, if it does harm: it may turn out to be about one that is asked about.
    pub fn new(
        launch: &'a Launch,
        asked: RuleSet,
        watched: RuleSet,
        plan: &'a Plan<'a>,
        budget: Budget,
    ) -> Campaign<'a> {
        Campaign {
            launch,
            asked,
            watched,
            plan,
            budget,
            totals: Ledger::new(),
            workers: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            next: Mutex::new(Next::default()),
            cut_short: AtomicBool::new(false),
            phase: Mutex::new("programs"),
            shares: Mutex::new(Phase::ALL.map(|phase| PhaseShare {
                phase,
                programs: 0,
                time: Duration::ZERO,
            })),
            known: Mutex::new(Known {
                muted: Muted::NONE,
                attempts: Vec::new(),
                cases: Vec::new(),
                beside: Vec::new(),
                disturbed: 0,
                finished: Vec::new(),
                error: None,
            }),
        }
    }

    /// Runs the plan, telling how far it is.
    ///
    /// # Errors
    ///
    /// When the machine refuses workers, or the harness fails.
    pub fn run(self, first: Worker, tell: &mut dyn FnMut(Progress)) -> Result<Outcome, CheckError> {
        std::thread::scope(|scope| {
            let mut spare = Some(first);
            // The end of the last thread disconnects it.
            let (working, all_done) = mpsc::channel::<()>();
            let threads: Vec<_> = (0..self.budget.jobs.max(1))
                .map_while(|_| {
                    let (worker, working, campaign) = (spare.take(), working.clone(), &self);
                    let thread = Builder::new().spawn_scoped(scope, move || {
                        campaign.work(worker);
                        drop(working);
                    });
                    thread.map_err(|error| self.fail(no_thread(&error))).ok()
                })
                .collect();
            drop(working);
            let often = if self.budget.time < TELL * 20 {
                TELL / 20
            } else {
                TELL
            };
            while all_done.recv_timeout(often) == Err(RecvTimeoutError::Timeout) {
                tell(Progress {
                    phase: self.phase.lock().map_or("", |phase| *phase),
                    ops: self.totals.ops(),
                    elapsed: self.budget.started.elapsed(),
                    total: self.budget.time,
                    findings: self.known.lock().map_or(0, |known| known.cases.len()),
                });
            }
            for thread in threads {
                if thread.join().is_err() {
                    return Err(CheckError::Internal(
                        "a supervising thread ended early".into(),
                    ));
                }
            }
            Ok(())
        })?;
        let Ok(mut known) = self.known.into_inner() else {
            return Err(CheckError::Internal(
                "a supervising thread ended early".into(),
            ));
        };
        if let Some(error) = known.error.take() {
            return Err(error);
        }
        known
            .cases
            .sort_by_key(|(index, case)| (*index, case.finding.rule, case.finding.op_index));
        let given_up = known.given_up();
        let shares = self.shares.into_inner().into_iter().flatten();
        Ok(Outcome {
            phases: shares.filter(|share| share.programs > 0).collect(),
            totals: self.totals,
            workers: self.workers.into_inner(),
            lost: self.lost.into_inner(),
            cut_short: self.cut_short.into_inner(),
            cases: known.cases.into_iter().map(|(_, case)| case).collect(),
            beside: known.beside,
            disturbed: known.disturbed,
            given_up,
        })
    }

    /// One thread's work: takes item after item until the time is up.
    fn work(&self, worker: Option<Worker>) {
        let mut seat = Seat {
            campaign: self,
            worker,
        };
        while Instant::now() < self.budget.deadline() && !self.failed() && !self.is_answered() {
            let Some((index, item)) = self.next_item() else {
                return;
            };
            if let Ok(mut phase) = self.phase.lock() {
                *phase = item.phase().map_or("programs", Phase::as_str);
            }
            let started = Instant::now();
            let explored = seat.explore(index, &item);
            self.note_share(&item, started.elapsed());
            if let Err(error) = explored {
                self.fail(error);
                return;
            }
        }
    }

    fn note_share(&self, item: &Item, time: Duration) {
        let Ok(mut shares) = self.shares.lock() else {
            return;
        };
        let phase = item.phase();
        if let Some(share) = shares.iter_mut().find(|it| Some(it.phase) == phase) {
            share.programs += 1;
            share.time += time;
        }
    }

    /// The next program to run. Which programs are run within a number of operations does not depend on who runs them.
    fn next_item(&self) -> Option<(usize, Item)> {
        let mut next = self.next.lock().ok()?;
        if self.is_forsaken() && next.urgent.is_none() && !self.plan.is_given() {
            // Why the worker was lost is the first thing to be known of a subject: a process of its own for each program takes
            // so long that the turn of these might not come.
            let urgent = self.plan.about(RuleId::ForkSt).into_iter().rev();
            next.urgent = Some(urgent.collect());
        }
        let urgent = next.urgent.as_mut().and_then(Vec::pop);
        let index = urgent.unwrap_or(next.index);
        let mut item = self.plan.item(index)?;
        if let Some(limit) = self.budget.ops {
            let left = limit.checked_sub(next.ops).filter(|&left| left > 0)?;
            item.cut_short(left);
            next.ops += item.program.steps();
        }
        if urgent.is_none() {
            next.index += 1;
        }
        Some((index, item))
    }

    /// Whether workers are not relied upon any more.
    fn is_forsaken(&self) -> bool {
        is_forsaken(self.lost.load(Relaxed))
    }

    /// Whether a program given by the user has shown what is wrong.
    fn is_answered(&self) -> bool {
        let found = |known: &Known| !known.cases.is_empty();
        self.plan.is_given() && self.known.lock().is_ok_and(|known| found(&known))
    }

    fn failed(&self) -> bool {
        self.known.lock().is_ok_and(|known| known.error.is_some())
    }

    fn fail(&self, error: CheckError) {
        if let Ok(mut known) = self.known.lock() {
            known.error.get_or_insert(error);
        }
    }

    fn muted(&self) -> Muted {
        self.known.lock().map_or(Muted::NONE, |known| known.muted)
    }

    /// Whether a finding of this rule is news. If so it is muted for everybody from here on.
    fn claim(&self, rule: RuleId, call: Call) -> bool {
        let Ok(mut known) = self.known.lock() else {
            return false;
        };
        if known.muted.contains(rule, call) {
            return false;
        }
        known.mute(rule, call);
        true
    }

    fn note_finished(&self, program: &Program, run: &Run) {
        let among_threads = program.has_threads() || program.is_among_threads();
        let finished = matches!(run.end, End::Told(Ended::Finished));
        if let Ok(mut known) = self.known.lock()
            && among_threads
            && finished
        {
            let rule = provisional(program);
            if !known.finished.contains(&rule) {
                known.finished.push(rule);
            }
        }
    }

    /// Keeps a case unless its rule was found by this call before. `raw` is what it looked like at first: if it turned
    /// out to be another rule's, the rule it looked like may still be broken by itself.
    fn keep(&self, index: usize, case: Case, raw: (RuleId, Call)) {
        let Ok(mut known) = self.known.lock() else {
            return;
        };
        if is_disturbed(&case) {
            known.disturbed += 1;
            known.unmute(raw.0, raw.1);
            return;
        }
        let rule = case.finding.rule;
        let call = cause(rule, case.op().map(|op| op.call));
        let as_without = is_as_without(raw.0, &case);
        if (rule, call) != raw {
            let attempts = known.attempt(raw, rule);
            if attempts < ATTEMPTS {
                known.unmute(raw.0, raw.1);
            }
            if !as_without {
                known.mute(rule, call);
            }
        }
        if as_without {
            return;
        }
        if !self.asked.contains(rule) {
            known.beside.push(case);
            return;
        }
        let same = |other: &Case| {
            other.finding.rule == rule && cause(rule, other.op().map(|op| op.call)) == call
        };
        match known.cases.iter().position(|(_, other)| same(other)) {
            None => known.cases.push((index, case)),
            Some(at) if index < known.cases[at].0 && case.reproduced => {
                known.cases[at] = (index, case)
            }
            Some(_) => {}
        }
    }
}

/// Whether the process was killed, or stood still while nothing of the subject was running, and did not do so again: a
/// machine that is short of memory or of time may do that to it.
fn is_disturbed(case: &Case) -> bool {
    let Evidence::Died { death, moment, .. } = case.finding.evidence else {
        return false;
    };
    let stood_still = matches!(death, Death::Hang { .. })
        && matches!(moment, Moment::Idle | Moment::Touch | Moment::Verify)
        && !case.program.has_threads()
        && !case.program.is_among_threads();
    !case.reproduced && (is_killed(death) || stood_still)
}

/// Whether the worker was lost so often while no program was at work that each program is given a process that has loaded the
/// subject for it.
pub(super) const fn is_forsaken(lost: u64) -> bool {
    lost >= LOST
}

/// A thread's worker, started again whenever it is lost.
pub(super) struct Seat<'a> {
    campaign: &'a Campaign<'a>,
    worker: Option<Worker>,
}

impl Seat<'_> {
    /// The rules that are checked.
    pub fn rules(&self) -> RuleSet {
        self.campaign.watched
    }

    /// Whether a rule is one that was asked about.
    pub fn is_asked(&self, rule: RuleId) -> bool {
        self.campaign.asked.contains(rule)
    }

    /// How long a call may take.
    pub fn patience(&self) -> Duration {
        self.campaign.launch.patience
    }

    /// The budget of the campaign.
    pub fn budget(&self) -> Budget {
        self.campaign.budget
    }

    /// Runs an item, and if it is a sweep, once for each system call that can fail in it.
    fn explore(&mut self, index: usize, item: &Item) -> Result<(), CheckError> {
        if !item.is_sweep() {
            return self.exhaust(index, item).map(drop);
        }
        let mut number = 1;
        for _ in 0..MOST_FAILURES {
            let failed = self.exhaust(index, &item.failing(number))?;
            if failed == 0 || Instant::now() >= self.campaign.budget.deadline() {
                break;
            }
            number = item.next_to_fail(number);
        }
        Ok(())
    }

    /// Runs an item again and again until it leads to nothing new; gives how many system calls failed in the last run.
    fn exhaust(&mut self, index: usize, item: &Item) -> Result<u64, CheckError> {
        let mut failed = 0;
        for _ in 0..FINDINGS_EACH {
            let muted = self.campaign.muted();
            // What is known of frees that are told the size must not hide what the program shows otherwise.
            let is_known = |rule| muted.contains(rule, cause(rule, None));
            let plain = match self.campaign.plan.is_given() {
                true => None,
                false => untold(&item.program, is_known).map(|program| item.with(program)),
            };
            let item = plain.as_ref().unwrap_or(item);
            let closely = item.program.steps() <= CLOSE;
            let conduct = Conduct {
                rules: rules_for(&item.program, self.campaign.watched),
                muted,
                stores: true,
                closely,
            };
            let deadline = item.deadline(&self.campaign.budget);
            let run = self.run_item(item, &conduct, deadline)?;
            failed = run.failed;
            if let End::Told(ended) = &run.end {
                self.campaign.totals.add(RuleId::NoOutput, 1);
                if item.is_first_call() {
                    self.campaign.totals.add(RuleId::FirstCallAny, 1);
                }
                self.campaign
                    .cut_short
                    .fetch_or(matches!(ended, Ended::OutOfTime), Relaxed);
            }
            let Some(finding) = self.finding(&item.program, &run)? else {
                self.campaign.note_finished(&item.program, &run);
                return Ok(failed);
            };
            let op = item.program.ops.get(finding.op_index);
            let is_first = match item.program.has_threads() {
                true => finding.evidence.is_harm() && item.program.may_be_first(finding.op_index),
                false => item.is_first_call() && finding.op_index == 0,
            };
            if is_first && op.is_some_and(|op| muted.contains(RuleId::FirstCallAny, op.call)) {
                // That the function cannot come first is known, so of no use is what it does with other sizes then.
                return Ok(failed);
            }
            if self.is_known_death(&item.program, &finding, run.resized, &muted) {
                return Ok(failed);
            }
            // Which rule harm breaks that threads come to is not known before they are looked into.
            let of_threads = item.program.has_threads() && finding.evidence.is_harm();
            let rule = match of_threads {
                true => provisional(&item.program),
                false => finding.rule,
            };
            let call = cause(rule, op.map(|op| op.call));
            if !self.campaign.claim(rule, call) {
                return Ok(failed);
            }
            if !self.is_asked(rule) && !finding.evidence.is_harm() {
                continue;
            }
            let raw = (rule, call);
            let case = investigate::investigate(self, item, finding)?;
            self.campaign.keep(index, case, raw);
            if Instant::now() >= self.campaign.budget.deadline() {
                return Ok(failed);
            }
        }
        Ok(failed)
    }

    /// Whether it is a death that is laid to circumstances and that, if they had no part in it, would be one that is known.
    fn is_known_death(
        &self,
        program: &Program,
        finding: &Finding,
        resized: (u64, u64),
        muted: &Muted,
    ) -> bool {
        let Evidence::Died { death, moment, .. } = finding.evidence else {
            return false;
        };
        let Some(op) = program.ops.get(finding.op_index) else {
            return false;
        };
        if !Condition::RULES.contains(&finding.rule) {
            return false;
        }
        let rules = self.campaign.watched.iter();
        let ordinary = rules
            .filter(|rule| !Condition::RULES.contains(rule))
            .collect();
        let at = finding.op_index;
        let rule = attribute_death(program, at, moment, death, resized, &ordinary);
        muted.contains(rule, op.call)
    }

    /// What a run found, if it found something.
    ///
    /// # Errors
    ///
    /// When the harness failed in the worker.
    pub fn finding(&self, program: &Program, run: &Run) -> Result<Option<Finding>, CheckError> {
        let last = program.ops.len().saturating_sub(1);
        Ok(match &run.end {
            End::Told(Ended::Broken(finding)) => Some(Finding {
                op_index: finding.op_index.min(last),
                ..finding.clone()
            }),
            End::Told(Ended::Failed(error)) => {
                return Err(CheckError::Resources {
                    what: "a worker what it needs",
                    reason: error.clone(),
                });
            }
            End::Told(_) if !run.said.is_empty() => Some(Finding {
                rule: RuleId::NoOutput,
                op_index: last,
                evidence: Evidence::Output {
                    text: run.said.clone(),
                },
            }),
            End::Told(_) | End::Unborn(_) => None,
            &End::Died {
                death,
                op_index,
                moment,
            } => {
                let op_index = op_index.min(last);
                let resized = run.resized;
                let rule = attribute_death(
                    program,
                    op_index,
                    moment,
                    death,
                    resized,
                    &self.campaign.watched,
                );
                let said = run.said.clone();
                Some(Finding {
                    rule,
                    op_index,
                    evidence: Evidence::Died {
                        death,
                        moment,
                        said,
                    },
                })
            }
        })
    }

    /// Runs an item's program.
    ///
    /// # Errors
    ///
    /// When no worker can be had.
    pub fn run_item(
        &mut self,
        item: &Item,
        conduct: &Conduct,
        deadline: u64,
    ) -> Result<Run, CheckError> {
        match item.once {
            true => self.run_once(&item.program, conduct, deadline),
            false => self.run(&item.program, conduct, deadline, None),
        }
    }

    /// Runs a program in a process that loads the subject for it.
    fn run_once(
        &self,
        program: &Program,
        conduct: &Conduct,
        deadline: u64,
    ) -> Result<Run, CheckError> {
        let campaign = self.campaign;
        campaign.workers.fetch_add(1, Relaxed);
        let run = Worker::run_once(
            campaign.launch,
            program,
            conduct,
            deadline,
            campaign.budget.last(),
            &campaign.totals,
        );
        let mut run = run.map_err(|error| refused(&error))?;
        if campaign.launch.noisy && matches!(run.end, End::Told(_)) {
            // What it writes while it is loaded is told once, of the library.
            run.said.clear();
        }
        Ok(run)
    }

    /// Runs a program in a fresh process. A call may take `patience` at most, if it is given.
    ///
    /// # Errors
    ///
    /// When no worker can be had.
    pub fn run(
        &mut self,
        program: &Program,
        conduct: &Conduct,
        deadline: u64,
        patience: Option<Duration>,
    ) -> Result<Run, CheckError> {
        let campaign = self.campaign;
        if campaign.is_forsaken() {
            return self.run_once(program, conduct, deadline);
        }
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => match Worker::start(campaign.launch) {
                Ok((worker, ..)) => worker,
                Err(error) => return Err(launch::refused(&campaign.launch.name, error)),
            },
        };
        campaign.workers.fetch_add(1, Relaxed);
        let patience = patience.unwrap_or(campaign.launch.patience);
        worker.set_limits(patience, campaign.budget.last());
        let run = worker
            .run(program, conduct, deadline, &campaign.totals)
            .map_err(|error| refused(&error))?;
        if let End::Unborn(death) = run.end {
            // The worker is a process that the subject lives in and that forks, too: who cannot do that cannot be checked
            // there. What is wrong with it shows in programs that fork.
            campaign.lost.fetch_add(1, Relaxed);
            let waited = match death {
                Death::Hang { millis } => millis * 1_000_000,
                _ => 0,
            };
            return self.run_once(program, conduct, deadline.saturating_add(waited));
        }
        if worker.is_alive() {
            self.worker = Some(worker);
        }
        Ok(run)
    }
}

fn refused(error: &std::io::Error) -> CheckError {
    CheckError::Resources {
        what: "a worker process",
        reason: error.to_string(),
    }
}

/// A supervising thread could not be had.
pub(super) fn no_thread(error: &std::io::Error) -> CheckError {
    CheckError::Resources {
        what: "a thread",
        reason: error.to_string(),
    }
}

/// Learns what it can of a launched subject.
///
/// # Errors
///
/// When the subject cannot be loaded again after learning ended its worker.
pub fn learn(launched: &mut Launched, time: Duration) -> Result<Learned, CheckError> {
    let learned = launched
        .worker
        .learn(time)
        .map_err(|error| refused(&error))?;
    if !launched.worker.is_alive() {
        let (worker, ..) = Worker::start(&launched.launch)
            .map_err(|error| launch::refused(&launched.launch.name, error))?;
        launched.worker = worker;
    }
    Ok(learned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Op;

    #[test]
    fn what_comes_from_outside_once_is_not_laid_to_the_subject() {
        let is = |death, moment, reproduced, first: Op| {
            is_disturbed(&Case {
                finding: Finding {
                    rule: RuleId::CallReturns,
                    op_index: 0,
                    evidence: Evidence::Died {
                        death,
                        moment,
                        said: String::new(),
                    },
                },
                program: Program {
                    rule: None,
                    ops: vec![first],
                },
                outcomes: Vec::new(),
                live: Vec::new(),
                phase: String::new(),
                reproduced,
                shown: None,
            })
        };
        let call = Op::new(Call::Malloc, 0, 100, 0);
        let thread = Op::new(Call::Thread, crate::program::NO_SLOT, 1, 0);
        let signal = |signal| Death::Signal {
            signal,
            address: None,
        };
        let (hang, killed) = (Death::Hang { millis: 1 }, signal(libc::SIGKILL));
        assert!(is(killed, Moment::Call, false, call));
        assert!(is(hang, Moment::Verify, false, call));
        assert!(!is(killed, Moment::Call, true, call), "it does so again");
        assert!(!is(hang, Moment::Call, false, call), "in the subject");
        assert!(!is(hang, Moment::Idle, false, thread), "one of them is");
        assert!(!is(signal(libc::SIGSEGV), Moment::Verify, false, call));
    }
}
