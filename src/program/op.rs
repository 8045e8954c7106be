//! One operation, and a list of them.
//!
//! Operations name blocks by slot, never by address, so that a program means the same to every allocator. They are
//! plain words of fixed size: a program of a million of them is written into memory shared with a worker as it is.

use super::operator::SYMBOLS;
use crate::spec::RuleId;

/// The place a block is kept in, from 0.
pub type Slot = u32;

/// The slot of an operation that names none: `free null`, `usable null`, `trim 0`.
pub const NO_SLOT: Slot = u32::MAX;

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What an operation calls, or asks of the harness.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Call { $($(#[$doc])* $name,)* }

        impl Call {
            /// Every call.
            pub const ALL: &'static [Call] = &[$(Call::$name,)*];

            /// The word used in traces; for an entry point, its C name unless that is long.
            pub const fn as_str(self) -> &'static str {
                match self { $(Call::$name => $text,)* }
            }
        }
    };
}

calls! {
    /// `malloc(a)`.
    Malloc = "malloc",
    /// `calloc(a, b)`.
    Calloc = "calloc",
    /// `realloc(slot, a)`; of an empty slot, `realloc(NULL, a)`.
    Realloc = "realloc",
    /// `reallocarray(slot, a, b)`; of an empty slot, `reallocarray(NULL, a, b)`.
    Reallocarray = "reallocarray",
    /// `reallocf(slot, a)`; of an empty slot, `reallocf(NULL, a)`.
    Reallocf = "reallocf",
    /// `recallocarray(slot, its count, a, b)`; of an empty slot, `recallocarray(NULL, 0, a, b)`.
    Recallocarray = "recallocarray",
    /// `free(slot)`; without a slot, `free(NULL)`.
    Free = "free",
    /// `free_sized(slot, its size)`; without a slot, `free_sized(NULL, a)`.
    FreeSized = "free_sized",
    /// `free_aligned_sized(slot, its alignment, its size)`; without a slot, `free_aligned_sized(NULL, a, b)`.
    FreeAlignedSized = "free_aligned_sized",
    /// `freezero(slot, its size)`; without a slot, `freezero(NULL, a)`.
    Freezero = "freezero",
    /// `aligned_alloc(a, b)`: alignment, size.
    AlignedAlloc = "aligned_alloc",
    /// `posix_memalign(&slot, a, b)`: alignment, size.
    PosixMemalign = "posix_memalign",
    /// `memalign(a, b)`: alignment, size.
    Memalign = "memalign",
    /// `valloc(a)`.
    Valloc = "valloc",
    /// `pvalloc(a)`.
    Pvalloc = "pvalloc",
    /// `operator new(a)`.
    New = "new",
    /// `operator new[](a)`.
    NewArray = "new[]",
    /// `operator new(a, std::nothrow)`.
    NewNothrow = "new_nothrow",
    /// `operator new[](a, std::nothrow)`.
    NewArrayNothrow = "new[]_nothrow",
    /// `operator new(b, std::align_val_t(a))`: alignment, size.
    NewAligned = "new_aligned",
    /// `operator new[](b, std::align_val_t(a))`: alignment, size.
    NewArrayAligned = "new[]_aligned",
    /// `operator new(b, std::align_val_t(a), std::nothrow)`: alignment, size.
    NewAlignedNothrow = "new_aligned_nothrow",
    /// `operator new[](b, std::align_val_t(a), std::nothrow)`: alignment, size.
    NewArrayAlignedNothrow = "new[]_aligned_nothrow",
    /// `operator delete(slot)`; without a slot, of a null pointer, as all that follow.
    Delete = "delete",
    /// `operator delete[](slot)`.
    DeleteArray = "delete[]",
    /// `operator delete(slot, its size)`; without a slot, the size is `a`.
    DeleteSized = "delete_sized",
    /// `operator delete[](slot, its size)`; without a slot, the size is `a`.
    DeleteArraySized = "delete[]_sized",
    /// `operator delete(slot, std::nothrow)`.
    DeleteNothrow = "delete_nothrow",
    /// `operator delete[](slot, std::nothrow)`.
    DeleteArrayNothrow = "delete[]_nothrow",
    /// `operator delete(slot, its alignment)`; without a slot, the alignment is `a`.
    DeleteAligned = "delete_aligned",
    /// `operator delete[](slot, its alignment)`; without a slot, the alignment is `a`.
    DeleteArrayAligned = "delete[]_aligned",
    /// `operator delete(slot, its size, its alignment)`; without a slot, the alignment is `a`, the size `b`.
    DeleteSizedAligned = "delete_sized_aligned",
    /// `operator delete[](slot, its size, its alignment)`; without a slot, the alignment is `a`, the size `b`.
    DeleteArraySizedAligned = "delete[]_sized_aligned",
    /// `operator delete(slot, its alignment, std::nothrow)`; without a slot, the alignment is `a`.
    DeleteAlignedNothrow = "delete_aligned_nothrow",
    /// `operator delete[](slot, its alignment, std::nothrow)`; without a slot, the alignment is `a`.
    DeleteArrayAlignedNothrow = "delete[]_aligned_nothrow",
    /// `malloc_usable_size(slot)`; without a slot, `malloc_usable_size(NULL)`.
    UsableSize = "usable",
    /// `malloc_trim(a)`.
    Trim = "trim",
    /// Asks the usable size of the slot and writes all of it; later checks include those bytes until the block is
    /// reallocated or freed.
    Stretch = "stretch",
    /// Verifies the contents of every live block.
    Sweep = "sweep",
    /// Repeats the `b` operations before this one `a` more times. Repetitions do not nest.
    Repeat = "repeat",
    /// Lets the process map at most `a` more bytes (RLIMIT_AS) from here on; 0 lifts the limit.
    Limit = "limit",
    /// The process must not have grown by more than `a` resident bytes since the program began. A broken bound is blamed
    /// on `free`; one that is expected `as before` on the program's rule, if the bound before it held.
    Bounded = "bounded",
    /// Fails the `a`th raw request from here on, and only it (subjects with hooks); 0 cancels.
    FailRaw = "fail raw",
    /// Fails the `a`th arena request from here on, and only it (subjects with hooks); 0 cancels.
    FailArena = "fail arena",
    /// Displaces the base of arenas obtained from here on by `a` bytes (subjects with hooks); 0 restores alignment.
    ShiftArena = "shift arena",
    /// From here on system calls that the subject makes inside its own calls fail, those that [`Failing`] reads out of
    /// `a` and `b`; with `a` of 0 none.
    ///
    /// [`Failing`]: super::Failing
    FailSyscall = "fail syscall",
    /// Measures the process every `a`th time that it is passed, the first included.
    Sample = "sample",
    /// What the measurements so far come to must not grow on and on, by more than `a` bytes from part to part.
    Steady = "steady",
    /// The operations up to `wait` are made by a child of the process, to which the parent then returns.
    Fork = "fork",
    /// The end of what a child does. The parent, which has waited for it, goes on with the blocks it had.
    Wait = "wait",
    /// From here on the circumstances are other: those that [`Under`] reads out of `a` and `b`.
    ///
    /// [`Under`]: super::Under
    Under = "under",
    /// The operations after it are those of thread `a`, from 1 to [`MAX_THREADS`](super::MAX_THREADS).
    Thread = "thread",
    /// Waits until the threads have ended; the operations after it are the main thread's.
    Join = "join",
    /// The operations of the thread after it are made by a destructor of thread-specific data, when the thread ends.
    AtExit = "at exit",
    /// How threads are let run from here on, which [`Schedule`] reads out of `a` and `b`.
    ///
    /// [`Schedule`]: super::Schedule
    Schedule = "schedule",
}

