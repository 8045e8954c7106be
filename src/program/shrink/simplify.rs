//! Plainer and smaller operations in the place of one.
//!
//! What is defined stays defined, in every profile: a `realloc` is not shrunk to size 0, an alignment stays a power of
//! two if it was one, and a size a multiple of the alignment.

use crate::program::failing::{Failing, Which};
use crate::program::op::{Call, NO_SLOT, Op};

/// Numbers that a reader takes in at a glance, ascending.
const ROUND: [u64; 14] = [
    0,
    1,
    8,
    16,
    32,
    64,
    128,
    256,
    512,
    1024,
    4096,
    65536,
    1 << 20,
    1 << 24,
];
/// Sizes that no address space holds, ascending.
const HUGE: [u64; 2] = [1 << 57, 1 << 63];
/// What lies beyond is not worth a search for its exact limit.
const ADDRESS_SPACE: u64 = 1 << 56;

/// Numbers smaller than `n`, smallest first: round ones, then ones ever closer to `n`.
fn smaller(n: u64) -> impl Iterator<Item = u64> {
    let huge = n > ADDRESS_SPACE;
    let round = ROUND
        .into_iter()
        .chain(HUGE.into_iter().filter(move |_| huge));
    let step = if huge { 0 } else { n / 2 };
    let steps = std::iter::successors(Some(step), |step| Some(step / 2));
    let closer = steps.take_while(|&step| step > 0).map(move |step| n - step);
    round.filter(move |&number| number < n).chain(closer)
}

/// Alignments smaller than `n`, valid if it is.
fn smaller_alignments(n: u64) -> Vec<u64> {
    if n.is_power_of_two() {
        let powers = [1, 8, 16, 64, 4096, 1 << 16, n / 4, n / 2];
        powers
            .into_iter()
            .filter(|&power| power != 0 && power < n)
            .collect()
    } else {
        [0, 3, 24]
            .into_iter()
            .filter(|&alignment| alignment < n)
            .collect()
    }
}

/// The operation or two that do about the same with a plainer call, if there is one. `live` says whether the slot
/// holds a block.
pub fn plainer(op: &Op, live: bool) -> Option<Vec<Op>> {
    let Op {
        call, slot, a, b, ..
    } = *op;
    let malloc = |size| vec![Op::new(Call::Malloc, slot, size, 0)];
    let free = Op::new(Call::Free, slot, 0, 0);
    match call {
        Call::Calloc => a.checked_mul(b).map(malloc),
        Call::Realloc if live => Some([vec![free], malloc(a)].concat()),
        Call::Realloc | Call::Valloc | Call::Pvalloc => Some(malloc(a)),
        Call::Reallocf => Some(vec![Op::new(Call::Realloc, slot, a, 0)]),
        Call::Reallocarray | Call::Recallocarray => a
            .checked_mul(b)
            .map(|size| vec![Op::new(Call::Realloc, slot, size, 0)]),
        Call::FreeSized | Call::FreeAlignedSized | Call::Freezero if slot != NO_SLOT => {
            Some(vec![free])
        }
        call if call.takes_alignment() => Some(malloc(b)),
        call if call.is_new() => Some(malloc(a)),
        // What its slot holds decides which free is the plain one: see `Program::legalise`.
        call if call.is_delete() && slot != NO_SLOT => Some(vec![free]),
        Call::Stretch => Some(vec![Op::new(Call::UsableSize, slot, 0, 0)]),
        _ => None,
    }
}

