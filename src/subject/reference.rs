//! The reference allocator as a subject: its sources are hooked, its arenas lie where they lie in every process, and a
//! fault can be planted in it.
//!
//! Between pymalloc and the system stand the two hooks that CPython has. They write down every request, fail the ones
//! they are told to, and displace arenas. Beneath the raw hook lies pymalloc's own default of the raw domain, over a C
//! library that writes down what it is asked for as well: only so it can be seen who turns a size of 0 into 1.

/// Rules that an allocator with this fault cannot but break together with [`breaks`]`(fault)`.
pub const fn consequences(fault: Fault) -> &'static [RuleId] {
    match fault {
        // Two owners of one block resize it.
        Fault::ZeroShared => &[RuleId::ReallocContent],
        // A block of the wrong class moves and stays where one of the right class would not.
        Fault::ClassOneUp => &[
            RuleId::ShrinkQuarter,
            RuleId::ShrinkSameClassMoves,
            RuleId::GrowWithinClass,
        ],
        // Blocks of no bytes lie among those of one to 16.
        Fault::ZeroFromPools => &[RuleId::ClassIndex, RuleId::ArenaOnDemand],
        // To resize a block of its class's size to that size is no growth, but goes the same way.
        Fault::GrowMoves => &[RuleId::ShrinkSameClassMoves],
        // What is never given back cannot be had again.
        Fault::RawLeaks => &[RuleId::OomRecovers, RuleId::FreeMakesAvailable],
        // The boundary of the quarter rule is met there, too.
        Fault::ThresholdExclusive | Fault::ShrinkSameClassStays => &[RuleId::ShrinkQuarter],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;

use super::log::{Countdown, Log};
use super::pymalloc::calls_of_pymalloc;
use super::{Event, Source, Subject};
use crate::program::Call;
use crate::pymalloc::{
    ArenaSource, CLibrary, DefaultRaw, Fault, Faults, Layout, Mmap, P16kR64, Planted, Pymalloc,
    Raw, Sound,
};
use crate::spec::RuleId;
use std::marker::PhantomData;
use std::ptr;

type Heap<F, L> = Pymalloc<L, RawHook<F>, ArenaHook<F, L>, F>;

/// pymalloc over hooked sources.
pub struct Reference<F: Faults = Sound, L: Layout = P16kR64> {
    heap: Box<Heap<F, L>>,
    log: Log,
}

impl Reference {
    /// The reference as it should be, in the layout of today's CPython.
    pub fn new() -> Reference {
        Reference::with_layout()
    }
}

impl<L: Layout> Reference<Sound, L> {
    /// The reference as it should be.
    pub fn with_layout() -> Reference<Sound, L> {
        Reference::assemble(Sound)
    }
}

impl Default for Reference {
    fn default() -> Reference {
        Reference::new()
    }
}

impl Reference<Planted> {
    /// The reference with a fault: a mutant for [`breaks`]`(fault)`.
    pub fn with_fault(fault: Fault) -> Reference<Planted> {
        Reference::assemble(Planted(fault))
    }
}

impl<F: Faults, L: Layout> Reference<F, L> {
    fn assemble(faults: F) -> Reference<F, L> {
        let log = Log::new();
        let raw = RawHook {
            log: log.clone(),
            failing: Countdown::NEVER,
            default: DefaultRaw::over(LoggedLibrary { log: log.clone() }, faults),
            faults,
            shared: ptr::null_mut(),
            large: Vec::new(),
            putting_by: false,
        };
        let arenas = ArenaHook {
            log: log.clone(),
            failing: Countdown::NEVER,
            shift: 0,
            default: Mmap::aligned(L::ARENA_SIZE, faults),
            mappings: Vec::new(),
            spare: Vec::new(),
            layout: PhantomData,
        };
        Reference {
            heap: Box::new(Heap::with_faults(raw, arenas, faults)),
            log,
        }
    }
}

impl<F: Faults, L: Layout> Subject for Reference<F, L> {
    const HOOKED: bool = true;

    calls_of_pymalloc!(|reference| &mut *reference.heap);

    #[inline]
    fn events(&self) -> &[Event] {
        self.log.events()
    }
    #[inline]
    fn clear_events(&mut self) {
        self.log.clear();
    }
    fn fail(&mut self, source: Source, nth: u64) {
        match source {
            Source::Raw => self.heap.raw_mut().failing = Countdown::to(nth),
            Source::Arena => self.heap.arenas_mut().failing = Countdown::to(nth),
        }
    }
    fn shift_arenas(&mut self, bytes: usize) {
        self.heap.arenas_mut().shift = bytes;
    }
    unsafe fn renew(&mut self) {
        self.heap.arenas_mut().put_by();
        self.heap.raw_mut().putting_by = true;
        // SAFETY: the contract of [`Subject`].
        unsafe { self.heap.reset() };
        self.heap.raw_mut().renew();
        self.log.clear();
    }
    fn live_blocks(&self) -> Option<usize> {
        Some(self.heap.allocated_blocks())
    }
    fn check_invariants(&self) -> Result<(), String> {
        self.heap.check_invariants()
    }
}

/// The hook on the raw domain.
struct RawHook<F> {
    log: Log,
    failing: Countdown,
    default: DefaultRaw<LoggedLibrary, F>,
    faults: F,
    /// The block that all requests for nothing share under [`Fault::ZeroShared`].
    shared: *mut u8,
    /// What is large and was obtained by a `calloc` of one element: what the allocator knows its arenas by, perhaps.
    large: Vec<Large>,
    /// Whether the allocator gives everything back.
    putting_by: bool,
}

struct Large {
    block: *mut u8,
    size: usize,
    /// Whether it was put by, zeroed: to clear so much memory anew costs more than a short program does.
    spare: bool,
}

/// Bytes from which on it does.
const LARGE: usize = 1 << 17;

// SAFETY: null, or what the default returns, unless a fault is planted.
unsafe impl<F: Faults> Raw for RawHook<F> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        let mut block = if self.failing.strikes() {
            ptr::null_mut()
        } else {
            self.default.malloc(size)
        };
        if self.faults.planted(Fault::ZeroShared) && size == 0 && !block.is_null() {
            block = self.share(block);
        }
        self.log.note(Event::RawMalloc {
            size,
            result: block.addr(),
        });
        block
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let block = if self.failing.strikes() {
            ptr::null_mut()
        } else if count == 1 && size >= LARGE {
            self.calloc_large(size)
        } else {
            self.default.calloc(count, size)
        };
        self.log.note(Event::RawCalloc {
            count,
            size,
            result: block.addr(),
        });
        block
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        let before = block.addr();
        self.forget_large(block);
        let moved = if self.failing.strikes() {
            ptr::null_mut()
        } else if self.is_shared(block) {
            self.default.malloc(size)
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.default.realloc(block, size) }
        };
        self.log.note(Event::RawRealloc {
            block: before,
            size,
            result: moved.addr(),
        });
        moved
    }
    unsafe fn free(&mut self, block: *mut u8) {
        self.log.note(Event::RawFree {
            block: block.addr(),
        });
        if self.putting_by
            && let Some(large) = self.large.iter_mut().find(|large| large.block == block)
        {
            large.spare = true;
            return;
        }
        self.forget_large(block);
        if !self.is_shared(block) {
            // SAFETY: the caller's promise.
            unsafe { self.default.free(block) };
        }
    }
}

