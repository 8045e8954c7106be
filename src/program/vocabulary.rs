//! What a generated program may say: which calls exist, which arguments are defined, how much may be live.

use super::legal::Checker;
use super::op::{Call, Op, Program};
use crate::pymalloc::{Edition, Geometry};

/// A set of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls(u64);

impl Calls {
    /// The set with `call` in it.
    #[must_use]
    pub const fn with(self, call: Call) -> Calls {
        Calls(self.0 | 1 << call as u8)
    }

    /// Whether `call` is in the set.
    pub const fn contains(self, call: Call) -> bool {
        self.0 >> call as u8 & 1 != 0
    }
}

impl FromIterator<Call> for Calls {
    fn from_iter<I: IntoIterator<Item = Call>>(calls: I) -> Calls {
        calls.into_iter().fold(Calls::default(), Calls::with)
    }
}

/// What is known of a subject and its profile before programs are made for it.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// The entry points that the subject has. What only the harness does needs no mention.
    pub calls: Calls,
    /// The largest sizes of the subject's size classes, ascending, as far as they were learned.
    pub boundaries: Vec<u64>,
    /// The bytes that may be live at once.
    pub max_live: u64,
    /// Whether a large calloc takes no memory before it is written, so that products of several GiB can be asked for.
    pub lazy_calloc: bool,
    /// The slots that may be live at once in a random program, at most [`MAX_SLOTS`](super::MAX_SLOTS).
    pub max_slots: u32,
    /// Whether `realloc(p, 0)` is defined.
    pub zero_realloc: bool,
    /// Whether `aligned_alloc` with an alignment that is not a power of two is defined.
    pub invalid_alignments: bool,
    /// Whether `aligned_alloc` with a size that is no multiple of the alignment is defined.
    pub nonmultiple_sizes: bool,
    /// Whether `memalign` with an alignment that is not a power of two is defined.
    pub invalid_memalign: bool,
    /// Whether the subject has hooks: its sources can be made to fail, its arenas displaced.
    pub hooked: bool,
    /// Whether several threads may call at once.
    pub threads: bool,
    /// Whether a record of the decoder may stand for many operations, so that short inputs fill arenas.
    pub bursts: bool,
    /// The numbers of its layout, if it has hooks.
    pub geometry: Geometry,
}

impl Vocabulary {
    /// Whether a program may use `call`.
    pub fn has(&self, call: Call) -> bool {
        match call {
            Call::Sweep | Call::Repeat | Call::Limit | Call::Bounded | Call::FailSyscall => true,
            Call::Sample | Call::Steady | Call::Fork | Call::Wait | Call::Under => true,
            Call::FailRaw | Call::FailArena | Call::ShiftArena => self.hooked,
            Call::Thread | Call::Join | Call::AtExit | Call::Schedule => self.threads,
            call => {
                // What cannot be deleted by the subject itself must not be made.
                let delete = call.plain_delete();
                self.calls.contains(call) && delete.is_none_or(|call| self.calls.contains(call))
            }
        }
    }

    /// Whether all that a legal program says is in the vocabulary and defined.
    pub fn permits(&self, program: &Program) -> bool {
        self.first_not_permitted(program).is_none()
    }

    /// The position of the first operation of a legal program that is not in the vocabulary, or not defined.
    pub fn first_not_permitted(&self, program: &Program) -> Option<usize> {
        let zero_realloc = |op: &Op| op.size() == Some(0) && !self.may_resize_to_nothing(op.call);
        let ops = program.ops.iter();
        let of_slots = ops.clone().any(zero_realloc);
        let mut checker = Checker::default();
        ops.enumerate().position(|(index, op)| {
            let mut resized = false;
            if of_slots {
                resized = zero_realloc(op) && checker.is_live(op.slot);
                // The program is legal; only the state of the slots is of interest.
                let _ = checker.admit(&program.ops[..index], op);
            }
            resized || !self.has(op.call) || !self.defines(op)
        })
    }

    /// Whether it is defined what the call makes of a live block and size 0. What the BSD functions do is nowhere said.
    pub(super) const fn may_resize_to_nothing(&self, call: Call) -> bool {
        match call {
            Call::Realloc | Call::Reallocarray => self.zero_realloc,
            call => !call.reallocates(),
        }
    }

    /// Whether the arguments are defined, whatever the slot holds.
    fn defines(&self, op: &Op) -> bool {
        match op.call {
            Call::AlignedAlloc if !op.a.is_power_of_two() => self.invalid_alignments,
            Call::AlignedAlloc => self.nonmultiple_sizes || op.b.is_multiple_of(op.a),
            Call::Memalign => self.invalid_memalign || op.a.is_power_of_two(),
            call if call.is_aligned_new() => op.a.is_power_of_two(),
            _ => true,
        }
    }
}

impl Default for Vocabulary {
    /// Every call, and everything that some profile defines.
    fn default() -> Vocabulary {
        Vocabulary {
            calls: Call::ALL.iter().copied().collect(),
            boundaries: Vec::new(),
            max_live: 1 << 30,
            lazy_calloc: false,
            max_slots: 1 << 16,
            zero_realloc: true,
            invalid_alignments: true,
            nonmultiple_sizes: true,
            invalid_memalign: true,
            hooked: true,
            threads: true,
            bursts: false,
            geometry: Edition::USUAL.geometry(),
        }
    }
}
