//! From a finding in a program with threads to a case.
//!
//! First it is asked what the threads have to do with it. If one thread shows it as well, it is a finding like any other;
//! if it shows where one operation follows the other, it shows every time. What is left is a race, which shows in some
//! runs only: a program is then run again and again, and shrunk as long as it still shows.

use super::CheckError;
use super::campaign::Seat;
use super::investigate::{self, Hunt, Kind, LEAST, PATIENCE, SHARE, Sighting};
use super::plan::Item;
use crate::program::{Call, NO_SLOT, Op, Program};
use crate::shadow::{Case, Death, Evidence, Finding, Shown, attribute_threads};
use crate::spec::RuleId;
use std::time::Instant;

/// Runs from which it is told how often a program shows a race.
const RUNS: u32 = 100;
/// Runs after which a race that has not shown again is given up.
const PATIENT: u32 = 60;
/// A candidate is run until it has had this many times as many runs as it takes on average.
const SURE: u32 = 3;
/// But at least, and at most, so often.
const FEWEST: u32 = 2;
const MOST: u32 = 30;
/// Programs of more operations than this are not looked at closely: it would keep threads apart.
pub(super) const CLOSE: u64 = 512;
/// The part of the time in which it is found out how often it shows, and again at the end: one in so many.
const COUNTING: u32 = 5;

/// Makes a case of a finding in a program with threads.
///
/// # Errors
///
/// When no worker can be had.
pub fn investigate(seat: &mut Seat<'_>, item: &Item, finding: Finding) -> Result<Case, CheckError> {
    let started = Instant::now();
    let budget = seat.budget();
    let time = (budget.time / SHARE).max(LEAST);
    let until = (started + time).min(budget.latest().max(started + LEAST));
    let harm = finding.evidence.is_harm();
    let hangs = is_hang(&finding);
    let mut hunt = Hunt {
        once: false,
        kind: if harm {
            Kind::Harm { hangs }
        } else {
            Kind::of(&finding, &item.program)
        },
        until,
        tries: 1,
        close: CLOSE,
    };
    let alone = item.program.without_threads();
    if let Some(finding) = hunt.finds(seat, &alone)? {
        let mut item = item.clone();
        item.program = alone;
        return investigate::investigate(seat, &item, finding);
    }

    let mut best = Sighting {
        program: item.program.clone(),
        finding,
        run: None,
    };
    hunt.tries = FEWEST;
    let in_order = hunt.accept(seat, &mut best, item.program.in_order())?;
    let reproduced = if in_order {
        hunt.kind = match best.finding.evidence {
            Evidence::Contents { .. } => Kind::Damage,
            // Which rule it breaks is not known yet, so nothing is to be told apart by that.
            Evidence::Foreign { .. } | Evidence::BadAddress { .. } => hunt.kind,
            _ => Kind::of(&best.finding, &best.program),
        };
        true
    } else {
        hunt.until = started + time / COUNTING;
        let first = hunt.count(seat, &best.program, PATIENT)?;
        hunt.tries = match first.times {
            0 => MOST,
            times => (SURE * first.of / times).clamp(FEWEST, MOST),
        };
        first.times > 0
    };
    let mut shown = None;
    if reproduced {
        hunt.until = until - (time / COUNTING).min(until - started);
        hunt.shrink(seat, &mut best)?;
        hunt.until = until.max(Instant::now() + LEAST / 2);
        if harm {
            best.finding.rule = hunt.attribute_threads(seat, &best)?;
        }
        shown = Some(hunt.count(seat, &best.program, RUNS)?);
    }
    let (outcomes, live) = best
        .run
        .map(|run| (run.outcomes, run.live))
        .unwrap_or_default();
    Ok(Case {
        finding: best.finding,
        program: best.program,
        outcomes,
        live,
        phase: item.phase.clone(),
        reproduced,
        shown,
    })
}

/// Whether a call did not return: on a busy machine that may be for want of time, and is no other harm's sign.
pub(super) fn is_hang(finding: &Finding) -> bool {
    matches!(
        finding.evidence,
        Evidence::Died {
            death: Death::Hang { .. },
            ..
        }
    )
}

impl Hunt {
    /// What the program shows, if it is what is looked for.
    pub(super) fn finds(
        &self,
        seat: &mut Seat<'_>,
        program: &Program,
    ) -> Result<Option<Finding>, CheckError> {
        let (found, _) = self.attempt(seat, program, true, PATIENCE)?;
        Ok(found.filter(|found| self.is_it(found, program)))
    }

    /// In how many runs the program shows it, of as many as there is time for.
    pub(super) fn count(
        &self,
        seat: &mut Seat<'_>,
        program: &Program,
        runs: u32,
    ) -> Result<Shown, CheckError> {
        let once = Hunt { tries: 1, ..*self };
        let mut shown = Shown { times: 0, of: 0 };
        while shown.of < runs && (shown.of == 0 || Instant::now() < self.until) {
            shown.of += 1;
            shown.times += u32::from(once.finds(seat, program)?.is_some());
        }
        Ok(shown)
    }

    /// The rule that the shrunk program proves broken.
    fn attribute_threads(
        &self,
        seat: &mut Seat<'_>,
        best: &Sighting,
    ) -> Result<RuleId, CheckError> {
        let rules = seat.rules();
        // What was a race in a long program need not be one in a short one, nor the other way round.
        let in_order = self.finds(seat, &best.program.in_order())?.is_some();
        let rule = attribute_threads(&best.finding, &best.program, in_order, &rules);
        if rule != RuleId::XthreadReallocFirst {
            return Ok(rule);
        }
        // What a thread cannot do after another call either has nothing to do with the first one.
        let slot = best.program.slots() as u32;
        let mut later = best.program.clone();
        later
            .ops
            .insert(best.finding.op_index, Op::new(Call::Malloc, slot, 16, 0));
        if self.finds(seat, &later)?.is_none() {
            return Ok(rule);
        }
        let foreign = |op: &Op| op.slot != NO_SLOT && !op.call.allocates();
        let guilty = best.program.ops.get(best.finding.op_index);
        let rule = if guilty.is_some_and(foreign) {
            RuleId::XthreadFree
        } else {
            RuleId::ThreadSafe
        };
        Ok(if rules.contains(rule) {
            rule
        } else {
            RuleId::ThreadSafe
        })
    }
}