impl Call {
    /// The C function behind the call, or `None` for what only the harness does.
    #[inline]
    pub const fn entry_point(self) -> Option<&'static str> {
        match self {
            Call::UsableSize | Call::Stretch => Some("malloc_usable_size"),
            Call::Trim => Some("malloc_trim"),
            Call::Sweep
            | Call::Repeat
            | Call::Limit
            | Call::Bounded
            | Call::FailRaw
            | Call::FailArena
            | Call::ShiftArena
            | Call::FailSyscall
            | Call::Sample
            | Call::Steady
            | Call::Fork
            | Call::Wait
            | Call::Under
            | Call::Thread
            | Call::Join
            | Call::AtExit
            | Call::Schedule => None,
            other => match other.form() {
                Some(form) => Some(SYMBOLS[form]),
                None => Some(other.as_str()),
            },
        }
    }

    /// Whether there is a C function behind the call: what only the harness does comes last.
    #[inline]
    pub const fn is_entry_point(self) -> bool {
        (self as u8) < Call::Sweep as u8
    }

    /// Whether what comes after is done under other circumstances, or in a child.
    pub const fn is_circumstance(self) -> bool {
        matches!(self, Call::Under | Call::Fork)
    }

    /// The call of this number.
    pub fn from_u8(value: u8) -> Option<Call> {
        Self::ALL.get(usize::from(value)).copied()
    }

    /// Whether the call makes a new block in an empty slot.
    #[inline]
    pub const fn allocates(self) -> bool {
        matches!(
            self,
            Call::Malloc
                | Call::Calloc
                | Call::AlignedAlloc
                | Call::PosixMemalign
                | Call::Memalign
                | Call::Valloc
                | Call::Pvalloc
        ) || self.is_new()
    }

    /// Whether the call resizes the block in its slot.
    #[inline]
    pub const fn reallocates(self) -> bool {
        matches!(
            self,
            Call::Realloc | Call::Reallocarray | Call::Reallocf | Call::Recallocarray
        )
    }

    /// Whether the call releases the block in its slot.
    #[inline]
    pub const fn frees(self) -> bool {
        matches!(
            self,
            Call::Free | Call::FreeSized | Call::FreeAlignedSized | Call::Freezero
        ) || self.is_delete()
    }

    /// The arguments that a call which frees is told beside a null pointer.
    pub const fn told_of_null(self) -> usize {
        match (self, self.operator()) {
            (Call::FreeSized | Call::Freezero, _) => 1,
            (Call::FreeAlignedSized, _) => 2,
            (_, Some(form)) => form.sized as usize + form.aligned as usize,
            _ => 0,
        }
    }

    /// Whether the call makes or resizes an array: the first argument is a count and the second a size.
    #[inline]
    pub const fn takes_count(self) -> bool {
        matches!(
            self,
            Call::Calloc | Call::Reallocarray | Call::Recallocarray
        )
    }

    /// Whether the first argument is an alignment and the second the size.
    #[inline]
    pub const fn takes_alignment(self) -> bool {
        matches!(
            self,
            Call::AlignedAlloc | Call::PosixMemalign | Call::Memalign
        ) || self.is_aligned_new()
    }
}

