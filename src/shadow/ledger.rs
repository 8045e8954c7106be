//! What a run of programs leaves behind for its supervisor: counters, choices seen, and where it is now.
//!
//! A ledger lies in memory shared with the supervisor and outlives the process that writes it. One thread writes, each its
//! own; words are atomic so that the other side may look at any time, and nothing in it is a pointer.

use super::{Interception, Moment};
use crate::spec::RuleId;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering::Relaxed};

/// A choice that the documents leave to the implementation, as seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each says which call gave what")]
pub enum Choice {
    MallocZeroNull,
    MallocZeroPointer,
    MallocZeroErrnoSet,
    MallocZeroErrnoKept,
    CallocZeroNull,
    CallocZeroPointer,
    AlignedZeroNull,
    AlignedZeroPointer,
    PmaZeroNull,
    PmaZeroPointer,
    PmaZeroError,
    ReallocNullZeroNull,
    ReallocNullZeroPointer,
    ReallocZeroNull,
    ReallocZeroPointer,
    ReallocZeroErrnoSet,
    ReallocZeroErrnoKept,
    ReallocZeroFreed,
    MemalignInvalidNull,
    MemalignInvalidRounded,
    MemalignInvalidPointer,
    PmaErrnoSet,
    PmaErrnoKept,
    PmaEinvalErrnoSet,
    PmaEinvalErrnoKept,
    ForkRefused,
    ThreadsRefused,
    StackRefused,
    CancellationRefused,
    NoProcRefused,
    ExitRefused,
    HandlerRefused,
    SpawnsRefused,
    ConstructorRefused,
    ThreadNotCreated,
}

/// The record of a run.
#[repr(C)]
pub struct Ledger {
    checks: [AtomicU64; RuleId::ALL.len()],
    choices: AtomicU64,
    largest_alignment: AtomicU64,
    refused_alignment: AtomicU64,
    ops: AtomicU64,
    op_index: AtomicU64,
    block_address: AtomicU64,
    block_size: AtomicU64,
    /// A child of the process at work that works in its place.
    child: AtomicU64,
    moment: AtomicU8,
    /// The position of the fork that the process is in, plus 1; 0 if it is in none. The child writes what else there is.
    fork: AtomicU64,
    /// The thread that writes, by the kernel's number; 0 if none has said so.
    thread: AtomicI32,
    interception: Interception,
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Ledger {
        Ledger {
            checks: [const { AtomicU64::new(0) }; RuleId::ALL.len()],
            choices: AtomicU64::new(0),
            largest_alignment: AtomicU64::new(0),
            refused_alignment: AtomicU64::new(u64::MAX),
            ops: AtomicU64::new(0),
            op_index: AtomicU64::new(0),
            block_address: AtomicU64::new(0),
            block_size: AtomicU64::new(0),
            child: AtomicU64::new(0),
            moment: AtomicU8::new(0),
            fork: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            interception: Interception::new(),
        }
    }

    /// Counts one exercise of a rule. Not a read-modify-write: one thread writes.
    #[inline]
    pub fn count(&self, rule: RuleId) {
        let counter = &self.checks[rule.index()];
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }

    /// Counts exercises of a rule; for ledgers that several threads add to.
    pub fn add(&self, rule: RuleId, checks: u64) {
        self.checks[rule.index()].fetch_add(checks, Relaxed);
    }

    /// How often a rule was exercised.
    pub fn checks(&self, rule: RuleId) -> u64 {
        self.checks[rule.index()].load(Relaxed)
    }

    /// Notes a choice.
    pub fn note(&self, choice: Choice) {
        self.choices
            .store(self.choices.load(Relaxed) | 1 << choice as u8, Relaxed);
    }

    /// Whether a choice was seen.
    pub fn noted(&self, choice: Choice) -> bool {
        self.choices.load(Relaxed) >> choice as u8 & 1 == 1
    }

    /// Notes an alignment that `aligned_alloc` gave a block for, or refused.
    pub fn note_alignment(&self, alignment: u64, given: bool) {
        if given {
            self.largest_alignment
                .store(alignment.max(self.largest_alignment()), Relaxed);
        } else {
            let refused = self.refused_alignment.load(Relaxed).min(alignment);
            self.refused_alignment.store(refused, Relaxed);
        }
    }

