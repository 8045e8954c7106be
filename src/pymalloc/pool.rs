//! A pool: a header, then blocks of one class.
//!
//! Header and free list lie in the pool itself, at CPython's offsets. The first word of a free block points to the
//! next free block of its pool. Blocks beyond `nextoffset` were never handed out and never written.

use super::fault::{Fault, Faults};
use super::layout::Layout;
use std::ptr;

/// The class of a pool that was carved but never used.
pub(super) const DUMMY_SIZE_IDX: u32 = 0xffff;

/// What stands at the start of every pool. The names are CPython's.
#[repr(C)]
#[derive(Debug)]
pub(super) struct PoolHeader {
    /// Blocks handed out (`ref.count`).
    pub count: u32,
    /// The first free block; null if and only if the pool is full.
    pub freeblock: *mut u8,
    /// The next pool with free blocks of the class; of an empty pool, the next empty pool of the arena.
    pub nextpool: *mut PoolHeader,
    /// The previous pool of the class; meaningless in the first, and in a full or empty pool.
    pub prevpool: *mut PoolHeader,
    /// The arena's position in the vector of arenas.
    pub arenaindex: u32,
    /// The class.
    pub szidx: u32,
    /// Where the next block that was never handed out lies, from the start of the pool.
    pub nextoffset: u32,
    /// The largest `nextoffset` at which a block fits.
    pub maxnextoffset: u32,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<PoolHeader>() == 48);

/// The pool that a block of pymalloc lies in.
#[inline(always)]
pub(super) fn pool_of<L: Layout>(block: *mut u8) -> *mut PoolHeader {
    block
        .map_addr(|address| address & !(L::POOL_SIZE - 1))
        .cast()
}

/// The link in a free block.
///
/// # Safety
///
/// `block` is a free block of a pool.
#[inline(always)]
pub(super) unsafe fn link(block: *mut u8) -> *mut u8 {
    // SAFETY: blocks are aligned for a pointer and as large as one or larger.
    unsafe { block.cast::<*mut u8>().read() }
}

/// Sets the link in a free block.
///
/// # Safety
///
/// `block` is a block of a pool that nobody owns.
#[inline(always)]
pub(super) unsafe fn set_link(block: *mut u8, next: *mut u8) {
    // SAFETY: as in `link`.
    unsafe { block.cast::<*mut u8>().write(next) }
}

/// Asks the processor for the memory at a place, which need not exist.
#[inline(always)]
pub(super) fn prefetch(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which takes any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The distance of blocks in a pool of a class.
#[inline(always)]
fn stride<L: Layout>(class: usize, faults: impl Faults) -> usize {
    L::class_size(if faults.planted(Fault::ClassOneUp) {
        class + 1
    } else {
        class
    })
}

impl PoolHeader {
    /// Makes a pool ready for a class and takes its first block. The second one is made free as well, so that a pool
    /// in use always has a free block; the rest is left for when it is needed.
    ///
    /// # Safety
    ///
    /// `pool` is an empty pool that is in no list.
    pub unsafe fn begin<L: Layout>(
        pool: *mut PoolHeader,
        class: usize,
        faults: impl Faults,
    ) -> *mut u8 {
        let size = stride::<L>(class, faults);
        let mut first = L::HEADER;
        let mut max = L::POOL_SIZE - size;
        let slack = (L::POOL_SIZE - L::HEADER) % size;
        if faults.planted(Fault::PoolMisaligned) && slack >= 8 {
            first += 8;
        }
        if faults.planted(Fault::LastBlockBeyondPool) && slack != 0 && size - slack <= L::HEADER {
            max = L::POOL_SIZE - slack;
        }
        // SAFETY: the pool is ours, and two blocks fit into it.
        unsafe {
            let block = pool.cast::<u8>().add(first);
            let second = block.add(size);
            set_link(second, ptr::null_mut());
            (*pool).szidx = class as u32;
            (*pool).nextoffset = (first + 2 * size) as u32;
            (*pool).maxnextoffset = max as u32;
            (*pool).freeblock = second;
            block
        }
    }

    /// Makes free the next block that was never handed out. Answers whether it did, which only a fault prevents.
    ///
    /// # Safety
    ///
    /// `pool` is a pool in use whose free list is empty, and has such a block.
    #[inline]
    pub unsafe fn extend<L: Layout>(
        pool: *mut PoolHeader,
        class: usize,
        faults: impl Faults,
    ) -> bool {
        // SAFETY: up to `maxnextoffset` there is room for a block.
        unsafe {
            let offset = (*pool).nextoffset;
            if faults.planted(Fault::LastBlockLost) && offset == (*pool).maxnextoffset {
                return false;
            }
            let size = stride::<L>(class, faults);
            let narrower = if faults.planted(Fault::BlocksOverlap) && class > 0 {
                L::ALIGNMENT
            } else {
                0
            };
            let block = pool.cast::<u8>().add(offset as usize);
            (*pool).freeblock = block;
            (*pool).nextoffset = offset + (size - narrower) as u32;
            set_link(block, ptr::null_mut());
            // The next one is asked for soon.
            prefetch(block.wrapping_add(size));
            true
        }
    }
}
