//! The sizes that make one build of CPython differ from another.
//!
//! The allocator is written once against [`Layout`]; a layout is a handful of constants, refused at compile time if
//! the allocator could not work with them.

use super::pool::PoolHeader;
use super::radix::{ArenaMap, Radix};

/// The most size classes a layout may have.
pub(super) const MAX_CLASSES: usize = 64;
/// The most pools an arena of any layout may hold.
pub(super) const MAX_POOLS: usize = 256;

/// The constants of one build of pymalloc. All sizes are in bytes.
pub trait Layout {
    /// The alignment of blocks and the distance between size classes (`ALIGNMENT`).
    const ALIGNMENT: usize;
    /// The largest request that pools serve (`SMALL_REQUEST_THRESHOLD`).
    const THRESHOLD: usize;
    /// The size and alignment of a pool (`POOL_SIZE`).
    const POOL_SIZE: usize;
    /// The size of an arena; its alignment is up to its source (`ARENA_SIZE`).
    const ARENA_SIZE: usize;
    /// How addresses are told to lie in an arena.
    type Map: ArenaMap;

    /// `ALIGNMENT` as a power of two (`ALIGNMENT_SHIFT`).
    const ALIGNMENT_SHIFT: u32 = Self::ALIGNMENT.trailing_zeros();
    /// The number of size classes (`NB_SMALL_SIZE_CLASSES`).
    const CLASSES: usize = Self::THRESHOLD / Self::ALIGNMENT;
    /// What the header takes at the start of a pool (`POOL_OVERHEAD`).
    const HEADER: usize = size_of::<PoolHeader>().next_multiple_of(Self::ALIGNMENT);
    /// The pools in an arena that starts at a pool boundary (`MAX_POOLS_IN_ARENA`).
    const POOLS: usize = Self::ARENA_SIZE / Self::POOL_SIZE;

    /// Whether pools serve a request of `size` bytes.
    #[inline(always)]
    fn is_small(size: usize) -> bool {
        size.wrapping_sub(1) < Self::THRESHOLD
    }

    /// The class that serves a small request of `size` bytes.
    #[inline(always)]
    fn class_of(size: usize) -> usize {
        (size - 1) >> Self::ALIGNMENT_SHIFT
    }

    /// The size of the blocks of a class.
    #[inline(always)]
    fn class_size(class: usize) -> usize {
        (class + 1) << Self::ALIGNMENT_SHIFT
    }

    /// The number of blocks that a pool of a class holds.
    fn blocks_per_pool(class: usize) -> usize {
        (Self::POOL_SIZE - Self::HEADER) / Self::class_size(class)
    }
}

/// Refuses, at compile time, a layout that the allocator cannot work with.
pub(super) const fn assert_feasible<L: Layout>() {
    assert!(L::ALIGNMENT.is_power_of_two() && L::ALIGNMENT >= size_of::<*mut u8>());
    assert!(L::THRESHOLD.is_multiple_of(L::ALIGNMENT));
    assert!(L::CLASSES >= 1 && L::CLASSES <= MAX_CLASSES);
    assert!(L::POOL_SIZE.is_power_of_two() && L::POOL_SIZE <= u32::MAX as usize);
    assert!(L::ARENA_SIZE.is_multiple_of(L::POOL_SIZE) && L::ARENA_SIZE <= i32::MAX as usize);
    // A misaligned arena has one pool fewer, and must have one.
    assert!(L::POOLS >= 2 && L::POOLS <= MAX_POOLS);
    // A new pool is set up with two blocks, and a full one cannot become empty by one free.
    assert!(L::POOL_SIZE - L::HEADER >= 2 * L::THRESHOLD);
}

/// CPython 3.11 and later, 64-bit: 16-byte classes, 16 KiB pools, 1 MiB arenas, all 64 bits of an address looked at.
#[derive(Clone, Copy, Debug)]
pub struct P16kR64;

impl Layout for P16kR64 {
    const ALIGNMENT: usize = 16;
    const THRESHOLD: usize = 512;
    const POOL_SIZE: usize = 1 << 14;
    const ARENA_SIZE: usize = 1 << 20;
    type Map = Radix<20, { 1 << 15 }, { 1 << 15 }, { 1 << 14 }>;
}
