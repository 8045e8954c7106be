//! A small, correct allocator of the whole C family, and the faults that can be planted in it, one at a time.
//!
//! The faults are the mutants that prove the checks: the rule that a [`Fault`] breaks must catch it. The
//! [`Variant`]s are the other half of that proof: allocators that choose oddly wherever a rule leaves a choice, and
//! in which no rule may find anything broken.
//!
//! The allocator is laid out for that purpose. What it knows of a block lies beside the block, in tables and notes
//! that the user of a block cannot reach, so that a fault shows as what it is and not as a heap that fell over. Its
//! memory comes from the kernel page by page, so that a limit on the process is a limit on it. A fault is one
//! question, `self.has(Fault::…)`, at the point where it bites; without the questions the allocator is sound.
//!
//! It serves one thread at a time.

mod bsd;
mod classes;
mod entry;
pub(super) mod fault;
mod forking;
mod habits;
mod heap;
mod large;
mod meddling;
mod operators;
mod pool;
mod quarantine;
mod requests;
mod spans;
pub(super) mod sys;
pub(super) mod table;
#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use forking::surviving_forks;
pub use habits::constructed;
use large::Large;
use pool::Pool;
use quarantine::Quarantine;
use spans::Spans;
use std::ptr;

/// A correct way to be an allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As glibc does it: 16-byte alignment, a zero size gives a block, blocks stay where they are if they can.
    Plain,
    /// A zero size gives `NULL`; up to 8 bytes are aligned to 8; every realloc moves; freed blocks are reused late.
    Odd,
    /// One MiB and no more, packed to the byte and aligned as C23 asks at least; realloc to 0 frees.
    Pool,
}

impl Variant {
    /// Every variant.
    pub const ALL: &'static [Variant] = &[Variant::Plain, Variant::Odd, Variant::Pool];

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            Variant::Odd => "odd",
            Variant::Pool => "pool",
        }
    }

    /// The variant of this name.
    pub fn parse(name: &str) -> Option<Variant> {
        Self::ALL.iter().copied().find(|it| it.name() == name)
    }
}

/// The allocator, sound or with one fault.
pub struct Faulty {
    fault: Option<Fault>,
    variant: Variant,
    spans: Spans,
    large: Large,
    pool: Option<Pool>,
    quarantine: Option<Quarantine>,
    seen: Seen,
}

// SAFETY: it alone has what its pointers lead to, but for blocks, which are whoever's they were given to; nothing depends on
// the thread.
unsafe impl Send for Faulty {}

/// What faults wait for.
struct Seen {
    calls: u64,
    mallocs: u64,
    frees: u64,
    reallocs: u64,
    usables: u64,
    /// The small block allocated last, if it is live.
    youngest: *mut u8,
    /// The block whose usable size was asked last, if it is live.
    asked: *mut u8,
    /// Small blocks that are live, and the first of them, if it still is.
    small: usize,
    first: *mut u8,
    /// The one address of all blocks of size 0.
    sentinel: *mut u8,
    huge_failed: bool,
    mapping_failed: bool,
    alignment_refused: bool,
    locked: bool,
}

impl Faulty {
    /// The [plain](Variant::Plain) allocator with this fault, or sound.
    ///
    /// # Panics
    ///
    /// If the kernel refuses some 50 MiB of address space for its tables.
    pub fn new(fault: Option<Fault>) -> Faulty {
        Faulty::with(Variant::Plain, fault)
    }

    /// A sound allocator.
    ///
    /// # Panics
    ///
    /// As [`Faulty::new`].
    pub fn sound(variant: Variant) -> Faulty {
        Faulty::with(variant, None)
    }

    fn with(variant: Variant, fault: Option<Fault>) -> Faulty {
        if fault == Some(Fault::GoneAtExit) {
            habits::expect_exit();
        }
        if fault == Some(Fault::ChildEndCrashes) {
            habits::expect_child();
        }
        Faulty {
            fault,
            variant,
            spans: Spans::new(fault),
            large: Large::new(fault, variant == Variant::Odd),
            pool: (variant == Variant::Pool).then(Pool::new),
            quarantine: (variant == Variant::Odd).then(Quarantine::new),
            seen: Seen {
                calls: 0,
                mallocs: 0,
                frees: 0,
                reallocs: 0,
                usables: 0,
                youngest: ptr::null_mut(),
                asked: ptr::null_mut(),
                small: 0,
                first: ptr::null_mut(),
                sentinel: ptr::null_mut(),
                huge_failed: false,
                mapping_failed: false,
                alignment_refused: false,
                locked: false,
            },
        }
    }

    /// Whether this is the fault planted.
    #[inline]
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}
