//! What faults do that takes more than a line.
//!
//! Each function here does nothing in an allocator without faults, and is compiled to nothing there.

use super::alloc::Pymalloc;
use super::fault::{Fault, Faults};
use super::layout::Layout;
use super::pool::{PoolHeader, link, pool_of, set_link};
use super::source::{ArenaSource, CLibrary, Raw};
use std::ptr;

impl<L: Layout, R: Raw, A: ArenaSource, F: Faults> Pymalloc<L, R, A, F> {
    /// What a faulty malloc gives for a size that no pool in use serves; `None` if it does as it should.
    #[inline(always)]
    pub(super) fn malloc_amiss(&mut self, size: usize) -> Option<*mut u8> {
        if self.has(Fault::ZeroRefused) && size == 0 {
            return Some(ptr::null_mut());
        }
        if self.has(Fault::ZeroFromPools) && size == 0 {
            return Some(self.pool_alloc_used(1)).filter(|block| !block.is_null());
        }
        if self.has(Fault::ZeroCountedTwice) && size == 0 {
            let block = self.malloc_raw(size);
            return Some(self.counted(block));
        }
        if self.has(Fault::ThresholdExclusive) && size == L::THRESHOLD {
            return Some(self.malloc_raw(size));
        }
        if self.has(Fault::LargePastRaw) && size > L::THRESHOLD {
            let block = CLibrary.malloc(size);
            return Some(self.counted(block));
        }
        if self.has(Fault::ArenaFailRefuses) && L::is_small(size) {
            return Some(self.pool_alloc(size));
        }
        if self.has(Fault::ArenaEager) && size > L::THRESHOLD {
            self.arenas.ensure_usable(&mut self.sources);
        }
        None
    }

    /// Whether a faulty realloc lets a block from a pool stay where it is; without a fault, `stays`.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this class.
    #[inline(always)]
    pub(super) unsafe fn stays_amiss(
        &self,
        block: *mut u8,
        class: usize,
        size: usize,
        stays: bool,
    ) -> bool {
        let class_size = L::class_size(class);
        let same_class = L::is_small(size) && L::class_of(size) == class;
        let a_quarter = size <= class_size && 4 * size == 3 * class_size;
        if self.has(Fault::GrowMoves) && size == class_size {
            // What was never written still holds the zeros that it was mapped with.
            // SAFETY: the block has the size of its class.
            return unsafe { block.add(class_size).cast::<u64>().sub(1).read() } != 0;
        }
        stays
            || self.has(Fault::ShrinkSameClassStays) && same_class && !a_quarter
            || self.has(Fault::ShrinkQuarterStays) && !same_class && a_quarter
    }

    /// What a faulty realloc gives for `block` when the raw domain gave `moved`; without a fault, `moved`.
    ///
    /// # Safety
    ///
    /// `moved` is null and `block` a live block from the raw domain, or `moved` is one, of this size.
    #[inline(always)]
    pub(super) unsafe fn realloc_raw_amiss(
        &mut self,
        block: *mut u8,
        moved: *mut u8,
        size: usize,
    ) -> *mut u8 {
        let small = L::is_small(size);
        // SAFETY: the caller's promise.
        unsafe {
            if moved.is_null() {
                if self.has(Fault::ReallocFailDamages) && size != 0 {
                    block.write(!block.read());
                }
                return if self.has(Fault::ReallocZeroFailReturnsOld) && size == 0 {
                    block
                } else {
                    moved
                };
            }
            if self.has(Fault::ReallocUncounts) {
                self.raw_blocks -= 1;
            }
            if self.has(Fault::RawReallocTwice) && size > L::THRESHOLD {
                return self.sources.raw.realloc(moved, size);
            }
            if self.has(Fault::CrossDownMoves) && small {
                let pooled = self.pool_alloc(size);
                if !pooled.is_null() {
                    ptr::copy_nonoverlapping(moved, pooled, size);
                    self.free(moved);
                    return pooled;
                }
            }
        }
        moved
    }

    /// Puts the block that is first in a pool's free list last.
    ///
    /// # Safety
    ///
    /// `block` is the first and `next` the second free block of the pool.
    #[inline(never)]
    pub(super) unsafe fn queue(&self, pool: *mut PoolHeader, block: *mut u8, next: *mut u8) {
        // SAFETY: the caller's promise; the list leads to free blocks.
        unsafe {
            (*pool).freeblock = next;
            let mut last = next;
            while !link(last).is_null() {
                last = link(last);
            }
            set_link(last, block);
            set_link(block, ptr::null_mut());
        }
    }

    /// Puts a pool behind all others of its class. Answers whether there are any.
    ///
    /// # Safety
    ///
    /// `pool` is a pool in use that is in no list.
    #[inline(never)]
    pub(super) unsafe fn pool_to_back(&mut self, pool: *mut PoolHeader) -> bool {
        // SAFETY: the caller's promise; class lists lead to pools.
        unsafe {
            let mut last = self.used[(*pool).szidx as usize];
            if last.is_null() {
                return false;
            }
            while !(*last).nextpool.is_null() {
                last = (*last).nextpool;
            }
            (*last).nextpool = pool;
            (*pool).prevpool = last;
            (*pool).nextpool = ptr::null_mut();
            true
        }
    }

    /// What a faulty free does to the block behind a live one from a pool.
    ///
    /// # Safety
    ///
    /// `block` is a live block from a pool.
    #[inline(always)]
    pub(super) unsafe fn free_amiss(&mut self, block: *mut u8) {
        if !self.has(Fault::FreeWritesBehind) {
            return;
        }
        // SAFETY: the word lies in the pool.
        unsafe {
            let pool = pool_of::<L>(block);
            let size = L::class_size((*pool).szidx as usize);
            if block.addr() - pool.addr() + 2 * size <= L::POOL_SIZE {
                set_link(block.add(size + 8), block);
            }
        }
    }
}