/// The operation with a smaller argument, for each argument and each number worth a try.
pub fn smaller_arguments(op: &Op) -> Vec<Op> {
    let with_a = |a| Op { a, ..*op };
    let with_b = |b| Op { b, ..*op };
    match op.call {
        Call::Bounded
        | Call::Limit
        | Call::Schedule
        | Call::Sample
        | Call::Steady
        | Call::Under => Vec::new(),
        Call::Thread => (1..op.a).map(with_a).collect(),
        Call::Repeat => smaller(op.a).filter(|&a| a > 0).map(with_a).collect(),
        // 0 cancels a failure or a displacement, and dropping the operation does as much.
        Call::FailRaw | Call::FailArena | Call::ShiftArena | Call::FailSyscall => {
            let smaller = smaller(op.a).filter(|&a| a > 0).map(with_a);
            one_for_some(op).into_iter().chain(smaller).collect()
        }
        Call::Realloc | Call::Reallocf => smaller(op.a).filter(|&a| a > 0).map(with_a).collect(),
        Call::Reallocarray | Call::Recallocarray => {
            let a = smaller(op.a).filter(|&a| a > 0).map(with_a);
            a.chain(smaller(op.b).filter(|&b| b > 0).map(with_b))
                .collect()
        }
        call if call.takes_alignment() => {
            let multiple = op.a != 0 && op.b.is_multiple_of(op.a);
            let a = smaller_alignments(op.a).into_iter();
            let a = a
                .filter(|&a| op.call != Call::PosixMemalign || op.a < 8 || a >= 8)
                .map(with_a);
            let b = smaller(op.b)
                .filter(|b| !multiple || b.is_multiple_of(op.a))
                .map(with_b);
            a.chain(b).collect()
        }
        _ => smaller(op.a)
            .map(with_a)
            .chain(smaller(op.b).map(with_b))
            .collect(),
    }
}

/// Of system calls that fail at random, a single one that fails: usually only one of them matters.
fn one_for_some(op: &Op) -> Vec<Op> {
    const TRIED: u64 = 8;
    let Some(failing) = Failing::of(op).filter(|failing| failing.which == Which::Some) else {
        return Vec::new();
    };
    let only = |number| Failing {
        which: Which::Nth,
        number,
        ..failing
    };
    (1..=TRIED).map(|number| only(number).op()).collect()
}

/// The operation asking for at most `limit` bytes, if it asks for more and can be made to ask for less.
pub fn at_most(op: &Op, limit: u64) -> Option<Op> {
    match op.call {
        Call::Malloc | Call::Realloc | Call::Reallocf | Call::Valloc | Call::Pvalloc
            if op.a > limit =>
        {
            Some(Op { a: limit, ..*op })
        }
        call if call.is_new() && !call.takes_alignment() && op.a > limit => {
            Some(Op { a: limit, ..*op })
        }
        call if call.takes_alignment() && op.b > limit => {
            let multiple = op.a != 0 && op.b.is_multiple_of(op.a);
            let limit = if multiple { limit / op.a * op.a } else { limit };
            Some(Op { b: limit, ..*op })
        }
        call if call.takes_count() && op.a > 1 && op.size().is_none_or(|size| size > limit) => {
            Some(Op {
                a: 1,
                b: op.b.min(limit),
                ..*op
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_shrink_to_round_ones_and_then_by_halves() {
        let of_100: Vec<u64> = smaller(100).collect();
        assert_eq!(of_100, [0, 1, 8, 16, 32, 64, 50, 75, 88, 94, 97, 99]);
        assert_eq!(smaller(0).count(), 0);
        assert_eq!(smaller(u64::MAX).last(), Some(1 << 63));
        assert_eq!(smaller((1 << 57) + 1).last(), Some(1 << 57));
    }

    #[test]
    fn what_is_defined_stays_defined() {
        let aligned = Op::new(Call::AlignedAlloc, 0, 64, 128);
        let realloc = Op::new(Call::Realloc, 0, 100, 0);
        let array = Op::new(Call::Reallocarray, 0, 10, 10);
        for op in smaller_arguments(&aligned)
            .iter()
            .chain(&at_most(&aligned, 100))
        {
            assert!(
                op.a.is_power_of_two() && op.b.is_multiple_of(op.a),
                "{op:?}"
            );
        }
        for op in [smaller_arguments(&realloc), smaller_arguments(&array)].concat() {
            assert_ne!(op.size(), Some(0), "{op:?}");
        }
        let pma = Op::new(Call::PosixMemalign, 0, 64, 100);
        assert!(smaller_arguments(&pma).iter().all(|op| op.a >= 8));
    }
}
