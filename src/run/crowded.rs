//! From harm that shows while other threads are at work to a case.
//!
//! It may need the threads, or a fork among them, or neither; and it need not show each time.

use super::CheckError;
use super::campaign::Seat;
use super::investigate::{Hunt, Kind, LEAST, PATIENCE, SHARE, Sighting};
use super::plan::Item;
use super::races::{CLOSE, is_hang, patience};
use crate::program::{Call, Condition, Op, Under};
use crate::shadow::{Case, Finding};
use crate::spec::RuleId;
use std::time::Instant;

/// How often a program is run that takes something away, before what it takes away counts as needed.
const SURE: u32 = 20;
/// How often a program is run that is to be shorter.
const TRIES: u32 = 6;
/// How often the shortest is run to see how often it shows.
const RUNS: u32 = 20;

/// Makes a case of harm that showed in a program among threads.
///
/// # Errors
///
/// When no worker can be had.
pub(super) fn investigate(
    seat: &mut Seat<'_>,
    item: &Item,
    finding: Finding,
) -> Result<Case, CheckError> {
    let started = Instant::now();
    let budget = seat.budget();
    let time = (budget.time / SHARE).max(LEAST);
    let mut hunt = Hunt {
        once: item.once,
        kind: Kind::Harm {
            hangs: is_hang(&finding),
        },
        until: (started + time).min(budget.latest().max(started + LEAST)),
        tries: TRIES,
        patience: patience(seat, &finding),
        close: CLOSE,
    };
    let without = |unneeded: fn(&Op) -> bool| {
        let mut program = item.program.clone();
        program.ops.retain(|op| !unneeded(op));
        program.legalise();
        program
    };
    let is_others =
        |op: &Op| Under::of(op).is_some_and(|under| under.condition == Condition::Threads);
    if let Some(case) = hunt.case_alone(seat, item, without(is_others))? {
        return Ok(case);
    }
    let mut best = Sighting {
        program: item.program.clone(),
        finding,
        run: None,
    };
    hunt.tries = SURE;
    let shared = without(|op| matches!(op.call, Call::Fork | Call::Wait));
    let mut reproduced = false;
    for program in [shared, item.program.clone()] {
        reproduced = reproduced || hunt.accept(seat, &mut best, program)?;
    }
    let mut shown = None;
    if reproduced {
        let pinned = (best.program.clone(), best.finding.clone());
        hunt.tries = TRIES;
        hunt.patience = PATIENCE;
        hunt.shrink(seat, &mut best)?;
        hunt.patience = patience(seat, &best.finding);
        let latest = budget.latest().max(Instant::now() + LEAST);
        let mut count = |program: &_| hunt.count(seat, program, RUNS, latest);
        let mut counted = count(&best.program)?;
        if counted.times == 0 {
            // What was accepted may have been luck, or slow in the case of a call that hangs.
            (best.program, best.finding) = pinned;
            best.run = None;
            counted = count(&best.program)?;
        }
        reproduced = counted.times > 0;
        let rule = best.program.circumstance_at(best.finding.op_index);
        best.finding.rule = rule.unwrap_or(RuleId::ThreadSafe);
        shown = Some(counted);
    }
    Ok(best.into_case(item, reproduced, shown))
}
