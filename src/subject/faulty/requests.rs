//! What several entry points share: answers, zero sizes, and the ways to resize and free.

use super::heap::{MAX_REQUEST, MODEST};
use super::meddling::HEADER;
use super::sys::{self, crash, set_errno};
use super::{Fault, Faulty, Variant, habits};
use libc::{EINVAL, ENOMEM};
use std::ptr;

/// The functions whose blocks of size 0 have rules of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    Malloc,
    Calloc,
    AlignedAlloc,
    PosixMemalign,
    Memalign,
}

impl Faulty {
    #[inline]
    pub(super) fn enter(&mut self) {
        self.seen.calls += 1;
        if self.has(Fault::GoneAtExit) {
            habits::crash_at_exit();
        }
        if self.has(Fault::ChildEndCrashes) {
            habits::crash_after_child();
        }
        if self.has(Fault::NeedsConstructor) {
            habits::crash_unless_constructed();
        }
        if self.seen.locked {
            loop {
                std::hint::spin_loop();
            }
        }
        if self.has(Fault::PurgesLivePage) && self.seen.calls.is_multiple_of(64) {
            self.large.purge_youngest();
        }
    }

    pub(super) fn is_first_call(&self) -> bool {
        self.seen.calls == 1
    }

    /// Passes a result on, with `errno` if it is null.
    #[inline]
    pub(super) fn answer(&mut self, size: usize, block: *mut u8) -> *mut u8 {
        if block.is_null() {
            if self.has(Fault::PrintsOutOfMemory) {
                sys::print(1, "out of memory\n");
            }
            let kept = self.has(Fault::HugeLeavesErrno) && size > MAX_REQUEST
                || self.has(Fault::FailedMappingLeavesErrno) && size <= MODEST;
            if !kept {
                set_errno(ENOMEM);
            }
        }
        block
    }

    /// As [`answer`](Self::answer), for the aligned functions.
    pub(super) fn answer_aligned(&mut self, block: *mut u8) -> *mut u8 {
        if block.is_null() {
            set_errno(ENOMEM);
        }
        block
    }

    /// As [`answer`](Self::answer), for the functions that only GNU has.
    pub(super) fn answer_memalign(&mut self, block: *mut u8) -> *mut u8 {
        if self.has(Fault::MemalignLeavesErrno) {
            return block;
        }
        self.answer_aligned(block)
    }

    /// Answers a request for an alignment that is none.
    pub(super) fn refuse(&mut self) -> *mut u8 {
        self.seen.alignment_refused = true;
        set_errno(EINVAL);
        ptr::null_mut()
    }

    /// A block for the functions that take an alignment.
    pub(super) fn aligned_block(&mut self, alignment: usize, size: usize) -> *mut u8 {
        if self.has(Fault::FirstAlignedCrashes) && self.is_first_call() {
            crash();
        }
        let failed_before = std::mem::take(&mut self.seen.mapping_failed);
        let block = self.allocate(size, alignment);
        if self.has(Fault::AlignedOomCrashes) && self.seen.mapping_failed {
            crash();
        }
        self.seen.mapping_failed |= failed_before;
        block
    }

    /// Whether a zero size gives `NULL`.
    pub(super) fn zero_is_null(&self) -> bool {
        self.variant == Variant::Odd
    }

    /// What a request of no bytes gets.
    pub(super) fn zero_block(&mut self, maker: Maker, alignment: usize) -> *mut u8 {
        if self.zero_is_null() {
            return ptr::null_mut();
        }
        let one_for_all = matches!(
            (self.fault, maker),
            (Some(Fault::MallocZeroSentinel), Maker::Malloc)
                | (Some(Fault::CallocZeroSentinel), Maker::Calloc)
                | (Some(Fault::AlignedZeroSentinel), Maker::AlignedAlloc)
                | (Some(Fault::PosixMemalignZeroSentinel), Maker::PosixMemalign)
        );
        if one_for_all {
            return self.sentinel(alignment);
        }
        if self.has(Fault::MallocZeroAliases) && maker == Maker::Malloc {
            let block = self.seen.youngest;
            if self.small(block).is_some_and(|it| it.note.size() > 0) {
                return block;
            }
        }
        let block = if self.has(Fault::ZeroSizeUnaligned) && alignment > 16 {
            self.misaligned(1)
        } else {
            self.allocate(0, alignment)
        };
        if maker != Maker::PosixMemalign {
            return self.answer(0, block);
        }
        block
    }

    /// Says that posix_memalign found no memory.
    ///
    /// # Safety
    ///
    /// `out` points to a pointer.
    pub(super) unsafe fn posix_memalign_failed(&mut self, out: *mut *mut u8) -> i32 {
        let store = |value| {
            // SAFETY: as the caller says.
            unsafe { *out = value }
        };
        match self.fault {
            Some(Fault::PosixMemalignStoresGarbage) => {
                store(ptr::without_provenance_mut(usize::MAX))
            }
            Some(Fault::PosixMemalignStoresNull) => store(ptr::null_mut()),
            Some(Fault::PosixMemalignFalseSuccess) => return 0,
            Some(Fault::PosixMemalignMinusOne) => {
                set_errno(ENOMEM);
                return -1;
            }
            _ => {}
        }
        ENOMEM
    }

    /// Realloc, after its arguments have been looked at.
    ///
    /// # Safety
    ///
    /// `block` is null or live.
    pub(super) unsafe fn resize_or_allocate(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            if size == 0 {
                return self.zero_block(Maker::Malloc, 1);
            }
            let block = self.allocate(size, 1);
            return self.answer(size, block);
        }
        self.seen.reallocs += 1;
        if self.fault.is_some() {
            self.die_resizing(block, size);
        }
        if size == 0 && self.variant != Variant::Plain {
            self.release(block);
            set_errno(EINVAL);
            return ptr::null_mut();
        }
        if size == 0 && self.has(Fault::ReallocZeroLeavesErrno) {
            self.release(block);
            return ptr::null_mut();
        }
        if self.has(Fault::ReallocWraps) && size > usize::MAX - HEADER {
            return block;
        }
        let refused = self.has(Fault::ReallocToUsableFails)
            && self
                .find(block)
                .is_some_and(|it| it.usable() == size && it.size() < size);
        let new = if refused {
            ptr::null_mut()
        } else {
            // SAFETY: the block is live.
            unsafe { self.resize(block, size) }
        };
        if new.is_null() && size > 0 {
            if self.has(Fault::ReallocFreesOnFailure) {
                self.release(block);
            }
            if self.has(Fault::ReallocScribblesOnFailure) {
                // SAFETY: the block is live and has a byte.
                unsafe { *block = !*block };
            }
        }
        self.answer(size, new)
    }

    /// Frees a block by whatever function.
    pub(super) fn free_block(&mut self, block: *mut u8) {
        let Some(found) = self.find(block) else {
            return;
        };
        self.seen.frees += 1;
        if self.has(Fault::FooterInBlock) {
            self.check_footer(block);
        }
        if self.has(Fault::FreeWritesNeighbour) && self.seen.frees.is_multiple_of(16) {
            self.write_neighbour(block);
        }
        self.release_found(block, found);
    }

    /// Frees `NULL` by the functions that are told a size.
    pub(super) fn free_null_sized(&self) {
        if self.has(Fault::SizedFreeNullCrashes) {
            crash();
        }
    }
}
