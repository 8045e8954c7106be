//! The reference on a stage of its own, brought into the state that an interpreter is in.

use super::play::{Player, SLOTS, Step, play};
use super::stage::{HOME, NEXT_HOME, Stage, WORDS_EACH};
use crate::pymalloc::{
    ArenaSource, Build, CLibrary, Fault, Faults, Layout, Mmap, Planted, Pymalloc, Raw, Sound,
    Usage, Visitor,
};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The bytes of an entry of the vector of arenas.
const ENTRY: u64 = 48;

/// The reference in any layout.
pub trait Reference {
    /// Plays the steps and says what came of them.
    fn play(&mut self, steps: &[Step]) -> &[u64];
    /// How memory is used.
    fn usage(&self) -> Usage;
    /// The blocks that it counts.
    fn blocks(&self) -> usize;
    /// Where the block of a slot lies, from the start of the region.
    fn slot(&self, slot: u32) -> Option<usize>;
    /// Where the region starts.
    fn base(&self) -> usize;
    /// Copies what lies at this distance from the start of the region.
    fn peek(&self, offset: usize, to: &mut [u8]);
    /// Checks its own state.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    fn check(&self) -> Result<(), String>;
}

/// The reference of a build, in the state of an interpreter whose vector of arenas would next be resized to so many
/// bytes: half as many entries are there and in use, every pool is full.
///
/// # Errors
///
/// When the memory cannot be had.
pub fn reference(build: Build, vector: u64) -> io::Result<Box<dyn Reference>> {
    struct Make(u64);
    impl Visitor for Make {
        type Output = io::Result<Box<dyn Reference>>;
        fn visit<L: Layout + 'static>(self) -> Self::Output {
            Ok(Box::new(OnStage::<L, Sound>::new(self.0, Sound)?))
        }
    }
    build.visit(Make(vector))
}

/// The reference of a build with a fault, without arenas.
///
/// # Errors
///
/// When the memory cannot be had.
pub fn faulty(build: Build, fault: Fault) -> io::Result<Box<dyn Reference>> {
    struct Make(Fault);
    impl Visitor for Make {
        type Output = io::Result<Box<dyn Reference>>;
        fn visit<L: Layout + 'static>(self) -> Self::Output {
            Ok(Box::new(OnStage::<L, Planted>::new(0, Planted(self.0))?))
        }
    }
    build.visit(Make(fault))
}

/// Where the reference gets its memory: at first from anywhere, then from its stage.
#[derive(Clone, Copy)]
struct Source {
    stage: *mut Stage,
    arenas: Mmap,
    raw: CLibrary,
}

impl Source {
    fn stage(&mut self) -> Option<&mut Stage> {
        // SAFETY: null, or the stage of the heap that this is a source of. Nobody uses it while the heap is called.
        unsafe { self.stage.as_mut() }
    }
}

// SAFETY: what the stage or the C library supplies.
unsafe impl Raw for Source {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        match self.stage() {
            Some(stage) => stage.raw_malloc(size),
            None => self.raw.malloc(size),
        }
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        match self.stage() {
            Some(stage) => stage.raw_calloc(count, size),
            None => self.raw.calloc(count, size),
        }
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise. On the stage, all that was there before it is the vector.
        unsafe {
            match self.stage() {
                Some(stage) => stage.raw_realloc(block, size),
                None => self.raw.realloc(block, size),
            }
        }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        match self.stage() {
            Some(stage) => stage.raw_free(block),
            // SAFETY: the caller's promise.
            None => unsafe { self.raw.free(block) },
        }
    }
}

// SAFETY: what the stage supplies lies where nothing else does.
unsafe impl ArenaSource for Source {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        match self.stage() {
            Some(stage) => stage.arena_alloc(size),
            None => self.arenas.alloc(size),
        }
    }
    unsafe fn free(&mut self, base: *mut u8, size: usize) {
        match self.stage() {
            Some(stage) => stage.arena_free(base, size),
            // SAFETY: the caller's promise.
            None => unsafe { self.arenas.free(base, size) },
        }
    }
}

