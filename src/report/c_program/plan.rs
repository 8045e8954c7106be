//! The shape of a C program: which operations stand in loops.

use crate::program::{Call, Expect, Op};

/// Runs shorter than this stay as they are.
const SHORTEST_RUN: usize = 4;

/// A step of a program in C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The operation at this position.
    One(usize),
    /// Operations that differ only in their slots, which are evenly spaced.
    Run {
        /// the position of the first
        first: usize,
        /// how many
        length: usize,
        /// from slot to slot
        stride: i64,
    },
    /// What follows, to the matching [`Step::End`], happens so many times.
    Loop(u64),
    /// The end of a loop.
    End,
}

/// The steps up to the guilty operation, or to the end of the repetition that it stands in.
pub fn plan(ops: &[Op], guilty: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 0;
    while at < ops.len() {
        let repeat = next_repeat(ops, at);
        let (start, end) = repeat.unwrap_or((ops.len(), ops.len()));
        if guilty < start {
            plan_runs(ops, at..guilty, guilty, &mut steps);
            steps.push(Step::One(guilty));
            return steps;
        }
        plan_runs(ops, at..start, guilty, &mut steps);
        if repeat.is_none() {
            return steps;
        }
        steps.push(Step::Loop(ops[end].a.saturating_add(1)));
        plan_runs(ops, start..end, guilty, &mut steps);
        steps.push(Step::End);
        if guilty <= end {
            if guilty == end {
                steps.push(Step::One(guilty));
            }
            return steps;
        }
        at = end + 1;
    }
    steps
}

/// The next repetition from here: the position of its first operation, and its own.
fn next_repeat(ops: &[Op], from: usize) -> Option<(usize, usize)> {
    let own = (from..ops.len()).find(|&index| ops[index].call == Call::Repeat)?;
    let length = usize::try_from(ops[own].b).unwrap_or(usize::MAX);
    Some((own.saturating_sub(length).max(from), own))
}

fn plan_runs(ops: &[Op], range: std::ops::Range<usize>, guilty: usize, steps: &mut Vec<Step>) {
    let mut at = range.start;
    while at < range.end {
        let (length, stride) = run_at(&ops[at..range.end]);
        // The guilty operation, and the one that it is measured against, stand alone.
        let alone = (at..at + length).contains(&guilty);
        if length < SHORTEST_RUN || alone {
            steps.push(Step::One(at));
            at += 1;
        } else {
            steps.push(Step::Run {
                first: at,
                length,
                stride,
            });
            at += length;
        }
    }
}

/// How many operations from the first on differ only in their slots, which are this far apart.
fn run_at(ops: &[Op]) -> (usize, i64) {
    let [first, second, ..] = ops else {
        return (ops.len(), 0);
    };
    let stride = i64::from(second.slot) - i64::from(first.slot);
    if stride == 0 || !can_run(first) {
        return (1, 0);
    }
    let same = |op: &Op, slot: i64| {
        i64::from(op.slot) == slot
            && Op {
                slot: first.slot,
                ..*op
            } == *first
    };
    let mut slot = i64::from(first.slot);
    let length = ops
        .iter()
        .take_while(|op| {
            let fits = same(op, slot);
            slot += stride;
            fits
        })
        .count();
    (length, stride)
}

fn can_run(op: &Op) -> bool {
    let call = op.call;
    op.expect == Expect::Any
        && (call.allocates() || call.reallocates() || call.frees() || call == Call::Stretch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{NO_SLOT, Slot};

    fn malloc(slot: Slot) -> Op {
        Op::new(Call::Malloc, slot, 64, 0)
    }

    fn free(slot: Slot) -> Op {
        Op::new(Call::Free, slot, 0, 0)
    }

    #[test]
    fn like_operations_on_evenly_spaced_slots_become_loops() {
        let mut ops: Vec<Op> = (0..10).map(malloc).collect();
        ops.extend([8, 6, 4, 2, 0].map(free));
        ops.push(malloc(0));
        let run = |first, length, stride| Step::Run {
            first,
            length,
            stride,
        };
        assert_eq!(
            plan(&ops, 15),
            [run(0, 10, 1), run(10, 5, -2), Step::One(15)]
        );
    }

    #[test]
    fn the_guilty_operation_stands_alone() {
        let ops: Vec<Op> = (0..6).map(malloc).collect();
        let last = plan(&ops, 5).pop();
        assert_eq!(last, Some(Step::One(5)));
    }

    #[test]
    fn repetitions_are_loops() {
        let ops = [
            malloc(1),
            malloc(0),
            free(0),
            Op::new(Call::Repeat, NO_SLOT, 99, 2),
            free(1),
        ];
        assert_eq!(
            plan(&ops, 2),
            [
                Step::One(0),
                Step::Loop(100),
                Step::One(1),
                Step::One(2),
                Step::End
            ]
        );
        assert_eq!(plan(&ops, 4).last(), Some(&Step::One(4)));
    }
}
