//! What faults do where one question in the sound code is not enough to say it.

use super::classes::{self, MAX_SMALL};
use super::heap::Found;
use super::sys::{self, PAGE, crash};
use super::{Fault, Faulty};

/// What an allocator with headers would add to every size.
pub(super) const HEADER: usize = 32;

/// What the last bytes of a block with a footer hold.
const FOOTER: u64 = 0x5afe_b10c_5afe_b10c;

impl Faulty {
    /// The one address of all blocks of no bytes; another if it is not aligned enough.
    pub(super) fn sentinel(&mut self, alignment: usize) -> *mut u8 {
        const ALIGNMENT: usize = 1 << 21;
        if alignment > ALIGNMENT {
            return self.allocate(0, alignment);
        }
        if self.seen.sentinel.is_null() {
            self.seen.sentinel = self.allocate(0, ALIGNMENT);
        }
        self.seen.sentinel
    }

    /// A live block for a new request: what [`Fault::DoubleIssue`] and [`Fault::IssuesInsideBlock`] do now and then, and
    /// [`Fault::IndexWraps`] with many blocks live.
    pub(super) fn live_block_again(&mut self, size: usize) -> Option<*mut u8> {
        let every = match self.fault {
            Some(Fault::DoubleIssue) => 1000,
            Some(Fault::IssuesInsideBlock) => 128,
            Some(Fault::IndexWraps) => return self.block_of_number_0(size),
            _ => return None,
        };
        if self.seen.mallocs < every {
            return None;
        }
        let block = self.seen.youngest;
        let live = self.small(block)?;
        let skip = if every == 128 { 16 } else { 0 };
        if live.note.size() <= skip || live.usable < size {
            return None;
        }
        self.seen.mallocs = 0;
        Some(block.wrapping_add(skip))
    }

    fn block_of_number_0(&mut self, size: usize) -> Option<*mut u8> {
        if self.seen.small <= usize::from(u16::MAX) || size == 0 {
            return None;
        }
        let block = self.seen.first;
        let live = self.small(block)?;
        (live.usable >= size).then_some(block)
    }

    /// The size that malloc believes it was asked for.
    pub(super) fn believed(&mut self, size: usize) -> usize {
        let wraps = size > usize::MAX - HEADER;
        match self.fault {
            Some(Fault::HeaderWraps) if wraps => size.wrapping_add(HEADER),
            Some(Fault::HeaderWrapsIfWarm) if wraps && self.spans.is_warm(classes::of(1)) => 1,
            Some(Fault::SizeCutToFortyEightBits) if size > 1 << 56 && size < 1 << 63 => {
                size & ((1 << 48) - 1)
            }
            Some(Fault::SignBitDropped) => size & isize::MAX as usize,
            Some(Fault::SizeCutToThirtyTwoBits) if size >> 20 == 1 << 12 => size & 0xffff_ffff,
            _ => size,
        }
    }

    /// The alignment that posix_memalign believes it was asked for.
    pub(super) fn posix_memalign_believed(&self, alignment: usize) -> usize {
        match self.fault {
            Some(Fault::PosixMemalignStopsAtPage) if alignment >= 1 << 16 => PAGE,
            // Twice 2^63 is 0, and nothing is added to the size to align it with.
            Some(Fault::PosixMemalignWraps) if alignment == 1 << 63 => PAGE,
            _ => alignment,
        }
    }

    /// How many bytes of a block of `total` calloc zeroes.
    pub(super) fn zeroed(&self, total: usize) -> usize {
        match self.fault {
            Some(Fault::CallocTrustsFresh) if (129..=512).contains(&total) => 0,
            Some(Fault::CallocDirtyAfterOom) if self.seen.mapping_failed => 0,
            Some(Fault::CallocSkipsTail) => total - total % 8,
            _ => total,
        }
    }

    /// Dies if resizing this block is what a fault waits for.
    pub(super) fn die_resizing(&mut self, block: *mut u8, size: usize) {
        let Some(found) = self.find(block) else {
            return;
        };
        let plain = size > 0 && found.size() > 0 && found.alignment() <= 16;
        match self.fault {
            Some(Fault::ReallocOfAlignedCrashes) if found.alignment() > 16 => crash(),
            Some(Fault::ZeroReallocCrashes) if found.size() == 0 => crash(),
            Some(Fault::HangsInRealloc) if self.seen.reallocs >= 300 && plain => loop {
                std::hint::spin_loop();
            },
            _ => {}
        }
    }

    /// Whether free forgets this block. Dies if freeing it is what a fault waits for.
    pub(super) fn forgets(&mut self, block: *mut u8) -> bool {
        let Some(found) = self.find(block) else {
            return false;
        };
        let frees = self.seen.frees + 1;
        let plain = found.size() > 0 && found.alignment() <= 16;
        match self.fault {
            Some(Fault::AbortsInFree) if frees >= 500 && plain => sys::abort(),
            Some(Fault::FreeLosesAlignedBase) if found.alignment() > PAGE => crash(),
            Some(Fault::ZeroFreeCrashes) if found.size() == 0 => crash(),
            Some(Fault::FreeLosesSome) if frees.is_multiple_of(8) => {
                self.seen.frees = frees;
                true
            }
            Some(Fault::FreeLosesOneIn1024) if frees.is_multiple_of(1024) => {
                self.seen.frees = frees;
                true
            }
            Some(Fault::FreeDoesNothing) => true,
            Some(Fault::FreeClobbersErrno) if matches!(found, Found::Mapped(_)) => {
                sys::set_errno(libc::EINVAL);
                false
            }
            _ => false,
        }
    }

    /// A block of `size` bytes that is aligned to 16 and to no more, if it is small.
    pub(super) fn misaligned(&mut self, size: usize) -> *mut u8 {
        if size + 16 > MAX_SMALL {
            return self.allocate(size, 1);
        }
        offset(self.allocate(size + 16, 32), 16)
    }

    /// Writes a link into the live block behind a small one.
    pub(super) fn write_neighbour(&mut self, block: *mut u8) {
        if let Some(small) = self.small(block)
            && let next = block.wrapping_add(small.usable)
            && self.small(next).is_some_and(|it| it.class == small.class)
        {
            // SAFETY: the first bytes of a live block, which has 16 or more.
            unsafe { next.cast::<usize>().write_unaligned(block.addr()) };
        }
    }

    pub(super) fn write_footer(&mut self, block: *mut u8, size: usize) {
        if let Some(small) = self.small(block) {
            self.spans.mark_footer(small);
            // SAFETY: the last 8 of the bytes asked for.
            unsafe {
                let footer = block.wrapping_add(size - 8).cast::<u64>();
                footer.write_unaligned(FOOTER);
            }
        }
    }

    pub(super) fn check_footer(&mut self, block: *mut u8) {
        if let Some(small) = self.small(block)
            && small.note.has_footer()
        {
            let footer = block.wrapping_add(small.note.size() - 8).cast::<u64>();
            // SAFETY: the last 8 of the bytes asked for.
            if unsafe { footer.read_unaligned() } != FOOTER {
                sys::abort();
            }
        }
    }
}

/// The address so many bytes further on; null stays null.
pub(super) fn offset(block: *mut u8, bytes: usize) -> *mut u8 {
    if block.is_null() {
        block
    } else {
        block.wrapping_add(bytes)
    }
}