impl<F: Faults> RawHook<F> {
    /// The block that stands for all that are empty: the first of them, which is never freed.
    fn share(&mut self, block: *mut u8) -> *mut u8 {
        if self.shared.is_null() {
            self.shared = block;
        } else {
            // SAFETY: it was obtained a moment ago, and nobody knows of it.
            unsafe { self.default.free(block) };
        }
        self.shared
    }

    fn calloc_large(&mut self, size: usize) -> *mut u8 {
        let spare = self.large.iter_mut();
        if let Some(large) = spare
            .filter(|large| large.spare)
            .find(|large| large.size == size)
        {
            large.spare = false;
            self.log.note(Event::Library { count: 1, size });
            return large.block;
        }
        let block = self.default.calloc(1, size);
        if !block.is_null() {
            self.large.push(Large {
                block,
                size,
                spare: false,
            });
        }
        block
    }

    fn forget_large(&mut self, block: *mut u8) {
        if let Some(index) = self.large.iter().position(|large| large.block == block) {
            self.large.swap_remove(index);
        }
    }

    /// Forgets what it was told, and the block that is shared.
    fn renew(&mut self) {
        self.putting_by = false;
        self.failing = Countdown::NEVER;
        let shared = std::mem::replace(&mut self.shared, ptr::null_mut());
        // SAFETY: null, or a block that nobody else frees.
        unsafe { self.default.free(shared) };
    }

