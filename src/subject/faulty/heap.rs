//! Allocating, finding, resizing and releasing blocks, whatever entry point asked and wherever they lie.
//!
//! Nothing here touches `errno`. A size of 0 is a request like any other and gets a block.

use super::classes::{self, MAX_SMALL};
use super::large::Mapped;
use super::spans::{SPAN, Small};
use super::sys::{self, PAGE};
use super::{Fault, Faulty, Variant};
use std::ptr;

/// The largest size or alignment that is tried.
pub(super) const MAX_REQUEST: usize = 1 << 46;

/// Requests up to here fail only if the process may not have more memory.
pub(super) const MODEST: usize = 1 << 40;

/// A live block.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// One cut from a span.
    Small(Small),
    /// One mapped by itself.
    Mapped(Mapped),
    /// One of so many bytes in the pool.
    Pooled(usize),
}

impl Found {
    /// The bytes from the address asked about to the end of the block.
    pub(super) fn usable(self) -> usize {
        match self {
            Found::Small(block) => block.usable,
            Found::Mapped(known) => known.len,
            Found::Pooled(size) => size,
        }
    }

    /// The bytes asked for.
    pub(super) fn size(self) -> usize {
        match self {
            Found::Small(block) => block.note.size(),
            Found::Mapped(known) => known.size,
            Found::Pooled(size) => size,
        }
    }

    /// The alignment asked for; 1 by functions that take none.
    pub(super) fn alignment(self) -> usize {
        match self {
            Found::Small(block) => block.note.alignment(),
            Found::Mapped(known) => known.alignment,
            Found::Pooled(_) => 1,
        }
    }
}

impl Faulty {
    /// A block of `size` bytes at a multiple of `alignment`, a power of two, and as aligned as C asks of any block of
    /// the size; or null.
    pub(super) fn allocate(&mut self, size: usize, alignment: usize) -> *mut u8 {
        if self.has(Fault::SlackHoldsCookie) {
            self.write_cookie();
        }
        let mut block = self.try_allocate(size, alignment);
        if block.is_null() && self.end_quarantine() {
            block = self.try_allocate(size, alignment);
        }
        if block.is_null() {
            self.seen.huge_failed |= size.max(alignment) > MAX_REQUEST;
            if size.max(alignment) <= MODEST {
                self.seen.mapping_failed = true;
                if self.has(Fault::AbortsOnOom) {
                    sys::abort();
                }
                self.seen.locked = self.has(Fault::FailureKeepsLock);
            }
        }
        block
    }

    #[inline]
    fn try_allocate(&mut self, size: usize, alignment: usize) -> *mut u8 {
        if size > MAX_REQUEST || alignment > MAX_REQUEST {
            return ptr::null_mut();
        }
        if let Some(pool) = &mut self.pool {
            let size = size.max(1);
            return pool.allocate(size, alignment.max(1 << size.ilog2().min(4)));
        }
        match self.class_for(size, alignment) {
            Some(class) => {
                let block = self.spans.allocate(class, size, alignment);
                self.seen.youngest = block;
                if self.seen.small == 0 {
                    self.seen.first = block;
                }
                self.seen.small += usize::from(!block.is_null());
                block
            }
            None => self.large.allocate(size, alignment),
        }
    }

    /// The class whose blocks are as large and as aligned as asked, or `None` if the block must be mapped.
    fn class_for(&self, size: usize, alignment: usize) -> Option<usize> {
        if alignment > PAGE {
            return None;
        }
        let size = if alignment > 16 {
            size.max(alignment).next_power_of_two()
        } else {
            size.max(1)
        };
        if size > MAX_SMALL {
            return None;
        }
        let tiny = self.variant == Variant::Odd || self.has(Fault::TinyAlignedToEight);
        if tiny && size <= 8 && alignment <= 8 {
            return Some(classes::TINY);
        }
        Some(classes::of(size))
    }

    /// The live block at `address`, if there is one.
    #[inline]
    pub(super) fn find(&mut self, address: *mut u8) -> Option<Found> {
        if let Some(pool) = &self.pool {
            return pool.size(address).map(Found::Pooled);
        }
        if let Some(block) = self.spans.find(address) {
            return Some(Found::Small(block));
        }
        self.large.find(address).map(Found::Mapped)
    }

    /// Makes the memory of a live block available again. Other addresses are ignored.
    pub(super) fn release(&mut self, block: *mut u8) {
        if let Some(found) = self.find(block) {
            self.release_found(block, found);
        }
    }

    /// As [`release`](Self::release), of a block that has been found.
    #[inline]
    pub(super) fn release_found(&mut self, block: *mut u8, found: Found) {
        if self.seen.sentinel == block {
            return;
        }
        if self.seen.youngest == block {
            self.seen.youngest = ptr::null_mut();
        }
        if self.seen.asked == block {
            self.seen.asked = ptr::null_mut();
        }
        match (found, &mut self.quarantine) {
            (Found::Mapped(known), _) => self.large.release(block, known),
            (_, Some(quarantine)) => {
                let oldest = quarantine.exchange(block);
                self.release_at_once(oldest);
            }
            (Found::Small(small), None) => {
                self.seen.small -= 1;
                if self.seen.first == block {
                    self.seen.first = ptr::null_mut();
                }
                self.spans.release(small);
            }
            (Found::Pooled(_), None) => self.release_at_once(block),
        }
    }

