//! How big a program is, so that shrinking is known to end.

use crate::program::op::{Call, NO_SLOT, Program};

/// The size of a program. Shrinking lowers it at every step, and there is no endless descent: it is compared as a
/// tuple of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measure {
    /// The operations, each counted by how plain its call is.
    weight: u64,
    /// The sum of all arguments.
    arguments: u128,
    /// The sum of all slot numbers.
    slots: u64,
}

/// How far a call is from the plainest that could stand for it. A `realloc` weighs more than the `free` and the
/// `malloc` that may replace it.
const fn weight(call: Call) -> u64 {
    match call {
        Call::Reallocarray | Call::Reallocf | Call::Recallocarray => 5,
        Call::Realloc | Call::AlignedAlloc | Call::PosixMemalign | Call::Pvalloc => 4,
        Call::Calloc | Call::Memalign | Call::Valloc => 3,
        Call::Malloc | Call::FreeSized | Call::FreeAlignedSized | Call::Freezero => 2,
        Call::Stretch => 2,
        // More than the function of C that may replace it, and the plain form less than the others.
        Call::New | Call::NewArray | Call::NewNothrow | Call::NewArrayNothrow => 4,
        _ if call.is_new() => 5,
        _ => match call.operator() {
            Some(delete) => 2 + delete.sized as u64 + delete.nothrow as u64,
            None => 1,
        },
    }
}

impl Program {
    /// The size of the program, for shrinking.
    pub fn measure(&self) -> Measure {
        let mut measure = Measure {
            weight: 0,
            arguments: 0,
            slots: 0,
        };
        for op in &self.ops {
            measure.weight += weight(op.call);
            measure.arguments += u128::from(op.a) + u128::from(op.b);
            if op.slot != NO_SLOT {
                measure.slots += u64::from(op.slot);
            }
        }
        measure
    }
}