    fn is_shared(&self, block: *mut u8) -> bool {
        self.faults.planted(Fault::ZeroShared) && !block.is_null() && block == self.shared
    }
}

/// The C library beneath the default of the raw domain.
struct LoggedLibrary {
    log: Log,
}

// SAFETY: what the C library returns.
unsafe impl Raw for LoggedLibrary {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.log.note(Event::Library { count: 1, size });
        CLibrary.malloc(size)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.log.note(Event::Library { count, size });
        CLibrary.calloc(count, size)
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.log.note(Event::Library { count: 1, size });
        // SAFETY: the caller's promise.
        unsafe { CLibrary.realloc(block, size) }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { CLibrary.free(block) };
    }
}

/// The hook on the arena allocator.
struct ArenaHook<F, L> {
    log: Log,
    failing: Countdown,
    shift: usize,
    default: Mmap<F>,
    mappings: Vec<Mapping>,
    /// Mappings that arenas were taken back from.
    spare: Vec<Mapping>,
    layout: PhantomData<L>,
}

/// What an arena that was handed out is part of.
struct Mapping {
    arena: *mut u8,
    base: *mut u8,
    size: usize,
}

// SAFETY: null, or the inside of what the default returns.
unsafe impl<F: Faults, L: Layout> ArenaSource for ArenaHook<F, L> {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        let arena = if self.failing.strikes() {
            ptr::null_mut()
        } else {
            self.map(size)
        };
        self.log.note(Event::ArenaAlloc {
            size,
            result: arena.addr(),
        });
        arena
    }
    unsafe fn free(&mut self, arena: *mut u8, size: usize) {
        self.log.note(Event::ArenaFree {
            base: arena.addr(),
            size,
        });
        // A faulty allocator may give back what it never had; that is for the reader of the events to object to.
        if let Some(index) = self
            .mappings
            .iter()
            .position(|mapping| mapping.arena == arena)
        {
            let mapping = self.mappings.swap_remove(index);
            // SAFETY: it was obtained from there, and is forgotten.
            unsafe { self.default.free(mapping.base, mapping.size) };
        }
    }
}

impl<F: Faults, L: Layout> ArenaHook<F, L> {
    /// Forgets what it was told, and takes all arenas back, to hand out again what is in them: mapping memory anew
    /// costs more than a short program does.
    fn put_by(&mut self) {
        self.failing = Countdown::NEVER;
        self.shift = 0;
        self.spare.append(&mut self.mappings);
    }

    fn map(&mut self, size: usize) -> *mut u8 {
        // Behind a displaced arena there is room for a pool, so that one that reaches too far is seen to, instead of
        // ending the process.
        let room = if self.shift == 0 {
            0
        } else {
            self.shift + L::POOL_SIZE
        };
        let size = size + room;
        let spare = self.spare.iter().position(|spare| spare.size == size);
        let base = match spare {
            Some(index) => self.spare.swap_remove(index).base,
            None => self.default.alloc(size),
        };
        if base.is_null() {
            return base;
        }
        let arena = base.wrapping_add(self.shift);
        self.mappings.push(Mapping { arena, base, size });
        arena
    }
}

