//! A program for the eye: one operation a line, what each gave beside it, the guilty one marked, the tedious middle
//! left out.

use super::evidence;
use super::words::thousands;
use crate::program::{Call, NO_SLOT, Slot};
use crate::shadow::{Case, Evidence};
use std::collections::BTreeSet;

/// Programs of at most this many operations are shown whole.
const WHOLE: usize = 16;
/// Of longer ones, so many operations are shown from the start, up to the guilty one, after it, and of those before it
/// that work on the slots in question, or that say what fails.
const HEAD: usize = 4;
const BEFORE: usize = 6;
const AFTER: usize = 2;
const RELATED: usize = 4;

/// A line of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// An operation.
    Op {
        /// As in a trace.
        text: String,
        /// What it gave; empty if nothing or unknown.
        outcome: String,
        /// Whether it broke the rule.
        guilty: bool,
    },
    /// So many operations left out.
    Elided(usize),
}

impl Line {
    /// The text of a line left out: `… 1,234 operations …`.
    pub fn elision(number: usize) -> String {
        format!("… {} operations …", thousands(number as u64))
    }
}

/// The program of a case, long ones shortened.
pub fn lines(case: &Case) -> Vec<Line> {
    let shown = shown(case);
    let mut lines = Vec::new();
    let mut elided = 0;
    for (index, line) in case.program.lines().enumerate() {
        if !shown.contains(&index) {
            elided += 1;
            continue;
        }
        if elided > 0 {
            lines.push(Line::Elided(std::mem::take(&mut elided)));
        }
        lines.push(Line::Op {
            text: line.to_string(),
            outcome: outcome(case, index),
            guilty: index == case.finding.op_index,
        });
    }
    if elided > 0 {
        lines.push(Line::Elided(elided));
    }
    lines
}

/// What the operation at this position gave, in words; empty if nothing or unknown.
pub fn outcome(case: &Case, index: usize) -> String {
    match (case.program.ops.get(index), case.outcome(index)) {
        (Some(op), Some(seen)) => evidence::outcome(op, seen),
        _ => String::new(),
    }
}

fn shown(case: &Case) -> BTreeSet<usize> {
    let length = case.program.ops.len();
    if length <= WHOLE {
        return (0..length).collect();
    }
    let guilty = case.finding.op_index.min(length - 1);
    let related = slots(case);
    let mut shown: BTreeSet<usize> = (0..HEAD).collect();
    shown.extend(guilty.saturating_sub(BEFORE)..length.min(guilty + AFTER + 1));
    shown.extend(
        (0..guilty)
            .rev()
            .filter(|&index| related.contains(&case.program.ops[index].slot))
            .take(RELATED),
    );
    // Under which circumstances the guilty one was made.
    let is_circumstance = |call: Call| {
        use Call::{FailArena, FailRaw, FailSyscall, Limit, ShiftArena, Under};
        matches!(
            call,
            FailSyscall | FailRaw | FailArena | ShiftArena | Limit | Under
        )
    };
    shown.extend(
        (0..guilty)
            .rev()
            .filter(|&index| is_circumstance(case.program.ops[index].call))
            .take(RELATED),
    );
    // A single operation left out would take as much room as its elision.
    let gaps: Vec<usize> = (1..length)
        .filter(|&index| shown.contains(&(index - 1)) && shown.contains(&(index + 1)))
        .collect();
    shown.extend(gaps);
    shown
}

/// The slots that the finding is about.
fn slots(case: &Case) -> BTreeSet<Slot> {
    let own = case.op().map(|op| op.slot).filter(|&slot| slot != NO_SLOT);
    let mut slots: BTreeSet<Slot> = own.into_iter().collect();
    match case.finding.evidence {
        Evidence::Overlap { other, .. } => slots.insert(other),
        Evidence::Contents { slot, .. } => slots.insert(slot),
        _ => false,
    };
    slots
}
