//! Sources that write down every request, fail on demand, put arenas where they are told, and object to a pointer that
//! is not theirs.

use crate::pymalloc::*;
use std::alloc::{Layout as Memory, alloc, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;
use std::rc::Rc;

/// A request to a source. Arenas are named by the place they were put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Malloc(usize),
    Calloc(usize, usize),
    Realloc(usize),
    Free,
    Arena(usize, Option<usize>),
    ArenaFree(usize),
}

/// What both sources share.
pub(super) struct World {
    pub asked: Vec<Asked>,
    fail_raw: Option<usize>,
    fail_arena: Option<usize>,
    /// The distance of arenas from multiples of their size.
    pub shift: usize,
    raw_live: BTreeMap<usize, (*mut u8, Memory)>,
    region: *mut u8,
    places: usize,
    arena_size: usize,
    /// The base of the arena in each place that has one.
    pub arenas: BTreeMap<usize, usize>,
}

impl World {
    /// Counts a request and answers whether it is to fail.
    fn strikes(left: &mut Option<usize>) -> bool {
        *left = left.map(|left| left - 1);
        let strikes = *left == Some(0);
        if strikes {
            *left = None;
        }
        strikes
    }

    fn memory(&self) -> Memory {
        Memory::from_size_align((self.places + 1) * self.arena_size, self.arena_size).unwrap()
    }

    /// Lets the `nth` raw request from now on fail.
    pub fn fail_raw(&mut self, nth: usize) {
        self.fail_raw = Some(nth);
    }

    /// Lets the `nth` arena request from now on fail.
    pub fn fail_arena(&mut self, nth: usize) {
        self.fail_arena = Some(nth);
    }

    /// Cancels what was to fail. Answers whether there was anything left.
    pub fn stop_failing(&mut self) -> bool {
        self.fail_raw.take().is_some() | self.fail_arena.take().is_some()
    }

    pub fn raw_live(&self) -> usize {
        self.raw_live.len()
    }

    fn take_zeroed(&mut self, size: usize) -> *mut u8 {
        let memory = Memory::from_size_align(size.max(1), 16).unwrap();
        // SAFETY: the size is not 0.
        let block = unsafe { alloc_zeroed(memory) };
        self.raw_live.insert(block.addr(), (block, memory));
        block
    }

    /// Memory that holds anything.
    fn take(&mut self, size: usize) -> *mut u8 {
        let block = self.take_zeroed(size);
        // SAFETY: it has this size.
        unsafe { block.write_bytes(0xa5, size) };
        block
    }

    fn give(&mut self, block: *mut u8) {
        let (block, memory) = self
            .raw_live
            .remove(&block.addr())
            .expect("a raw block that is not live was freed");
        // SAFETY: it was allocated so.
        unsafe { dealloc(block, memory) };
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: allocated so in `heap`; tests keep no block longer than the world.
        unsafe { dealloc(self.region, self.memory()) };
        for &(block, memory) in self.raw_live.values() {
            // SAFETY: as above.
            unsafe { dealloc(block, memory) };
        }
    }
}

#[derive(Clone)]
pub(super) struct Watched(pub Rc<RefCell<World>>);

// SAFETY: the blocks are the global allocator's.
unsafe impl Raw for Watched {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        let mut world = self.0.borrow_mut();
        world.asked.push(Asked::Malloc(size));
        if World::strikes(&mut world.fail_raw) || size > 1 << 40 {
            ptr::null_mut()
        } else {
            world.take(size)
        }
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let mut world = self.0.borrow_mut();
        world.asked.push(Asked::Calloc(count, size));
        let total = count * size;
        if World::strikes(&mut world.fail_raw) || total > 1 << 40 {
            return ptr::null_mut();
        }
        world.take_zeroed(total)
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        let mut world = self.0.borrow_mut();
        world.asked.push(Asked::Realloc(size));
        if World::strikes(&mut world.fail_raw) || size > 1 << 40 {
            return ptr::null_mut();
        }
        let moved = world.take(size);
        if !block.is_null() {
            let (_, before) = world
                .raw_live
                .get(&block.addr())
                .expect("a raw block that is not live was resized");
            let before = before.size();
            // SAFETY: both have this size.
            unsafe { ptr::copy_nonoverlapping(block, moved, before.min(size)) };
            world.give(block);
        }
        moved
    }
    unsafe fn free(&mut self, block: *mut u8) {
        let mut world = self.0.borrow_mut();
        world.asked.push(Asked::Free);
        if !block.is_null() {
            world.give(block);
        }
    }
}

