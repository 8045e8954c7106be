//! One thread of a check: it runs programs, in a worker of its own, and looks into what they show.

use super::investigate;
use super::kind::{cause, harms};
use super::{Campaign, refused};
use crate::program::{Condition, Expect, Program};
use crate::run::CheckError;
use crate::run::budget::Budget;
use crate::run::plan::Item;
use crate::run::protocol::Ended;
use crate::run::supervisor::launch;
use crate::run::supervisor::{End, Run, Worker};
use crate::shadow::{Conduct, Death, Evidence, Finding, Muted, attribute_death, provisional};
use crate::spec::{RuleId, RuleSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Programs of at most this many operations are looked at closely from the start.
const CLOSE: u64 = 512;
/// Findings that one program may lead to.
const FINDINGS_EACH: usize = 16;
/// Times that a sweep over the system calls of one program is gone on with.
const MOST_FAILURES: u64 = 32;

/// The rules to check in runs of a program. Harm that threads do is seen by the rules about blocks, whether or not those
/// are asked about.
pub(super) fn rules_for(program: &Program, rules: RuleSet) -> RuleSet {
    match program.has_threads() {
        true => rules.iter().chain(harms().iter()).collect(),
        false => rules,
    }
}

/// A thread's worker, started again whenever it is lost.
pub(super) struct Seat<'a> {
    pub campaign: &'a Campaign<'a>,
    pub worker: Option<Worker>,
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
    pub fn explore(&mut self, index: usize, item: &Item) -> Result<(), CheckError> {
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
                false => item
                    .program
                    .untold(is_known)
                    .map(|program| item.with(program)),
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
            if self.is_missed_anyway(&item.program, item.once, &finding, &conduct, deadline)? {
                return Ok(failed);
            }
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

    /// Whether what is missing is a block that was expected since nothing failed any more, and it is not sure that there
    /// is one where nothing fails at all.
    ///
    /// # Errors
    ///
    /// When no worker can be had.
    pub fn is_missed_anyway(
        &mut self,
        program: &Program,
        once: bool,
        finding: &Finding,
        conduct: &Conduct,
        deadline: u64,
    ) -> Result<bool, CheckError> {
        let op = program.ops.get(finding.op_index);
        if op.is_none_or(|op| op.expect != Expect::AsUnhindered)
            || !matches!(finding.evidence, Evidence::UnexpectedNull)
        {
            return Ok(false);
        }
        let run = self.run_item(&Item::given(program.unhindered(), once), conduct, deadline)?;
        Ok(!matches!(run.end, End::Told(Ended::Finished)))
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