// `is_entry_point` is asked of every operation, and goes by the order alone.
const _: () = {
    let mut number = 0;
    while number < Call::ALL.len() {
        let call = Call::ALL[number];
        assert!(call.is_entry_point() == call.entry_point().is_some());
        number += 1;
    }
};

/// What a program says must come of an operation, beyond what the rules say of every operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Expect {
    /// Nothing more.
    #[default]
    Any,
    /// `NULL`, or an error number.
    Null,
    /// A block.
    Pointer,
    /// A block if the allocation before it in the program gave one.
    AsBefore,
    /// A block if the same call with the same arguments gave one when it was last made without a limit.
    AsEarlier,
    /// A block if the same program gives one here when nothing is limited in it and no system call fails.
    AsUnhindered,
    /// The address the slot had before the call.
    SamePointer,
    /// Another address than the slot had before the call.
    OtherPointer,
}

impl Expect {
    /// Every expectation.
    pub const ALL: &'static [Expect] = &[
        Expect::Any,
        Expect::Null,
        Expect::Pointer,
        Expect::AsBefore,
        Expect::AsEarlier,
        Expect::AsUnhindered,
        Expect::SamePointer,
        Expect::OtherPointer,
    ];

    /// The words used in traces after `expect`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Expect::Any => "any",
            Expect::Null => "NULL",
            Expect::Pointer => "pointer",
            Expect::AsBefore => "as before",
            Expect::AsEarlier => "as earlier",
            Expect::AsUnhindered => "as unhindered",
            Expect::SamePointer => "same pointer",
            Expect::OtherPointer => "other pointer",
        }
    }

    /// The expectation of this number.
    pub fn from_u8(value: u8) -> Option<Expect> {
        Self::ALL.get(usize::from(value)).copied()
    }
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// What to call.
    pub call: Call,
    /// What the program expects of it.
    pub expect: Expect,
    /// The slot it works on, or [`NO_SLOT`].
    pub slot: Slot,
    /// The first argument, as [`Call`] says.
    pub a: u64,
    /// The second argument, as [`Call`] says; 0 where there is none.
    pub b: u64,
}

impl Op {
    /// An operation without an expectation.
    pub const fn new(call: Call, slot: Slot, a: u64, b: u64) -> Op {
        Op {
            call,
            expect: Expect::Any,
            slot,
            a,
            b,
        }
    }

    /// The same operation with an expectation.
    pub const fn expecting(self, expect: Expect) -> Op {
        Op { expect, ..self }
    }

    /// The same free of a null pointer, told `number` wherever it is told anything.
    #[must_use]
    pub const fn with_arguments_of_null(self, number: u64) -> Op {
        let told = self.call.told_of_null();
        Op {
            a: if told > 0 { number } else { 0 },
            b: if told > 1 { number } else { 0 },
            ..self
        }
    }

    /// Whether the other operation makes the same request: the call and its arguments, whatever the slot.
    pub fn asks_the_same(&self, other: &Op) -> bool {
        (self.call, self.a, self.b) == (other.call, other.a, other.b)
    }