    /// The largest alignment that `aligned_alloc` gave a block for; 0 if none was tried.
    pub fn largest_alignment(&self) -> u64 {
        self.largest_alignment.load(Relaxed)
    }

    /// The smallest alignment that `aligned_alloc` refused, if it refused one.
    pub fn refused_alignment(&self) -> Option<u64> {
        Some(self.refused_alignment.load(Relaxed)).filter(|&alignment| alignment != u64::MAX)
    }

    /// Says that an operation begins.
    #[inline]
    pub fn begin(&self, op_index: usize) {
        self.ops.store(self.ops.load(Relaxed) + 1, Relaxed);
        self.op_index.store(op_index as u64, Relaxed);
    }

    /// Says what happens next.
    #[inline]
    pub fn enter(&self, moment: Moment) {
        self.moment.store(moment as u8, Relaxed);
    }

    /// Says that the process forks at this position.
    pub fn begin_fork(&self, op_index: usize) {
        self.enter(Moment::Born);
        self.fork.store(op_index as u64 + 1, Relaxed);
    }

    /// Says that `fork` has returned in the parent.
    pub fn end_fork(&self) {
        self.fork.store(0, Relaxed);
    }

    /// Says which block is about to be resized.
    #[inline]
    pub fn resizing(&self, address: u64, size: u64) {
        self.block_address.store(address, Relaxed);
        self.block_size.store(size, Relaxed);
    }

    /// Says which child works in the place of the process, 0 if none does.
    pub fn hand_to(&self, child: i32) {
        self.child.store(child.unsigned_abs().into(), Relaxed);
    }

    /// The child that works in the place of the process, 0 if none does.
    pub fn child(&self) -> i32 {
        i32::try_from(self.child.load(Relaxed)).unwrap_or(0)
    }

    /// Says that the calling thread is the one that writes.
    pub fn attend(&self) {
        // SAFETY: has no preconditions.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        self.thread.store(thread as i32, Relaxed);
    }

    /// The thread that writes, by the kernel's number, if it has said so.
    pub fn thread(&self) -> Option<i32> {
        Some(self.thread.load(Relaxed)).filter(|&thread| thread != 0)
    }

    /// Operations begun.
    pub fn ops(&self) -> u64 {
        self.ops.load(Relaxed)
    }

    /// Where the run is: the position of the operation in its program, and the moment in it.
    pub fn position(&self) -> (usize, Moment) {
        if let Some(at) = self.fork.load(Relaxed).checked_sub(1) {
            return (at as usize, Moment::Fork);
        }
        (
            self.op_index.load(Relaxed) as usize,
            Moment::from_u8(self.moment.load(Relaxed)),
        )
    }

    /// The address and size of the block last resized.
    pub fn resized(&self) -> (u64, u64) {
        (
            self.block_address.load(Relaxed),
            self.block_size.load(Relaxed),
        )
    }

    /// The system calls that fail on purpose.
    pub fn interception(&self) -> &Interception {
        &self.interception
    }

    /// Adds what another ledger counted and noted.
    pub fn absorb(&self, other: &Ledger) {
        for (mine, theirs) in self.checks.iter().zip(&other.checks) {
            mine.fetch_add(theirs.load(Relaxed), Relaxed);
        }
        self.choices.fetch_or(other.choices.load(Relaxed), Relaxed);
        self.largest_alignment
            .fetch_max(other.largest_alignment(), Relaxed);
        self.refused_alignment
            .fetch_min(other.refused_alignment.load(Relaxed), Relaxed);
        self.ops.fetch_add(other.ops(), Relaxed);
        self.interception.absorb(&other.interception);
    }

    /// Forgets everything.
    pub fn reset(&self) {
        for counter in &self.checks {
            counter.store(0, Relaxed);
        }
        for word in [
            &self.choices,
            &self.largest_alignment,
            &self.ops,
            &self.op_index,
            &self.child,
            &self.fork,
        ] {
            word.store(0, Relaxed);
        }
        self.refused_alignment.store(u64::MAX, Relaxed);
        self.resizing(0, 0);
        self.enter(Moment::Idle);
        self.thread.store(0, Relaxed);
        self.interception.reset();
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::new()
    }
}
