//! realloc: which blocks stay, which move, and who serves them then.

use super::alloc::{Pymalloc, SIZE_LIMIT};
use super::fault::{Fault, Faults};
use super::layout::{Layout, Nothing};
use super::pool::pool_of;
use super::radix::ArenaMap;
use super::source::{ArenaSource, Raw};
use std::ptr;

impl<L: Layout, R: Raw, A: ArenaSource, F: Faults> Pymalloc<L, R, A, F> {
    /// `PyObject_Realloc`: the block with a new size, moved if need be; null if there is no memory or `size` exceeds
    /// [`SIZE_LIMIT`], and then the block is as it was. Resizing null allocates; resizing to 0 frees nothing.
    ///
    /// # Safety
    ///
    /// `block` is null or a live block of this allocator, and is not used again unless this returns null.
    #[inline]
    pub unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if size > SIZE_LIMIT && !self.has(Fault::ReallocUnlimited) {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise; only blocks from pools lie in arenas.
        unsafe {
            if block.is_null() {
                if self.has(Fault::ReallocNullStaysRealloc) && size > L::THRESHOLD {
                    let block = self.sources.raw.realloc(block, size);
                    return self.counted(block);
                }
                return self.malloc(size);
            }
            if self.has(Fault::ReallocZeroFrees) && size == 0 {
                self.free(block);
                return ptr::null_mut();
            }
            if self.arenas.map.contains(block.addr()) {
                self.pool_realloc(block, size)
            } else {
                self.realloc_raw(block, size)
            }
        }
    }

    /// Resizes a block from a pool (`pymalloc_realloc`). Its size is that of its class: what it was requested with is
    /// not known.
    ///
    /// # Safety
    ///
    /// As for [`realloc`](Pymalloc::realloc), of a block from a pool.
    unsafe fn pool_realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            let class = (*pool_of::<L>(block)).szidx as usize;
            let class_size = L::class_size(class);
            // Whoever saves less than a quarter by moving stays.
            let stays = size <= class_size && 4 * size > 3 * class_size;
            if self.stays_amiss(block, class, size, stays) {
                return block;
            }
            let moved = self.allocate_moved(class_size, size);
            if moved.is_null() {
                if self.has(Fault::CrossUpFailFrees) && size > L::THRESHOLD {
                    self.pool_free(block);
                }
                return moved;
            }
            let lost = usize::from(self.has(Fault::MoveCopiesShort));
            ptr::copy_nonoverlapping(block, moved, size.min(class_size).saturating_sub(lost));
            if !(L::is_small(size) && self.has(Fault::ReallocLeaksOld)) {
                self.pool_free(block);
            }
            if self.has(Fault::CrossUpCountedTwice) && size > L::THRESHOLD {
                self.raw_blocks += 1;
            }
            moved
        }
    }

    /// The block that one from a pool moves to.
    #[inline(always)]
    fn allocate_moved(&mut self, class_size: usize, size: usize) -> *mut u8 {
        if self.has(Fault::ShrinkToRaw) && L::is_small(size) && size <= class_size {
            let block = self.sources.raw.malloc(size);
            return self.counted(block);
        }
        if self.has(Fault::CrossUpCalloc) && size > L::THRESHOLD {
            let block = self.sources.raw.calloc(1, size);
            return self.counted(block);
        }
        self.allocate(size)
    }

    /// Resizes a block that lies in no arena.
    ///
    /// # Safety
    ///
    /// As for [`realloc`](Pymalloc::realloc), of a block from the raw domain.
    unsafe fn realloc_raw(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        let modern = L::NOTHING == Nothing::AsItIs;
        let one = size == 0 && (!modern || self.has(Fault::ReallocZeroAsksOne));
        // SAFETY: what lies in no arena came from the raw domain.
        let mut moved = unsafe { self.sources.raw.realloc(block, if one { 1 } else { size }) };
        if !modern && size == 0 && moved.is_null() {
            moved = block;
        }
        // SAFETY: the caller's promise, and the result of the call above.
        unsafe { self.realloc_raw_amiss(block, moved, size) }
    }
}