    /// The bytes asked for, or `None` if the product overflows or the call asks for none.
    #[inline]
    pub fn size(&self) -> Option<u64> {
        match self.call {
            Call::Malloc | Call::Realloc | Call::Reallocf | Call::Valloc | Call::Pvalloc => {
                Some(self.a)
            }
            call if call.takes_count() => self.a.checked_mul(self.b),
            call if call.takes_alignment() => Some(self.b),
            call if call.is_new() => Some(self.a),
            _ => None,
        }
    }

    /// The old count, the new count and the size that `recallocarray` is told of a block of `old` bytes: those of the
    /// operation where the block is a whole number of elements, and others that come to the same where it is not.
    pub fn recallocarray_arguments(&self, old: u64) -> (u64, u64, u64) {
        let Op { a, b, .. } = *self;
        match (old.checked_rem(b), a.checked_mul(b)) {
            (Some(0), _) => (old / b, a, b),
            (_, Some(size)) => (old, size, 1),
            (_, None) if old > 1 => (1, u64::MAX, old),
            (_, None) => (old, u64::MAX, 1),
        }
    }
}

/// A list of operations, and the rule it was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The rule that a broken expectation or bound of the program breaks; `None` for a random program.
    pub rule: Option<RuleId>,
    /// The operations in order.
    pub ops: Vec<Op>,
}

impl Program {
    /// The bytes that may still be mapped, as the last `limit` before the operation at `index` has it.
    pub fn limit_at(&self, index: usize) -> Option<u64> {
        let upto = self.ops.iter().take(index + 1);
        let mut limits = upto.filter(|op| op.call == Call::Limit);
        limits
            .next_back()
            .map(|op| op.a)
            .filter(|&bytes| bytes != 0)
    }

    /// Whether memory is short during the operation at `index`: limited, or refused by system calls that fail.
    pub fn is_short_at(&self, index: usize) -> bool {
        let in_force = |call| {
            let mut ops = self.ops.iter().take(index + 1);
            ops.rfind(|op| op.call == call).is_some_and(|op| op.a != 0)
        };
        in_force(Call::Limit) || in_force(Call::FailSyscall)
    }

    /// Whether the program makes this call.
    pub fn makes(&self, call: Call) -> bool {
        self.ops.iter().any(|op| op.call == call)
    }

    /// The calls the program makes, each once, in the order of [`Call::ALL`].
    pub fn calls(&self) -> impl Iterator<Item = Call> {
        let mut made = [false; Call::ALL.len()];
        for op in &self.ops {
            made[op.call as usize] = true;
        }
        Call::ALL
            .iter()
            .copied()
            .filter(move |&call| made[call as usize])
    }

    /// The operations that a run to the end carries out, repetitions counted out.
    pub fn steps(&self) -> u64 {
        let repeated = |op: &Op| match op.call {
            Call::Repeat => op.a.saturating_mul(op.b),
            _ => 1,
        };
        self.ops.iter().map(repeated).fold(0, u64::saturating_add)
    }

    /// How much a run to the end takes, roughly: an operation counts 1, and a page of a block that it makes or resizes as
    /// much again, and a child some thousands; all of it several times where others work beside it.
    pub fn cost(&self) -> u64 {
        const PAGE: u64 = 4096;
        /// So many pages of one block are touched at most.
        const TOUCHED: u64 = 1024;
        /// Of so many bytes nobody has any.
        const IMPOSSIBLE: u64 = 1 << 47;
        /// What a child costs.
        const FORKING: u64 = 2000;
        /// What it costs to have one more thread beside it.
        const BESIDE: u64 = 2;
        let mut costs = Vec::with_capacity(self.ops.len());
        // Nor of more than may be mapped.
        let mut limit = IMPOSSIBLE;
        for (index, op) in self.ops.iter().enumerate() {
            if op.call == Call::Limit {
                limit = Some(op.a).filter(|&a| a != 0).unwrap_or(IMPOSSIBLE);
            }
            let size = op.size().filter(|&size| size < limit.min(IMPOSSIBLE));
            let pages = size.map_or(0, |size| size / PAGE).min(TOUCHED);
            costs.push(match op.call {
                Call::Fork => FORKING,
                Call::Repeat => {
                    let start = index.saturating_sub(op.b as usize);
                    let once: u64 = costs[start..].iter().sum();
                    once.saturating_mul(op.a)
                }
                _ => 1 + pages,
            });
        }
        let once = costs.into_iter().fold(0, u64::saturating_add);
        once.saturating_mul((BESIDE * self.others()).max(1))
    }

    /// The number of slots a run needs: one more than the highest the program names.
    pub fn slots(&self) -> usize {
        self.ops
            .iter()
            .filter(|op| op.slot != NO_SLOT)
            .map(|op| op.slot as usize + 1)
            .max()
            .unwrap_or(0)
    }
}
