//! Faults that can be planted in the allocator, each to break one promise and no other.
//!
//! A checker of allocators is itself to be checked: an allocator that is wrong in one known way must be found out. The
//! sound allocator pays nothing for this: it is compiled with [`Sound`], which says at compile time that no fault is
//! there.
//!
//! Bugs that CPython had are among them, where they can be. These cannot:
//!
//! - races, for one thread has the allocator: reading `arenaindex` twice (bpo-8020), function and context of a hook read
//!   apart (gh-111924), tracing after a free (gh-128679);
//! - reads of foreign memory, which the layouts before 3.10 do without here: the clause `address != 0` (SF 1123430), tags of
//!   memory (gh-87759);
//! - arenas that stay in the address map after they went: what is freed there next ends the process;
//! - dropped address bits (bpo-45521, bpo-45526): two blocks whose addresses differ in nothing else would be needed, and the
//!   kernel does not give them;
//! - arenas and blocks of several interpreters (gh-101659, gh-110411, gh-113055, gh-116510), mimalloc (gh-112532, gh-117755,
//!   gh-132070, gh-145615), tracemalloc (bpo-21639), start-up (bpo-32030), of which the reference has none;
//! - endless recursion of the fallback (bpo-18874), which ends the process that would tell of it;
//! - what costs time only (bpo-37029), and what was wrong about other machines (bpo-14232, bpo-30150, gh-121460).

/// What is wrong with an allocator.
pub trait Faults: Copy {
    /// Whether this fault is planted.
    fn planted(self, fault: Fault) -> bool;
}

/// Nothing is wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sound;

impl Faults for Sound {
    #[inline(always)]
    fn planted(self, _: Fault) -> bool {
        false
    }
}

/// One thing is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Planted(pub Fault);

impl Faults for Planted {
    #[inline]
    fn planted(self, fault: Fault) -> bool {
        self.0 == fault
    }
}

macro_rules! faults {
    ($(#[doc = $doc:literal] $fault:ident = $name:literal,)*) => {
        /// A fault that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault { $(#[doc = $doc] $fault,)* }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Fault] = &[$(Fault::$fault,)*];

            /// The fault's name.
            pub const fn name(self) -> &'static str {
                match self { $(Fault::$fault => $name,)* }
            }

            /// Whether it is a fault of the debug layer.
            pub fn is_of_debug_layer(self) -> bool {
                self.name().starts_with("debug-")
            }

            /// What is wrong, in one line.
            pub const fn description(self) -> &'static str {
                match self { $(Fault::$fault => $doc.trim_ascii(),)* }
            }
        }
    };
}

