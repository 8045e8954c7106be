//! The allocator: malloc, calloc and free.

use super::arena::{Arenas, Sources, Statistics};
use super::fault::{Fault, Faults, Sound};
use super::layout::{Layout, MAX_CLASSES, Nothing, assert_feasible};
use super::pool::{PoolHeader, link, pool_of, prefetch, set_link};
use super::radix::ArenaMap;
use super::source::{ArenaSource, DefaultRaw, Mmap, Raw};
use std::hint::select_unpredictable;
use std::ptr;

/// The largest size that anything is asked for (`PY_SSIZE_T_MAX`).
pub const SIZE_LIMIT: usize = isize::MAX as usize;

/// pymalloc, in the sizes of `L`, over the raw domain `R` and the arena allocator `A`.
///
/// Blocks, pools and arenas are lost when it is dropped: like that of CPython's main interpreter, the state is meant to
/// live as long as the process. [`reset`](Pymalloc::reset) gives them back. It is large (the root of the address map is part of it), so it belongs into a static
/// or a box.
pub struct Pymalloc<L: Layout, R = DefaultRaw, A = Mmap, F = Sound> {
    /// The first pool of each class that is neither full nor empty (`usedpools`).
    pub(super) used: [*mut PoolHeader; MAX_CLASSES],
    /// The blocks obtained from the raw domain on behalf of callers (`raw_allocated_blocks`).
    pub(super) raw_blocks: isize,
    pub(super) sources: Sources<R, A, F>,
    pub(super) arenas: Arenas<L>,
}

impl<L: Layout, R: Raw, A: ArenaSource> Pymalloc<L, R, A> {
    /// An allocator without arenas.
    pub const fn new(raw: R, arenas: A) -> Self {
        Pymalloc::with_faults(raw, arenas, Sound)
    }
}

impl<L: Layout, R: Raw, A: ArenaSource, F: Faults> Pymalloc<L, R, A, F> {
    /// An allocator without arenas, in which something may be wrong.
    pub const fn with_faults(raw: R, arenas: A, faults: F) -> Self {
        const { assert_feasible::<L>() }
        Pymalloc {
            used: [ptr::null_mut(); MAX_CLASSES],
            raw_blocks: 0,
            sources: Sources {
                raw,
                arenas,
                faults,
            },
            arenas: Arenas::EMPTY,
        }
    }

    /// The raw domain.
    pub fn raw_mut(&mut self) -> &mut R {
        &mut self.sources.raw
    }

    /// The arena allocator. Changing it concerns arenas obtained from then on and all that are given back.
    pub fn arenas_mut(&mut self) -> &mut A {
        &mut self.sources.arenas
    }

    /// What became of arenas so far.
    pub fn statistics(&self) -> Statistics {
        self.arenas.statistics
    }

    /// The number of live blocks, as `sys.getallocatedblocks` counts them. Visits every pool.
    pub fn allocated_blocks(&self) -> usize {
        let pools = self
            .arenas
            .entries()
            .iter()
            .flat_map(|arena| arena.pools::<L>());
        // SAFETY: carved pools have a header.
        let in_pools: usize = pools.map(|pool| unsafe { (*pool).count as usize }).sum();
        in_pools.wrapping_add_signed(self.raw_blocks)
    }

    /// The size of the class of a block from a pool; `None` of any other.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this allocator.
    pub unsafe fn class_size(&self, block: *mut u8) -> Option<usize> {
        // SAFETY: the caller's promise; only blocks from pools lie in arenas, and a pool in use has a class.
        let class = || unsafe { (*pool_of::<L>(block)).szidx as usize };
        let pooled = self.arenas.map.contains(block.addr());
        pooled.then(|| L::class_size(class()))
    }