    /// Makes a small block, which need not wait, available again; null is ignored.
    fn release_at_once(&mut self, block: *mut u8) {
        match &mut self.pool {
            Some(pool) => pool.release(block),
            None => {
                if let Some(small) = self.spans.find(block) {
                    self.seen.small -= 1;
                    self.spans.release(small);
                }
            }
        }
    }

    /// Makes what waits available. Whether anything did.
    fn end_quarantine(&mut self) -> bool {
        let Some(quarantine) = &mut self.quarantine else {
            return false;
        };
        let mut any = false;
        for block in quarantine.drain() {
            any |= !block.is_null();
            self.release_at_once(block);
        }
        any
    }

    /// Resizes a live block, which may move; null if that cannot be, and then the block is as it was.
    ///
    /// # Safety
    ///
    /// `block` is live.
    pub(super) unsafe fn resize(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if size > MAX_REQUEST {
            self.seen.huge_failed = true;
            return ptr::null_mut();
        }
        let Some(found) = self.find(block) else {
            return ptr::null_mut();
        };
        let usable = found.usable();
        if let Found::Mapped(known) = found
            && size > MAX_SMALL
            && block != self.seen.sentinel
            && !self.has(Fault::ReallocOverReads)
        {
            if self.has(Fault::ReallocShrinkNeedsMemory) && size < usable / 2 {
                let probe = self.allocate(size, 1);
                if probe.is_null() {
                    return probe;
                }
                self.release(probe);
            }
            return self.large.resize(block, known, size);
        }
        if self.stays(found, size) {
            self.resize_in_place(block, found, size);
            return block;
        }

        let new = self.new_home(size);
        if new.is_null() {
            if size > usable || self.has(Fault::ReallocShrinkNeedsMemory) {
                return new;
            }
            self.resize_in_place(block, found, size);
            return block;
        }
        // SAFETY: both blocks are live, and `copied` is within both but for a fault.
        unsafe { ptr::copy(block, new, self.copied(found, new, size)) };
        let lost = self.has(Fault::ReallocForgetsOld)
            || self.has(Fault::ReallocLosesOneIn256) && self.seen.reallocs.is_multiple_of(256);
        if !lost {
            self.release(block);
        }
        new
    }

    /// Whether a small block is kept when it is resized: if it is neither too small nor much too large.
    fn stays(&self, found: Found, size: usize) -> bool {
        let usable = found.usable();
        self.variant != Variant::Odd
            && !matches!(found, Found::Mapped(_))
            && size <= usable
            && (size > usable / 2 || usable <= 16)
    }

    fn resize_in_place(&mut self, block: *mut u8, found: Found, size: usize) {
        if let Found::Small(small) = found {
            self.spans.resize(small, size.min(MAX_SMALL));
        }
        if self.has(Fault::ReallocFreesInPlace) {
            self.release(block);
        }
    }

    /// Where a block goes that is resized and does not stay.
    fn new_home(&mut self, size: usize) -> *mut u8 {
        if self.has(Fault::ReallocAtOffsetEight) && (16..=1024).contains(&size) {
            let new = self.allocate(size + 8, 1);
            return if new.is_null() {
                new
            } else {
                new.wrapping_add(8)
            };
        }
        self.allocate(size, 1)
    }

    /// How many bytes go with a block that moves to `new`.
    fn copied(&mut self, found: Found, new: *mut u8, size: usize) -> usize {
        let usable = found.usable();
        let small = matches!(found, Found::Small(_));
        match self.fault {
            Some(Fault::ReallocCopiesShort) if small && usable >= 32 => size.min(usable - 16),
            Some(Fault::ReallocOfAlignedCopiesNothing) if found.alignment() > 16 => 0,
            Some(Fault::ReallocCopiesOldSize) if small && size < usable => {
                usable.min(SPAN - new.addr() % SPAN)
            }
            Some(Fault::ReallocOverReads) if !small => size,
            _ => size.min(usable),
        }
    }

    /// Changes the end of the block that was asked about last, behind the bytes requested.
    fn write_cookie(&mut self) {
        let block = self.seen.asked;
        if let Some(Found::Small(small)) = self.find(block)
            && small.usable >= small.note.size() + 8
        {
            let cookie = block.wrapping_add(small.usable - 8).cast::<u64>();
            // SAFETY: the last 8 bytes of a live block.
            unsafe { cookie.write_unaligned(0x0ddb_a11c_0ffe_e000) };
        }
    }

    /// The live small block that an address lies in, by another way than its user's: for faults that meddle with it.
    pub(super) fn small(&mut self, address: *mut u8) -> Option<Small> {
        self.spans.find(address)
    }
}
