//! A check: many programs in many processes, until the time is up, and the findings they lead to.

mod crowded;
pub mod followers;
mod investigate;
mod kind;
mod known;
mod races;
mod seat;
mod spare;

pub use races::RUNS;

use crate::program::{Call, Program};
use crate::run::budget::Budget;
use crate::run::learn::Learned;
use crate::run::phase::{Phase, PhaseShare};
use crate::run::plan::{Item, Plan};
use crate::run::supervisor::launch::{self, Launched};
use crate::run::supervisor::{Launch, Run, Worker};
use crate::run::{CheckError, Progress};
use crate::shadow::{Case, Ledger, Muted};
use crate::spec::{RuleId, RuleSet};
use known::Known;
use seat::Seat;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Times that a worker may be lost while no program is at work before it is no longer relied upon.
const LOST: u64 = 2;
/// How often the supervisor tells how far it is.
const TELL: Duration = Duration::from_millis(100);

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
    error: Mutex<Option<CheckError>>,
}

/// Where in the plan the campaign is.
#[derive(Default)]
struct Next {
    index: usize,
    /// Those that do not wait for their turn, once it is known which; the last comes first.
    urgent: Option<Vec<usize>>,
    ops: u64,
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
    /// Runs that ended in a way that is not the subject's doing.
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
            known: Mutex::new(Known::new()),
            error: Mutex::new(None),
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
        let (Ok(mut known), Ok(error)) = (self.known.into_inner(), self.error.into_inner()) else {
            return Err(CheckError::Internal(
                "a supervising thread ended early".into(),
            ));
        };
        if let Some(error) = error {
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
        self.error.lock().is_ok_and(|error| error.is_some())
    }

    fn fail(&self, error: CheckError) {
        if let Ok(mut first) = self.error.lock() {
            first.get_or_insert(error);
        }
    }

    /// What is not looked for any more.
    fn muted(&self) -> Muted {
        self.known.lock().map_or(Muted::NONE, |known| known.muted)
    }

    /// Whether a finding of this rule is news. If so it is muted for everybody from here on.
    fn claim(&self, rule: RuleId, call: Call) -> bool {
        self.known
            .lock()
            .is_ok_and(|mut known| known.claim(rule, call))
    }

    /// Notes that a program came to its end.
    fn note_finished(&self, program: &Program, run: &Run) {
        if let Ok(mut known) = self.known.lock() {
            known.note_finished(program, run);
        }
    }

    /// Keeps a case unless it is known; `raw` is what it looked like at first.
    fn keep(&self, index: usize, case: Case, raw: (RuleId, Call)) {
        if let Ok(mut known) = self.known.lock() {
            known.keep(index, case, raw, &self.asked);
        }
    }
}

/// Whether the worker was lost so often while no program was at work that each program is given a process that has loaded the
/// subject for it.
pub const fn is_forsaken(lost: u64) -> bool {
    lost >= LOST
}

/// A worker process could not be had.
fn refused(error: &std::io::Error) -> CheckError {
    CheckError::Resources {
        what: "a worker process",
        reason: error.to_string(),
    }
}

/// A supervising thread could not be had.
pub fn no_thread(error: &std::io::Error) -> CheckError {
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