struct OnStage<L: Layout, F: Faults> {
    heap: Box<Heap<L, F>>,
    stage: *mut Stage,
    slots: Box<[*mut u8; SLOTS]>,
    record: Vec<u64>,
}

type Heap<L, F> = Pymalloc<L, Source, Source, F>;

impl<L: Layout, F: Faults> OnStage<L, F> {
    fn new(vector: u64, faults: F) -> io::Result<OnStage<L, F>> {
        static REGIONS: AtomicUsize = AtomicUsize::new(0);
        let home = HOME + REGIONS.fetch_add(1, Relaxed) % 64 * NEXT_HOME;
        let none = std::ptr::null_mut();
        let source = Source {
            stage: none,
            arenas: Mmap::aligned(L::ARENA_SIZE, Sound),
            raw: CLibrary,
        };
        let mut heap = Box::new(Heap::<L, F>::with_faults(source, source, faults));
        let in_use = (vector / ENTRY / 2) as usize;
        let blocks = in_use * L::POOLS * L::blocks_per_pool(L::CLASSES - 1);
        let filled = (0..blocks).all(|_| !heap.malloc(L::THRESHOLD).is_null());
        let stage = Stage::set_up(home, L::ARENA_SIZE);
        if stage.is_null() || !filled || heap.statistics().current != in_use {
            return Err(io::Error::other("address space for a stage cannot be had"));
        }
        heap.raw_mut().stage = stage;
        heap.arenas_mut().stage = stage;
        Ok(OnStage {
            heap,
            stage,
            slots: vec![std::ptr::null_mut(); SLOTS]
                .try_into()
                .expect("of this length"),
            record: Vec::new(),
        })
    }
}

impl<L: Layout, F: Faults> Drop for OnStage<L, F> {
    fn drop(&mut self) {
        // SAFETY: all that is in the region is the heap's, which goes with it.
        unsafe { Stage::tear_down(self.stage) };
    }
}

/// An allocator as a player.
struct Playing<'h, H>(&'h mut H);

impl<H: Raw> Player for Playing<'_, H> {
    #[inline]
    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        self.0.malloc(size)
    }
    #[inline]
    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.0.calloc(count, size)
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(block, size) }
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.0.free(block) }
    }
}

impl<L: Layout, F: Faults> Reference for OnStage<L, F> {
    fn play(&mut self, steps: &[Step]) -> &[u64] {
        let room = steps.len() * WORDS_EACH;
        self.record.resize(self.record.len().max(room), 0);
        // SAFETY: the stage is this heap's, and the record stays where it is until the steps are played.
        let recorded = unsafe {
            (*self.stage).record_into(self.record.as_mut_ptr(), room);
            let mut player = Playing(&mut *self.heap);
            play(&mut player, self.stage, steps, &mut self.slots);
            (*self.stage).recorded()
        };
        &self.record[..recorded]
    }
    fn usage(&self) -> Usage {
        self.heap.usage()
    }
    fn blocks(&self) -> usize {
        self.heap.allocated_blocks()
    }
    fn slot(&self, slot: u32) -> Option<usize> {
        let block = self.slots.get(slot as usize)?;
        (!block.is_null()).then(|| block.addr() - self.base())
    }
    fn base(&self) -> usize {
        // SAFETY: nobody else uses the stage now.
        unsafe { (*self.stage).base() }
    }
    fn peek(&self, offset: usize, to: &mut [u8]) {
        // SAFETY: the region is mapped as long as the stage is there.
        unsafe {
            let from = std::ptr::with_exposed_provenance::<u8>(self.base() + offset);
            to.copy_from_slice(std::slice::from_raw_parts(from, to.len()));
        }
    }
    fn check(&self) -> Result<(), String> {
        self.heap.check_invariants()
    }
}
