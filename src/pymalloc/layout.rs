//! What makes one build of CPython differ from another.
//!
//! The allocator is written once against [`Layout`]; a layout is a handful of constants, refused at compile time if
//! the allocator could not work with them. The layouts of CPython's builds are named by [`Build`](super::Build).

use super::pool::PoolHeader;
use super::radix::ArenaMap;

/// The most size classes a layout may have.
pub const MAX_CLASSES: usize = 64;
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
    /// Whether the last usable arena is kept when it becomes empty. CPython keeps it since 3.9 (bpo-37257).
    const KEEPS_LAST: bool;
    /// How requests for no bytes are passed on.
    const NOTHING: Nothing = Nothing::AsItIs;
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

/// How pymalloc passes on what it does not serve itself when nothing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// CPython 3.7 and later: the raw domain is asked for 0 bytes, and what it answers is the answer.
    AsItIs,
    /// CPython 3.4 to 3.6: as later, but a raw block is resized to 1 byte instead of 0, and stays as it was if even
    /// that fails, so that `realloc(p, 0)` of it never gives null.
    ResizedToOne,
    /// CPython 2 and 3.0 to 3.3, which have no raw domain: as 3.4, and the C library is asked for 1 byte by malloc too.
    OneByte,
}

/// A layout's numbers as values, for those who compare what an allocator does with what its layout says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// [`Layout::ALIGNMENT`]
    pub alignment: usize,
    /// [`Layout::THRESHOLD`]
    pub threshold: usize,
    /// [`Layout::POOL_SIZE`]
    pub pool: usize,
    /// [`Layout::HEADER`]
    pub header: usize,
    /// [`Layout::ARENA_SIZE`]
    pub arena: usize,
    /// [`Layout::KEEPS_LAST`]
    pub keeps_last: bool,
    /// [`Layout::NOTHING`]
    pub nothing: Nothing,
    /// [`ArenaMap::ROOT_SIZE`]
    pub root: usize,
    /// [`ArenaMap::NODE_SIZES`]
    pub nodes: [usize; 2],
}

impl Geometry {
    /// The numbers of a layout.
    pub const fn of<L: Layout>() -> Geometry {
        Geometry {
            alignment: L::ALIGNMENT,
            threshold: L::THRESHOLD,
            pool: L::POOL_SIZE,
            header: L::HEADER,
            arena: L::ARENA_SIZE,
            keeps_last: L::KEEPS_LAST,
            nothing: L::NOTHING,
            root: <L::Map as ArenaMap>::ROOT_SIZE,
            nodes: <L::Map as ArenaMap>::NODE_SIZES,
        }
    }

    /// The pools in an arena that starts at a pool boundary.
    pub const fn pools(&self) -> usize {
        self.arena / self.pool
    }

    /// The blocks of `class_size` bytes in a pool.
    pub const fn blocks_per_pool(&self, class_size: usize) -> usize {
        (self.pool - self.header) / class_size
    }

    /// Whether the address map asks the raw domain for nodes of this size.
    pub const fn is_node(&self, size: usize) -> bool {
        size != 0 && (size == self.nodes[0] || size == self.nodes[1])
    }
}

/// Refuses, at compile time, a layout that the allocator cannot work with.
pub(super) const fn assert_feasible<L: Layout>() {
    assert!(L::ALIGNMENT.is_power_of_two() && L::ALIGNMENT >= size_of::<*mut u8>());
    assert!(L::THRESHOLD.is_multiple_of(L::ALIGNMENT));
    assert!(L::CLASSES >= 1 && L::CLASSES <= MAX_CLASSES);
    assert!(L::POOL_SIZE.is_power_of_two() && L::POOL_SIZE <= u32::MAX as usize);
    assert!(L::ARENA_SIZE.is_multiple_of(L::POOL_SIZE) && L::ARENA_SIZE <= i32::MAX as usize);
    // A misaligned arena has one pool fewer, and must not become empty by the one free that makes it usable.
    assert!(L::POOLS >= 3 && L::POOLS <= MAX_POOLS);
    // A new pool is set up with two blocks, and a full one cannot become empty by one free.
    assert!(L::POOL_SIZE - L::HEADER >= 2 * L::THRESHOLD);
}