    #[inline(always)]
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.sources.faults.planted(fault)
    }

    /// `PyObject_Malloc`: `size` bytes, or null if there is no memory or `size` exceeds [`SIZE_LIMIT`]. A block of size
    /// 0 is a block like any other.
    #[inline]
    pub fn malloc(&mut self, size: usize) -> *mut u8 {
        if L::is_small(size) && !(self.has(Fault::ThresholdExclusive) && size == L::THRESHOLD) {
            let block = self.pool_alloc_used(size);
            if !block.is_null() {
                return block;
            }
        }
        self.malloc_slow(size)
    }

    /// What no pool in use serves: nothing, too much, or the first block of a pool. The limit can be tested as late as
    /// here, because what is small is within it.
    #[inline(never)]
    fn malloc_slow(&mut self, size: usize) -> *mut u8 {
        if size > SIZE_LIMIT && !self.has(Fault::MallocUnlimited) {
            return ptr::null_mut();
        }
        if let Some(block) = self.malloc_amiss(size) {
            return block;
        }
        self.allocate(size)
    }

    /// `PyObject_Calloc`: `count * size` zeroed bytes, or null if there is no memory or the product exceeds
    /// [`SIZE_LIMIT`].
    #[inline]
    pub fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let total = match count.checked_mul(size) {
            Some(total) if total <= SIZE_LIMIT => total,
            _ if self.has(Fault::CallocWraps) => count.wrapping_mul(size),
            _ => return ptr::null_mut(),
        };
        if self.has(Fault::CallocLimitExclusive)
            && total > SIZE_LIMIT - SIZE_LIMIT.min(size)
            && count != 0
        {
            return ptr::null_mut();
        }
        let array = count > 1 && size > 1;
        let refused = self.has(if array {
            Fault::CallocArrayRaw
        } else {
            Fault::CallocSmallRaw
        });
        if L::is_small(total) && !refused {
            let block = self.pool_alloc(total);
            if !block.is_null() {
                if !(self.has(Fault::CallocDirty) && array) {
                    // SAFETY: the block is new and has this size.
                    unsafe { block.write_bytes(0, total) };
                }
                return block;
            }
        }
        self.calloc_raw(count, size, total)
    }

    fn calloc_raw(&mut self, count: usize, size: usize, total: usize) -> *mut u8 {
        if self.has(Fault::CallocZeroRefused) && total == 0 {
            return ptr::null_mut();
        }
        let (mut count, mut size) = (count, size);
        if self.has(Fault::CallocZeroAsksOne) && total == 0 {
            (count, size) = (1, 1);
        }
        if self.has(Fault::CallocMerged) && total > L::THRESHOLD && total < 1 << 32 {
            (count, size) = (1, total);
        }
        let block = self.sources.raw.calloc(count, size);
        self.counted(block)
    }

    /// `PyObject_Free`: gives back a block; null is none.
    ///
    /// # Safety
    ///
    /// `block` is null or a live block of this allocator, and is not used again.
    #[inline]
    pub unsafe fn free(&mut self, block: *mut u8) {
        // The link that is to be written there would wait for that of the pool.
        prefetch(block);
        // SAFETY: the caller's promise; only blocks from pools lie in arenas.
        unsafe {
            if self.arenas.map.contains(block.addr()) {
                self.free_amiss(block);
                self.pool_free(block);
            } else {
                self.free_raw(block);
            }
        }
    }

    /// # Safety
    ///
    /// As for [`free`](Pymalloc::free), of a block that lies in no arena.
    unsafe fn free_raw(&mut self, block: *mut u8) {
        if block.is_null() && !self.has(Fault::FreeNullReachesRaw) {
            return;
        }
        self.raw_blocks -= isize::from(!self.has(Fault::RawFreeUncounted));
        // SAFETY: what lies in no arena came from the raw domain.
        unsafe {
            if self.has(Fault::RawLeaks) {
                self.sources.raw.realloc(block, 0);
                return;
            }
            self.sources.raw.free(block);
        }
    }

    /// Gives back arenas and bookkeeping: the allocator is as it was made. CPython does the same when an interpreter
    /// ends. What came from a raw `calloc` is given back as it was obtained, zeroed. Blocks of the raw domain are
    /// nobody's then; whoever has one frees it before.
    ///
    /// # Safety
    ///
    /// No block of this allocator is used afterwards.
    pub unsafe fn reset(&mut self) {
        self.used = [ptr::null_mut(); MAX_CLASSES];
        self.raw_blocks = 0;
        // SAFETY: blocks are all that leads to pools.
        unsafe { self.arenas.clear(&mut self.sources) };
    }

    /// A block from wherever malloc of the size finds one, once the size is known to be allowed.
    #[inline]
    pub(super) fn allocate(&mut self, size: usize) -> *mut u8 {
        if L::is_small(size) {
            let block = self.pool_alloc(size);
            if !block.is_null() {
                return block;
            }
        }
        self.malloc_raw(size)
    }

    pub(super) fn malloc_raw(&mut self, size: usize) -> *mut u8 {
        let nothing = L::NOTHING == Nothing::OneByte && size == 0;
        let mut asked = if nothing { 1 } else { size };
        if self.has(Fault::RedirectWrongSize) && size > L::THRESHOLD {
            asked ^= 16;
        }
        let block = self.sources.raw.malloc(asked);
        self.counted(block)
    }

    /// Counts a block from the raw domain, if it is one.
    #[inline]
    pub(super) fn counted(&mut self, block: *mut u8) -> *mut u8 {
        self.raw_blocks += isize::from(!block.is_null() || self.has(Fault::RefusalCounted));
        block
    }

    /// A block from a pool, or null if there is no memory for one (`pymalloc_alloc`). The size is a small one.
    #[inline(always)]
    pub(super) fn pool_alloc(&mut self, size: usize) -> *mut u8 {
        let block = self.pool_alloc_used(size);
        if block.is_null() {
            self.pool_alloc_new(L::class_of(size))
        } else {
            block
        }
    }

    /// A block from a pool in use, or null if there is none of the class.
    #[inline(always)]
    pub(super) fn pool_alloc_used(&mut self, size: usize) -> *mut u8 {
        let class = L::class_of(size);
        let pool = self.used[class];
        if pool.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: a pool in a class list has a free block, and up to the limit room for one that was never handed out.
        unsafe {
            let block = (*pool).freeblock;
            let next = link(block);
            (*pool).count += 1;
            (*pool).freeblock = next;
            // Whether it was the last one is hard to guess, so it is no branch. That there are others, which were never
            // handed out, is easier: those come in a row.
            let last = next.is_null();
            let limit = select_unpredictable(last, (*pool).maxnextoffset, 0);
            if (*pool).nextoffset <= limit
                && PoolHeader::extend::<L>(pool, class, self.sources.faults)
            {
                return block;
            }
            // A full pool leaves its list (`pymalloc_pool_extend`).
            self.used[class] = select_unpredictable(last, (*pool).nextpool, pool);
            // Its link is what the next request of this class would wait for.
            prefetch(select_unpredictable(last, block, next));
            block
        }
    }

    /// A block from a pool that was empty, or null if there is none (`allocate_from_new_pool`).
    #[inline(never)]
    fn pool_alloc_new(&mut self, class: usize) -> *mut u8 {
        let pool = self.arenas.take_pool(&mut self.sources);
        if pool.is_null() {
            return ptr::null_mut();
        }
        self.used[class] = pool;
        // SAFETY: the pool is empty and ours.
        unsafe {
            (*pool).nextpool = ptr::null_mut();
            (*pool).count = 1;
            if (*pool).szidx != class as u32 || self.has(Fault::EmptyPoolForgets) {
                return PoolHeader::begin::<L>(pool, class, self.sources.faults);
            }
            // It was of this class before: its free list is good.
            let block = (*pool).freeblock;
            (*pool).freeblock = link(block);
            block
        }
    }

    /// Gives a block back to its pool (`pymalloc_free`).
    ///
    /// # Safety
    ///
    /// `block` is a live block from a pool, and is not used again.
    #[inline(always)]
    pub(super) unsafe fn pool_free(&mut self, block: *mut u8) {
        let pool = pool_of::<L>(block);
        // SAFETY: the caller's promise.
        unsafe {
            let first = (*pool).freeblock;
            set_link(block, first);
            (*pool).freeblock = block;
            (*pool).count -= 1;
            if self.has(Fault::FreeListQueue) && !first.is_null() {
                self.queue(pool, block, first);
            }
            if first.is_null() {
                self.pool_was_full(pool);
            } else if (*pool).count == 0 {
                self.pool_is_empty(pool);
            }
        }
    }

    /// Puts a pool that has a free block again at the front of its class list (`insert_to_usedpool`).
    ///
    /// # Safety
    ///
    /// `pool` is a pool in use that is in no list.
    unsafe fn pool_was_full(&mut self, pool: *mut PoolHeader) {
        // SAFETY: the caller's promise; class lists lead to pools, and a pool in use has a class.
        unsafe {
            if self.has(Fault::FullPoolToBack) && self.pool_to_back(pool) {
                return;
            }
            let first = self.used.get_unchecked_mut((*pool).szidx as usize);
            let second = std::mem::replace(first, pool);
            (*pool).nextpool = second;
            // Whether there is one is hard to guess: a first pool may have any `prevpool`.
            let behind = if second.is_null() { pool } else { second };
            (*behind).prevpool = pool;
        }
    }

    /// Takes an empty pool out of its class list and gives it back to its arena.
    ///
    /// # Safety
    ///
    /// `pool` is in its class list and has no live block.
    #[inline(never)]
    unsafe fn pool_is_empty(&mut self, pool: *mut PoolHeader) {
        // SAFETY: the caller's promise; neighbours in the list are pools.
        unsafe {
            let first = self.used.get_unchecked_mut((*pool).szidx as usize);
            let next = (*pool).nextpool;
            if *first == pool {
                *first = next;
            } else {
                let prev = (*pool).prevpool;
                (*prev).nextpool = next;
                if !next.is_null() {
                    (*next).prevpool = prev;
                }
            }
            self.arenas.give_pool(pool, &mut self.sources);
        }
    }
}

// The other two domains have pymalloc for their allocator, so it can be what lies beneath a debug layer.
// SAFETY: blocks of pools and of the raw domain are nobody else's until they are freed.
unsafe impl<L: Layout, R: Raw, A: ArenaSource, F: Faults> Raw for Pymalloc<L, R, A, F> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        Pymalloc::malloc(self, size)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        Pymalloc::calloc(self, count, size)
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { Pymalloc::realloc(self, block, size) }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { Pymalloc::free(self, block) }
    }
}
