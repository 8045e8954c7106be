//! What a run and whoever intercepts its system calls tell each other, and what came of it.
//!
//! Lies in the ledger, and so in memory that both see and that outlives the run. Each word has one writer at a time.

use super::Moment;
use super::ledger::Ledger;
use crate::program::{Failing, Op, Syscall};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::*};

/// How interception stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Standing {
    /// Nobody intercepts anything.
    Absent,
    /// System calls pass through another process.
    Works,
    /// The kernel does not allow it.
    Refused,
}

/// The system calls of one run, or of many.
#[repr(C)]
pub struct Interception {
    standing: AtomicU32,
    /// The thread whose system calls may fail.
    thread: AtomicI32,
    /// The words of the operation in force; a number of 0 lets all pass.
    number: AtomicU64,
    which: AtomicU64,
    /// System calls counted since that operation.
    ordinal: AtomicU64,
    /// Where the data segment ends.
    end_of_data: AtomicU64,
    seen: AtomicU64,
    failed: AtomicU64,
    /// Calls in which one failed: those that failed in turn, and those that did without.
    gave_up: AtomicU64,
    did_without: AtomicU64,
    /// Runs in which the kernel did not allow it.
    refusals: AtomicU64,
}

impl Interception {
    /// Nothing intercepted.
    pub const fn new() -> Interception {
        Interception {
            standing: AtomicU32::new(Standing::Absent as u32),
            thread: AtomicI32::new(0),
            number: AtomicU64::new(0),
            which: AtomicU64::new(0),
            ordinal: AtomicU64::new(0),
            end_of_data: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            gave_up: AtomicU64::new(0),
            did_without: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        match self.standing.load(Acquire) {
            1 => Standing::Works,
            2 => Standing::Refused,
            _ => Standing::Absent,
        }
    }

    /// Says how it stands, and whose system calls it is about.
    pub fn stand(&self, standing: Standing, thread: i32) {
        self.thread.store(thread, Relaxed);
        let refused = u64::from(standing == Standing::Refused);
        self.refusals.fetch_add(refused, Relaxed);
        self.standing.store(standing as u32, Release);
    }

    /// Puts what an operation says in force. The data segment ends at `end_of_data`.
    pub fn arm(&self, op: &Op, end_of_data: u64) {
        self.number.store(op.a, Relaxed);
        self.which.store(op.b, Relaxed);
        self.end_of_data.store(end_of_data, Relaxed);
        self.ordinal.store(0, Release);
    }

    /// The interceptor's side: whether this system call of `thread`, which asks for the data segment to end at `end`
    /// if that is what it is about, is to fail.
    pub fn is_to_fail(&self, ledger: &Ledger, thread: i32, syscall: Syscall, end: u64) -> bool {
        let in_call = ledger.position().1 == Moment::Call;
        if thread != self.thread.load(Relaxed) || !in_call {
            return false;
        }
        let before = self.end_of_data.load(Relaxed);
        if syscall == Syscall::Brk && end <= before {
            // An end of 0 only asks where it is.
            if end != 0 {
                self.end_of_data.store(end, Relaxed);
            }
            return false;
        }
        let op = Op {
            a: self.number.load(Relaxed),
            b: self.which.load(Relaxed),
            ..Failing::none()
        };
        let counted = Failing::of(&op)
            .filter(|failing| failing.syscall == syscall || failing.syscall == Syscall::Any);
        let fails = counted.is_some_and(|failing| {
            self.seen.fetch_add(1, Relaxed);
            failing.fails(self.ordinal.fetch_add(1, Relaxed) + 1)
        });
        if fails {
            self.failed.fetch_add(1, Release);
        } else if syscall == Syscall::Brk {
            self.end_of_data.store(end, Relaxed);
        }
        fails
    }

    /// Where the data segment ends: what `brk` returns when it fails.
    pub fn end_of_data(&self) -> u64 {
        self.end_of_data.load(Relaxed)
    }

    /// Notes that a call in which system calls failed gave up, or did without them.
    pub fn note(&self, gave_up: bool) {
        let word = if gave_up {
            &self.gave_up
        } else {
            &self.did_without
        };
        word.store(word.load(Relaxed) + 1, Relaxed);
    }

    /// System calls that might have been made to fail.
    pub fn seen(&self) -> u64 {
        self.seen.load(Relaxed)
    }

    /// System calls made to fail.
    pub fn failed(&self) -> u64 {
        self.failed.load(Acquire)
    }

    /// Calls in which system calls failed: how many gave up, and how many did without them.
    pub fn outcomes(&self) -> (u64, u64) {
        (self.gave_up.load(Relaxed), self.did_without.load(Relaxed))
    }

    /// Runs in which the kernel did not allow interception.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Relaxed)
    }

    /// Adds what another counted.
    pub(super) fn absorb(&self, other: &Interception) {
        for (mine, theirs) in self.counters().into_iter().zip(other.counters()) {
            mine.fetch_add(theirs.load(Relaxed), Relaxed);
        }
    }

    /// Forgets everything.
    pub(super) fn reset(&self) {
        for counter in self.counters() {
            counter.store(0, Relaxed);
        }
        self.arm(&Failing::none(), 0);
        self.stand(Standing::Absent, 0);
    }

    fn counters(&self) -> [&AtomicU64; 5] {
        [
            &self.seen,
            &self.failed,
            &self.gave_up,
            &self.did_without,
            &self.refusals,
        ]
    }
}

impl Default for Interception {
    fn default() -> Interception {
        Interception::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Which;

    const THREAD: i32 = 77;

    fn armed(syscall: Syscall, number: u64) -> Ledger {
        let ledger = Ledger::new();
        let failing = Failing {
            syscall,
            which: Which::Nth,
            number,
        };
        ledger.interception().stand(Standing::Works, THREAD);
        ledger.interception().arm(&failing.op(), 0x1000);
        ledger.enter(Moment::Call);
        ledger
    }

    fn asks(ledger: &Ledger, thread: i32, syscall: Syscall, end: u64) -> bool {
        ledger
            .interception()
            .is_to_fail(ledger, thread, syscall, end)
    }

    #[test]
    fn only_the_calls_of_the_subject_are_counted() {
        let ledger = armed(Syscall::Mmap, 2);
        assert!(!asks(&ledger, THREAD, Syscall::Mmap, 0));
        ledger.enter(Moment::Touch);
        assert!(!asks(&ledger, THREAD, Syscall::Mmap, 0));
        ledger.enter(Moment::Call);
        assert!(!asks(&ledger, THREAD + 1, Syscall::Mmap, 0));
        assert!(!asks(&ledger, THREAD, Syscall::Munmap, 0));
        assert!(asks(&ledger, THREAD, Syscall::Mmap, 0));
        assert!(!asks(&ledger, THREAD, Syscall::Mmap, 0));
        assert_eq!(ledger.interception().failed(), 1);
        assert_eq!(ledger.interception().seen(), 3);
    }

    #[test]
    fn a_data_segment_that_does_not_grow_ends_where_it_did() {
        let ledger = armed(Syscall::Any, 2);
        assert!(!asks(&ledger, THREAD, Syscall::Brk, 0x3000));
        assert!(!asks(&ledger, THREAD, Syscall::Brk, 0x2000), "shrinks");
        assert!(!asks(&ledger, THREAD, Syscall::Brk, 0), "asks where it is");
        assert!(asks(&ledger, THREAD, Syscall::Brk, 0x4000));
        assert_eq!(ledger.interception().end_of_data(), 0x2000);
    }
}
