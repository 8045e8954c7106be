//! The entry points: what C asks of arguments, zero sizes, `NULL` and `errno`, around the heap.

use super::classes::{self, MAX_SMALL};
use super::heap::{Found, MAX_REQUEST};
use super::meddling::offset;
use super::operators;
use super::requests::Maker;
use super::sys::{self, PAGE, crash, set_errno};
use super::{Fault, Faulty};
use crate::program::{Call, Operator};
use crate::subject::{SetNewHandler, Subject, Thrown};
use libc::{EINVAL, ENOENT, ENOMEM, EOVERFLOW};
use std::ptr;

/// What nobody but the program owns.
static PROGRAM_MEMORY: u128 = 0;

impl Subject for Faulty {
    /// Only who is sound or wrong in the operators has them: what is wrong beneath every function breaks their rules, too.
    fn provides(&self, call: Call) -> bool {
        let wrong_elsewhere = self.fault.is_some_and(|fault| !fault.is_in_operators());
        call.is_entry_point() && !(call.operator().is_some() && wrong_elsewhere)
    }

    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        self.enter();
        self.seen.mallocs += 1;
        if self.has(Fault::ExitsInMalloc) && self.seen.mallocs == 700 {
            // SAFETY: has no preconditions.
            unsafe { libc::_exit(0) };
        }
        if size == 0 {
            return self.zero_block(Maker::Malloc, 1);
        }
        let stuck = self.has(Fault::FailsAfterHuge) && self.seen.huge_failed
            || self.has(Fault::FailsAfterBadAlignment) && self.seen.alignment_refused
            || self.has(Fault::LargestClassMissing) && size == MAX_SMALL;
        if stuck {
            return self.answer(size, ptr::null_mut());
        }
        if let Some(block) = self.live_block_again(size) {
            return block;
        }
        if self.has(Fault::MallocAtOffsetEight) && (16..32).contains(&size) {
            let block = self.allocate(size + 8, 1);
            return self.answer(size, offset(block, 8));
        }
        let believed = self.believed(size);
        let block = self.allocate(believed, 1);
        if self.has(Fault::FooterInBlock) && size % 16 == 8 {
            self.write_footer(block, size);
        }
        if self.has(Fault::TaggedPointer)
            && !block.is_null()
            && self.seen.mallocs.is_multiple_of(128)
        {
            return block.map_addr(|addr| addr | 0x7f << 56);
        }
        if self.has(Fault::IssuesProgramMemory)
            && !block.is_null()
            && self.seen.mallocs.is_multiple_of(128)
        {
            return std::ptr::from_ref(&PROGRAM_MEMORY).cast_mut().cast();
        }
        if self.has(Fault::WarnsOfLarge) && size >= 1 << 20 {
            sys::print(2, "malloc: large block\n");
        }
        if self.has(Fault::SuccessLeavesEnoent) && size > MAX_SMALL {
            set_errno(ENOENT);
        }
        self.answer(size, block)
    }

    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.enter();
        if self.has(Fault::FirstCallocCrashes) && self.is_first_call() {
            crash();
        }
        if self.has(Fault::CallocZeroesErrno) {
            set_errno(0);
        }
        let unchecked = self.has(Fault::CallocUnchecked)
            || self.has(Fault::CallocChecksCountOnly) && count < 1 << 32;
        let total = match count.checked_mul(size) {
            Some(total) => total,
            None if unchecked => count.wrapping_mul(size),
            None => {
                self.seen.huge_failed = true;
                if self.has(Fault::CallocOverflowLeavesErrno) {
                    return ptr::null_mut();
                }
                return self.answer(usize::MAX, ptr::null_mut());
            }
        };
        if total == 0 {
            return self.zero_block(Maker::Calloc, 1);
        }
        let refused = self.has(Fault::CallocThirtyTwoBits) && total > u32::MAX as usize
            || self.has(Fault::CallocElementLimit)
                && size >= 4096
                && count < size
                && total <= u32::MAX as usize;
        if refused {
            return self.answer(total, ptr::null_mut());
        }
        let cookie = if self.has(Fault::CallocCookie) && count > 1 && (16..=1024).contains(&total) {
            8
        } else {
            0
        };
        let block = offset(self.allocate(total + cookie, 1), cookie);
        // Mapped blocks are zero already.
        if !block.is_null() && (total + cookie <= MAX_SMALL || self.pool.is_some()) {
            // SAFETY: the block has that many bytes.
            unsafe { ptr::write_bytes(block, 0, self.zeroed(total)) };
        }
        self.answer(total, block)
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.enter();
        if self.has(Fault::FirstReallocCrashes) && self.is_first_call() && block.is_null() {
            crash();
        }
        if self.has(Fault::ReallocNullFails) && block.is_null() && size > 0 {
            return self.answer(size, ptr::null_mut());
        }
        // SAFETY: as the caller says.
        unsafe { self.resize_or_allocate(block, size) }
    }

    unsafe fn free(&mut self, block: *mut u8) {
        self.enter();
        if block.is_null() {
            if self.has(Fault::FreeNullCrashes) {
                crash();
            }
            return;
        }
        if self.fault.is_some() && self.forgets(block) {
            return;
        }
        self.free_block(block);
    }

    unsafe fn reallocarray(&mut self, block: *mut u8, count: usize, size: usize) -> *mut u8 {
        self.enter();
        let total = match count.checked_mul(size) {
            Some(total) => total,
            None if self.has(Fault::ReallocarrayUnchecked) => count.wrapping_mul(size),
            None => {
                self.seen.huge_failed = true;
                let wrong = self.has(Fault::ReallocarrayWrongErrno);
                set_errno(if wrong { EOVERFLOW } else { ENOMEM });
                return ptr::null_mut();
            }
        };
        if self.has(Fault::ReallocarrayNullFails) && block.is_null() && total > 0 {
            return self.answer(total, ptr::null_mut());
        }
        // SAFETY: as the caller says.
        unsafe { self.resize_or_allocate(block, total) }
    }

    unsafe fn reallocf(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.enter();
        // SAFETY: as the caller says.
        unsafe { self.resize_or_free(block, size) }
    }

    unsafe fn recallocarray(
        &mut self,
        block: *mut u8,
        old: usize,
        count: usize,
        size: usize,
    ) -> *mut u8 {
        self.enter();
        // SAFETY: as the caller says.
        unsafe { self.resize_cleared(block, old, count, size) }
    }

    unsafe fn freezero(&mut self, block: *mut u8, size: usize) {
        self.enter();
        // SAFETY: as the caller says.
        unsafe { self.free_cleared(block, size) }
    }

    unsafe fn free_sized(&mut self, block: *mut u8, size: usize) {
        self.enter();
        if block.is_null() {
            return self.free_null_sized();
        }
        if self.has(Fault::FreeSizedDoesNothing) {
            return;
        }
        if self.has(Fault::FreeSizedTrustsHint)
            && self.small(block).is_some_and(|small| {
                small.note.alignment() <= 16 && small.class != classes::of(size.max(1))
            })
        {
            sys::abort();
        }
        self.free_block(block);
        if self.has(Fault::SizedFreeClobbersErrno) {
            set_errno(EINVAL);
        }
    }

    unsafe fn free_aligned_sized(&mut self, block: *mut u8, alignment: usize, size: usize) {
        self.enter();
        if block.is_null() {
            return self.free_null_sized();
        }
        if self.has(Fault::FreeAlignedSizedDoesNothing) {
            return;
        }
        if self.has(Fault::FreeAlignedSizedForgets) && alignment > 16 && size < alignment {
            crash();
        }
        self.free_block(block);
        if self.has(Fault::SizedFreeClobbersErrno) {
            set_errno(EINVAL);
        }
    }

    unsafe fn aligned_alloc(&mut self, alignment: usize, size: usize) -> *mut u8 {
        self.enter();
        let mut wanted = alignment;
        if !alignment.is_power_of_two() {
            if !self.has(Fault::AlignedAllocAcceptsAny) || alignment > MAX_REQUEST {
                return self.refuse();
            }
            wanted = alignment.next_power_of_two();
        }
        if size == 0 {
            return self.zero_block(Maker::AlignedAlloc, wanted);
        }
        let refused = self.has(Fault::AlignedAllocRefusesSmall) && alignment < size_of::<usize>()
            || self.has(Fault::AlignedAllocRefusesNonmultiple) && !size.is_multiple_of(wanted);
        if refused {
            return self.answer(size, ptr::null_mut());
        }
        if self.has(Fault::AlignedAllocStopsAtPage) {
            wanted = wanted.min(PAGE);
        }
        let block = if self.has(Fault::AlignedAllocSkipsSmall) && wanted > size.max(16) {
            self.misaligned(size)
        } else {
            self.aligned_block(wanted, size)
        };
        if block.is_null() && self.has(Fault::AlignedAllocWrongErrno) {
            set_errno(EINVAL);
            return block;
        }
        self.answer_aligned(block)
    }

    unsafe fn posix_memalign(&mut self, out: *mut *mut u8, alignment: usize, size: usize) -> i32 {
        self.enter();
        let mut wanted = alignment;
        if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<usize>()) {
            let multiple = alignment.is_multiple_of(size_of::<usize>())
                && (1..=MAX_REQUEST).contains(&alignment);
            let accepted = self.has(Fault::PosixMemalignAcceptsMultiples) && multiple
                || self.has(Fault::PosixMemalignAcceptsSmall) && matches!(alignment, 1 | 2 | 4);
            if !accepted {
                self.seen.alignment_refused = true;
                let wrong = self.has(Fault::PosixMemalignWrongError);
                return if wrong { ENOMEM } else { EINVAL };
            }
            wanted = alignment.next_power_of_two();
        }
        let block = if size == 0 {
            self.zero_block(Maker::PosixMemalign, wanted)
        } else if self.has(Fault::PosixMemalignSkipsSmall) && wanted > size.max(16) && wanted < PAGE
        {
            self.misaligned(size)
        } else {
            self.aligned_block(self.posix_memalign_believed(wanted), size)
        };
        if block.is_null() && !(size == 0 && self.zero_is_null()) {
            // SAFETY: as the caller says.
            return unsafe { self.posix_memalign_failed(out) };
        }
        // SAFETY: as the caller says, but for the fault.
        unsafe {
            *out = block;
            if self.has(Fault::PosixMemalignWritesPast) {
                *out.wrapping_add(1) = block.wrapping_add(size);
            }
        }
        0
    }

    unsafe fn memalign(&mut self, alignment: usize, size: usize) -> *mut u8 {
        self.enter();
        if !alignment.is_power_of_two() {
            if self.has(Fault::MemalignInvalidCrashes) {
                crash();
            }
            return self.refuse();
        }
        if size == 0 {
            return self.zero_block(Maker::Memalign, alignment);
        }
        if self.has(Fault::MemalignWraps) && size.checked_add(alignment).is_none() {
            let block = self.allocate(size.wrapping_add(alignment), 1);
            return self.answer_memalign(block);
        }
        // Small enough for the heap to know the block by any address in it, so that nothing but the alignment is wrong.
        let halves = self.has(Fault::MemalignHalves) && alignment >= 32;
        let block = if halves && alignment <= 1024 && size <= 1024 {
            let half = alignment / 2;
            let block = self.aligned_block(alignment, size.saturating_add(half));
            offset(block, half)
        } else {
            self.aligned_block(alignment, size)
        };
        self.answer_memalign(block)
    }

    unsafe fn valloc(&mut self, size: usize) -> *mut u8 {
        self.enter();
        if size == 0 {
            return self.zero_block(Maker::Memalign, PAGE);
        }
        let block = if self.has(Fault::VallocUnaligned) && size <= 1024 {
            self.misaligned(size)
        } else {
            self.aligned_block(PAGE, size)
        };
        self.answer_memalign(block)
    }

    unsafe fn pvalloc(&mut self, size: usize) -> *mut u8 {
        self.enter();
        if size == 0 {
            return self.zero_block(Maker::Memalign, PAGE);
        }
        let block = if self.has(Fault::PvallocUnaligned) && size <= 1024 {
            self.misaligned(PAGE)
        } else if self.has(Fault::PvallocNotRounded) {
            self.aligned_block(PAGE, size)
        } else {
            let size = size.checked_next_multiple_of(PAGE).unwrap_or(usize::MAX);
            self.aligned_block(PAGE, size)
        };
        self.answer_memalign(block)
    }

    unsafe fn operator_new(
        &mut self,
        form: Operator,
        size: usize,
        alignment: usize,
    ) -> Result<*mut u8, Thrown> {
        self.enter();
        self.new_block(form, size, alignment)
    }

    unsafe fn operator_delete(
        &mut self,
        form: Operator,
        block: *mut u8,
        size: usize,
        _alignment: usize,
    ) -> Result<(), Thrown> {
        self.enter();
        self.delete_block(form, block, size)
    }

    fn set_new_handler(&self) -> Option<SetNewHandler> {
        Some(operators::set_new_handler)
    }

    unsafe fn malloc_usable_size(&mut self, block: *mut u8) -> usize {
        self.enter();
        self.seen.usables += 1;
        if block.is_null() {
            if self.has(Fault::UsableNullCrashes) {
                crash();
            }
            return if self.has(Fault::UsableNullNonzero) {
                16
            } else {
                0
            };
        }
        if self.has(Fault::UsableZeroesErrno) {
            set_errno(0);
        }
        self.seen.asked = block;
        let Some(found) = self.find(block) else {
            return 0;
        };
        if block == self.seen.sentinel {
            return 0;
        }
        if self.has(Fault::UsableLosesAlignedBase) && found.alignment() > PAGE {
            crash();
        }
        let (size, usable) = (found.size(), found.usable());
        let small = matches!(found, Found::Small(_));
        match self.fault {
            Some(Fault::PvallocNotRounded) if found.alignment() == PAGE => size,
            Some(Fault::UsableRoundsDown) if !small => size - size % PAGE,
            Some(Fault::UsableForgetsByte) if small && size % 16 == 1 => size - 1,
            Some(Fault::UsableAlternates) if self.seen.usables % 2 == 1 => size,
            Some(Fault::UsableCountsNext) if small => usable + 16,
            _ => usable,
        }
    }

    unsafe fn malloc_trim(&mut self, _pad: usize) -> i32 {
        self.enter();
        i32::from(self.spans.trim())
    }
}