faults! {
    // Sizes of 0 and the size limit.
    /// `malloc(0)` returns null.
    ZeroRefused = "zero-refused",
    /// Live blocks of size 0 share one address, by the doing of whoever hooks the raw domain.
    ZeroShared = "zero-shared",
    /// A block from `malloc(0)` is counted twice.
    ZeroCountedTwice = "zero-counted-twice",
    /// `malloc(0)` is served from a pool of the first class, if one is in use.
    ZeroFromPools = "zero-from-pools",
    /// The default raw `malloc` asks the C library for 0 bytes.
    ZeroReachesLibrary = "zero-reaches-library",
    /// `malloc` does not know the size limit.
    MallocUnlimited = "malloc-unlimited",

    // Resizing.
    /// `realloc(p, 0)` frees and returns null.
    ReallocZeroFrees = "realloc-zero-frees",
    /// `realloc(p, 0)` of a raw block returns the old block when the raw domain fails.
    ReallocZeroFailReturnsOld = "realloc-zero-fail-returns-old",
    /// `realloc(p, 0)` of a raw block asks the raw domain for 1 byte.
    ReallocZeroAsksOne = "realloc-zero-asks-one",
    /// `realloc` does not know the size limit.
    ReallocUnlimited = "realloc-unlimited",
    /// A raw block that was resized is no longer counted.
    ReallocUncounts = "realloc-uncounts",
    /// `realloc(NULL, n)` of a large size asks the raw domain for a realloc.
    ReallocNullStaysRealloc = "realloc-null-stays-realloc",
    /// A block in a pool that moves loses its last byte.
    MoveCopiesShort = "move-copies-short",
    /// A raw block that could not be resized has its first byte inverted.
    ReallocFailDamages = "realloc-fail-damages",
    /// A block that moves from a pool to a pool is not freed.
    ReallocLeaksOld = "realloc-leaks-old",

    // calloc.
    /// Recycled memory of pools is not cleared for several elements of several bytes.
    CallocDirty = "calloc-dirty",
    /// `calloc` of no bytes returns null.
    CallocZeroRefused = "calloc-zero-refused",
    /// `calloc` of no bytes asks the raw domain for (1, 1).
    CallocZeroAsksOne = "calloc-zero-asks-one",
    /// `calloc` multiplies without a look at the result.
    CallocWraps = "calloc-wraps",
    /// `calloc` refuses the largest count that is allowed.
    CallocLimitExclusive = "calloc-limit-exclusive",
    /// A large `calloc` asks the raw domain for one element of the whole size, if that is below 4 GiB.
    CallocMerged = "calloc-merged",
    /// A small `calloc` of one element, or of elements of one byte, is served by the raw domain.
    CallocSmallRaw = "calloc-small-raw",
    /// A small `calloc` of several elements of several bytes is served by the raw domain.
    CallocArrayRaw = "calloc-array-raw",

    // Classes and pools.
    /// Blocks lie 8 bytes off, where the pool has room for that.
    PoolMisaligned = "pool-misaligned",
    /// The blocks of a pool lie as far apart as those of the next class.
    ClassOneUp = "class-one-up",
    /// A pool's remainder is handed out as a block if no more of it than a header's size lies beyond the pool.
    LastBlockBeyondPool = "last-block-beyond-pool",
    /// `malloc(512)` is served by the raw domain.
    ThresholdExclusive = "threshold-exclusive",
    /// From the fourth on, the blocks of a fresh pool of a class above 16 overlap by 16 bytes.
    BlocksOverlap = "blocks-overlap",
    /// A `free` also writes into the block behind, beyond the word that a free list would use.
    FreeWritesBehind = "free-writes-behind",

    // Which blocks move.
    /// A block whose shrinking saves exactly a quarter stays in place.
    ShrinkQuarterStays = "shrink-quarter-stays",
    /// A block stays in place if its new size belongs to its class, unless exactly a quarter is saved.
    ShrinkSameClassStays = "shrink-same-class-stays",
    /// A shrinking block that moves goes to the raw domain.
    ShrinkToRaw = "shrink-to-raw",
    /// A block in fresh memory that grows by a word or more to the whole size of its class moves.
    GrowMoves = "grow-moves",
    /// A block that grows out of the pools is obtained by a raw `calloc`.
    CrossUpCalloc = "cross-up-calloc",
    /// A block that cannot grow out of the pools is freed.
    CrossUpFailFrees = "cross-up-fail-frees",
    /// A raw block that shrinks to a small size moves into a pool.
    CrossDownMoves = "cross-down-moves",
    /// A raw block is resized by two requests to the raw domain.
    RawReallocTwice = "raw-realloc-twice",
    /// A block that grows out of the pools is counted twice.
    CrossUpCountedTwice = "cross-up-counted-twice",

    // Sources.
    /// A large `malloc` goes past the raw domain to the C library.
    LargePastRaw = "large-past-raw",
    /// A raw block that is freed is shrunk to nothing, but not given back.
    RawLeaks = "raw-leaks",
    /// A large `malloc` sees to it that there is an arena.
    ArenaEager = "arena-eager",
    /// Arenas are asked for at twice their size.
    ArenaTwiceTheSize = "arena-twice-the-size",
    /// An arena is given back at its first pool boundary.
    ArenaFreedAtPool = "arena-freed-at-pool",
    /// The default arena allocator takes arenas from `malloc`.
    ArenaFromMalloc = "arena-from-malloc",
    /// A small request fails when there is no arena for it.
    ArenaFailRefuses = "arena-fail-refuses",
    /// A misaligned arena is thought to hold as many pools as an aligned one: the last reaches beyond its end.
    MisalignedArenaFull = "misaligned-arena-full",
    /// `free(NULL)` reaches the raw domain.
    FreeNullReachesRaw = "free-null-reaches-raw",

    // Orders and counts. Some are bugs that CPython had.
    /// The last block of a pool that leaves no remainder is never handed out.
    LastBlockLost = "last-block-lost",
    /// A full pool that a block is freed into goes to the back of its class list.
    FullPoolToBack = "full-pool-to-back",
    /// A freed block goes to the end of its pool's free list.
    FreeListQueue = "free-list-queue",
    /// An empty pool forgets its free list even if its class stays.
    EmptyPoolForgets = "empty-pool-forgets",
    /// An arena's empty pools are used again in the order in which they became empty.
    EmptyPoolsQueue = "empty-pools-queue",
    /// Pools are carved from an arena as long as any can be, whatever empty ones it has.
    CarvesFirst = "carves-first",
    /// The last arena with some number of free pools is remembered as that after it has one more.
    FingerForgets = "finger-forgets",
    /// An arena that gets a free pool goes behind those that have as many, not before them.
    ArenaAfterEquals = "arena-after-equals",
    /// The last usable arena goes back as soon as it is empty (before 3.9, and the thrashing of bpo-37257).
    LastArenaGoesBack = "last-arena-goes-back",
    /// Empty arenas are never given back (as before 2.5).
    ArenasStay = "arenas-stay",
    /// A displaced arena counts as empty only with as many free pools as an aligned one holds.
    DisplacedArenaStays = "displaced-arena-stays",
    /// The vector of arenas grows by one entry.
    VectorByOne = "vector-by-one",
    /// When an arena is refused, the entry that was to have it is lost (as the error path of new_arena once was wrong).
    RefusedEntryLost = "refused-entry-lost",
    /// An arena that the address map has no node for is not given back.
    UnmappedArenaLeaks = "unmapped-arena-leaks",
    /// An arena is given back with a size other than its own (bpo-3329, gh-144319).
    ArenaFreedShort = "arena-freed-short",
    /// A displaced arena that is given back takes the next one out of the address map.
    MapClearsNeighbour = "map-clears-neighbour",
    /// What pools do not serve is asked for by another size (bpo-21233).
    RedirectWrongSize = "redirect-wrong-size",
    /// A raw block is counted even if there is none (bpo-13390).
    RefusalCounted = "refusal-counted",
    /// A raw block that is freed still counts.
    RawFreeUncounted = "raw-free-uncounted",

    // The debug layer.
    /// The debug layer does not put back what it erased of a block that cannot be resized (bpo-18408).
    DebugErasedLost = "debug-erased-lost",
    /// The debug layer lets header and trailer pass the size limit (bpo-22335).
    DebugLimitForgotten = "debug-limit-forgotten",
    /// The debug layer overwrites what a shrinking block leaves at its old place after it moved (bpo-31626).
    DebugWritesAfterMove = "debug-writes-after-move",
    /// The debug layer leaves the first word of a freed block as it was (gh-115891).
    DebugFillLate = "debug-fill-late",
    /// The debug layer writes down the new size of a block that cannot be resized.
    DebugSizeOfFailure = "debug-size-of-failure",
    /// The debug layer looks only at the first byte behind a block.
    DebugOneTrailingByte = "debug-one-trailing-byte",
    /// The debug layer looks only at six of the seven bytes before a block.
    DebugSixLeadingBytes = "debug-six-leading-bytes",
    /// The debug layer resizes blocks of any domain.
    DebugResizesAny = "debug-resizes-any",
    /// The debug layer fills a block from calloc.
    DebugCallocFilled = "debug-calloc-filled",
    /// The debug layer fills a block that grows from its start.
    DebugGrowthFilled = "debug-growth-filled",
}