// SAFETY: every arena has its place in the region, which lives as long as the world.
unsafe impl ArenaSource for Watched {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        let mut world = self.0.borrow_mut();
        assert_eq!(size, world.arena_size);
        let fails = World::strikes(&mut world.fail_arena);
        let base = |place: usize| world.region.wrapping_add(place * size + world.shift);
        let is_free = |base: usize| {
            world
                .arenas
                .values()
                .all(|&other| other.abs_diff(base) >= size)
        };
        let place = (0..world.places).find(|&place| !fails && is_free(base(place).addr()));
        let base = place.map_or(ptr::null_mut(), base);
        world.asked.push(Asked::Arena(size, place));
        let Some(place) = place else { return base };
        world.arenas.insert(place, base.addr());
        // SAFETY: the place is within the region, which ends an arena behind the last place.
        unsafe { base.write_bytes(0xa5, size) };
        base
    }
    unsafe fn free(&mut self, base: *mut u8, size: usize) {
        let mut world = self.0.borrow_mut();
        assert_eq!(size, world.arena_size);
        let place = world
            .arenas
            .iter()
            .find(|&(_, &other)| other == base.addr());
        let place = *place.expect("an arena that is not live was freed").0;
        world.arenas.remove(&place);
        world.asked.push(Asked::ArenaFree(place));
    }
}

/// A heap over watched sources.
pub(super) struct Watch<L: Layout = P16kR64, F: Faults = Sound> {
    pub heap: Box<Pymalloc<L, Watched, Watched, F>>,
    pub world: Rc<RefCell<World>>,
}

impl<L: Layout> Watch<L> {
    /// A heap with room for so many arenas.
    pub fn with_places(places: usize) -> Watch<L> {
        Watch::planted(places, Sound)
    }
}

impl Watch {
    pub fn new() -> Watch {
        Watch::with_places(40)
    }
}

impl<L: Layout, F: Faults> Watch<L, F> {
    pub fn planted(places: usize, faults: F) -> Watch<L, F> {
        let mut world = World {
            asked: Vec::new(),
            fail_raw: None,
            fail_arena: None,
            shift: 0,
            raw_live: BTreeMap::new(),
            region: ptr::null_mut(),
            places,
            arena_size: L::ARENA_SIZE,
            arenas: BTreeMap::new(),
        };
        // SAFETY: the size is not 0.
        world.region = unsafe { alloc(world.memory()) };
        let world = Rc::new(RefCell::new(world));
        let watched = Watched(world.clone());
        Watch {
            heap: Box::new(Pymalloc::with_faults(watched.clone(), watched, faults)),
            world,
        }
    }

    /// Forgets what was asked so far.
    pub fn settle(&self) {
        self.world.borrow_mut().asked.clear();
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.world.borrow_mut().asked)
    }

    /// The arena that an address lies in, by its place, and the offset in it.
    pub fn place(&self, address: usize) -> Option<(usize, usize)> {
        let world = self.world.borrow();
        let mut arenas = world
            .arenas
            .iter()
            .map(|(&place, &base)| (place, address.wrapping_sub(base)));
        arenas.find(|&(_, offset)| offset < L::ARENA_SIZE)
    }

    /// So many blocks of a size.
    pub fn many(&mut self, count: usize, size: usize) -> Vec<*mut u8> {
        (0..count).map(|_| self.heap.malloc(size)).collect()
    }

    pub fn free(&mut self, block: *mut u8) {
        // SAFETY: tests free what they hold.
        unsafe { self.heap.free(block) }
    }

    pub fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: tests resize what they hold.
        unsafe { self.heap.realloc(block, size) }
    }

    #[track_caller]
    pub fn check(&self) {
        self.heap.check_invariants().unwrap();
    }
}