/// The rule that an allocator with this fault breaks; `None` if the catalogue has none, for it is one of order, which a
/// comparison with the sound one tells, or of the debug layer.
pub const fn breaks(fault: Fault) -> Option<RuleId> {
    Some(match fault {
        Fault::ZeroRefused => RuleId::ZeroMallocNonnull,
        Fault::ZeroShared => RuleId::ZeroMallocDistinct,
        Fault::ZeroCountedTwice => RuleId::ZeroBlockOwned,
        Fault::ZeroFromPools => RuleId::ZeroNotInPools,
        Fault::ZeroReachesLibrary => RuleId::ZeroBumpInDefaultRaw,
        Fault::MallocUnlimited => RuleId::LimitSsizeMax,
        Fault::ReallocZeroFrees => RuleId::ReallocZeroKeepsBlock,
        Fault::ReallocZeroFailReturnsOld => RuleId::ReallocZeroFail,
        Fault::ReallocZeroAsksOne => RuleId::ReallocZeroRawArg,
        Fault::ReallocUnlimited => RuleId::ReallocOversizeEarly,
        Fault::ReallocUncounts => RuleId::ReallocNeverFree,
        Fault::ReallocNullStaysRealloc => RuleId::ReallocNullIsMalloc,
        Fault::MoveCopiesShort => RuleId::ReallocContent,
        Fault::ReallocFailDamages => RuleId::ReallocFailKeeps,
        Fault::ReallocLeaksOld => RuleId::ReallocOldDead,
        Fault::CallocDirty => RuleId::CallocZero,
        Fault::CallocZeroRefused => RuleId::CallocZeroElems,
        Fault::CallocZeroAsksOne => RuleId::CallocZeroRawArg,
        Fault::CallocWraps => RuleId::CallocOverflow,
        Fault::CallocLimitExclusive => RuleId::CallocLimitInclusive,
        Fault::CallocMerged => RuleId::CallocArgsUnmerged,
        Fault::CallocSmallRaw => RuleId::CallocSmallNoRaw,
        Fault::CallocArrayRaw => RuleId::ThresholdCalloc,
        Fault::PoolMisaligned => RuleId::AlignPymalloc,
        Fault::ClassOneUp => RuleId::ClassIndex,
        Fault::LastBlockBeyondPool => RuleId::ClassUsable,
        Fault::ThresholdExclusive => RuleId::Threshold512,
        Fault::BlocksOverlap => RuleId::Disjoint,
        Fault::FreeWritesBehind => RuleId::ContentStable,
        Fault::ShrinkQuarterStays => RuleId::ShrinkQuarter,
        Fault::ShrinkSameClassStays => RuleId::ShrinkSameClassMoves,
        Fault::ShrinkToRaw => RuleId::ShrinkMoveTarget,
        Fault::GrowMoves => RuleId::GrowWithinClass,
        Fault::CrossUpCalloc => RuleId::CrossUp,
        Fault::CrossUpFailFrees => RuleId::CrossUpFail,
        Fault::CrossDownMoves => RuleId::CrossDownStaysRaw,
        Fault::RawReallocTwice => RuleId::RawReallocDelegates,
        Fault::CrossUpCountedTwice => RuleId::ReallocCountNeutral,
        Fault::LargePastRaw => RuleId::HookFallbackRaw,
        Fault::RawLeaks => RuleId::HookPairing,
        Fault::ArenaEager => RuleId::ArenaOnDemand,
        Fault::ArenaTwiceTheSize => RuleId::ArenaSizeExact,
        Fault::ArenaFreedAtPool => RuleId::ArenaFreeSamePtr,
        Fault::ArenaFromMalloc => RuleId::ArenaDefaultBackend,
        Fault::ArenaFailRefuses => RuleId::ArenaFailFallback,
        Fault::MisalignedArenaFull => RuleId::ArenaAnyAlignment,
        Fault::FreeNullReachesRaw => RuleId::FreeNull,
        Fault::LastBlockLost
        | Fault::FullPoolToBack
        | Fault::FreeListQueue
        | Fault::EmptyPoolForgets
        | Fault::EmptyPoolsQueue
        | Fault::CarvesFirst
        | Fault::FingerForgets
        | Fault::ArenaAfterEquals
        | Fault::LastArenaGoesBack
        | Fault::ArenasStay
        | Fault::DisplacedArenaStays
        | Fault::VectorByOne
        | Fault::RefusedEntryLost
        | Fault::UnmappedArenaLeaks
        | Fault::ArenaFreedShort
        | Fault::MapClearsNeighbour
        | Fault::RedirectWrongSize
        | Fault::RefusalCounted
        | Fault::RawFreeUncounted
        | Fault::DebugErasedLost
        | Fault::DebugLimitForgotten
        | Fault::DebugWritesAfterMove
        | Fault::DebugFillLate
        | Fault::DebugSizeOfFailure
        | Fault::DebugOneTrailingByte
        | Fault::DebugSixLeadingBytes
        | Fault::DebugResizesAny
        | Fault::DebugCallocFilled
        | Fault::DebugGrowthFilled => return None,
    })
}
