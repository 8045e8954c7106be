//! Arenas: where pools come from, and the order in which they are used up and given back.
//!
//! Pools are taken from the arena that has the fewest to give, so that the others have a chance to become empty and be
//! given back. `usable_arenas` is kept sorted for that, at a cost independent of its length: `nfp2lasta` leads from a
//! number of free pools to the last arena in the list that has so many. (Before 3.8 the list was walked, which comes to
//! the same order.) Since 3.9 one empty arena is kept, at the end of the list.

use super::fault::{Fault, Faults};
use super::layout::{Layout, MAX_POOLS};
use super::pool::{DUMMY_SIZE_IDX, PoolHeader};
use super::radix::ArenaMap;
use super::source::{ArenaSource, Raw};
use std::ptr;

/// The length of the vector of arenas when it is first needed.
const INITIAL_ARENA_OBJECTS: usize = 16;

/// An entry of the vector of arenas (`arena_object`). The names are CPython's.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Arena {
    /// What the source returned; null if the entry has no arena.
    pub address: *mut u8,
    /// The next pool to carve, at a pool boundary.
    pub pool_address: *mut u8,
    /// Pools that could be taken: empty ones, and those not carved yet.
    pub nfreepools: u32,
    /// The pools in the arena, one fewer if it does not start at a pool boundary.
    pub ntotalpools: u32,
    /// The empty pools, last emptied first.
    pub freepools: *mut PoolHeader,
    /// The next arena in the list of usable ones, or the next unused entry.
    pub nextarena: *mut Arena,
    /// The previous arena in the list of usable ones.
    pub prevarena: *mut Arena,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Arena>() == 48);

/// What became of arenas so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Arenas held now.
    pub current: usize,
    /// The most arenas held at once.
    pub highwater: usize,
    /// Arenas ever obtained.
    pub total: usize,
}

/// The sources of memory, and the faults planted in what uses them.
pub(super) struct Sources<R, A, F> {
    pub raw: R,
    pub arenas: A,
    pub faults: F,
}

/// The arenas of one allocator.
pub(super) struct Arenas<L: Layout> {
    /// The vector of arenas, in the raw domain.
    pub vector: *mut Arena,
    /// Its length in entries (`maxarenas`).
    pub len: usize,
    /// Entries without an arena, singly linked (`unused_arena_objects`).
    pub unused: *mut Arena,
    /// Arenas with free pools, doubly linked, fewest first (`usable_arenas`).
    pub usable: *mut Arena,
    /// The last usable arena with so many free pools (`nfp2lasta`); only the first `L::POOLS + 1` places are used.
    pub last_with: [*mut Arena; MAX_POOLS + 1],
    pub statistics: Statistics,
    pub map: L::Map,
}

impl<L: Layout> Arenas<L> {
    pub const EMPTY: Self = Arenas {
        vector: ptr::null_mut(),
        len: 0,
        unused: ptr::null_mut(),
        usable: ptr::null_mut(),
        last_with: [ptr::null_mut(); MAX_POOLS + 1],
        statistics: Statistics {
            current: 0,
            highwater: 0,
            total: 0,
        },
        map: L::Map::EMPTY,
    };

    /// Takes an empty pool from the arena that has the fewest, or null if there is no memory for an arena.
    pub fn take_pool<R: Raw, A: ArenaSource, F: Faults>(
        &mut self,
        sources: &mut Sources<R, A, F>,
    ) -> *mut PoolHeader {
        if !self.ensure_usable(sources) {
            return ptr::null_mut();
        }
        let arena = self.usable;
        // SAFETY: usable arenas are entries of the vector with at least one free pool.
        unsafe {
            let free = (*arena).nfreepools as usize;
            // The arena has the least, so no other can have one fewer: it alone moves to that place.
            if self.last_with[free] == arena {
                self.last_with[free] = ptr::null_mut();
            }
            if free > 1 {
                self.last_with[free - 1] = arena;
            }
            let mut pool = (*arena).freepools;
            if sources.faults.planted(Fault::CarvesFirst) && (*arena).has_virgin::<L>() {
                pool = ptr::null_mut();
            }
            if pool.is_null() {
                pool = (*arena).pool_address.cast();
                (*pool).arenaindex = arena.offset_from_unsigned(self.vector) as u32;
                (*pool).szidx = DUMMY_SIZE_IDX;
                (*arena).pool_address = (*arena).pool_address.add(L::POOL_SIZE);
            } else {
                (*arena).freepools = (*pool).nextpool;
            }
            (*arena).nfreepools -= 1;
            if (*arena).nfreepools == 0 {
                self.usable = (*arena).nextarena;
                if !self.usable.is_null() {
                    (*self.usable).prevarena = ptr::null_mut();
                }
            }
            pool
        }
    }

    /// Sees to it that an arena has a free pool. Answers whether one has.
    pub fn ensure_usable<R: Raw, A: ArenaSource, F: Faults>(
        &mut self,
        sources: &mut Sources<R, A, F>,
    ) -> bool {
        if self.usable.is_null() {
            let arena = self.obtain(sources);
            if arena.is_null() {
                return false;
            }
            // SAFETY: `obtain` returns an entry of the vector.
            unsafe {
                (*arena).nextarena = ptr::null_mut();
                (*arena).prevarena = ptr::null_mut();
                self.last_with[(*arena).nfreepools as usize] = arena;
            }
            self.usable = arena;
        }
        true
    }

    /// Obtains an arena from its source, or null: `new_arena`. It is in no list yet.
    fn obtain<R: Raw, A: ArenaSource, F: Faults>(
        &mut self,
        sources: &mut Sources<R, A, F>,
    ) -> *mut Arena {
        if self.unused.is_null() && !self.grow(sources) {
            return ptr::null_mut();
        }
        let size = if sources.faults.planted(Fault::ArenaTwiceTheSize) {
            2 * L::ARENA_SIZE
        } else {
            L::ARENA_SIZE
        };
        let base = sources.arenas.alloc(size);
        if base.is_null() {
            if sources.faults.planted(Fault::RefusedEntryLost) {
                // SAFETY: unused entries are entries of the vector.
                self.unused = unsafe { (*self.unused).nextarena };
            }
            return ptr::null_mut();
        }
        if self.map.insert(base.addr(), &mut sources.raw).is_err() {
            if !sources.faults.planted(Fault::UnmappedArenaLeaks) {
                // SAFETY: it was obtained a moment ago, and nobody knows of it.
                unsafe { sources.arenas.free(base, L::ARENA_SIZE) };
            }
            return ptr::null_mut();
        }
        let excess = base.addr() & (L::POOL_SIZE - 1);
        let whole = excess == 0 || sources.faults.planted(Fault::MisalignedArenaFull);
        let pools = if whole { L::POOLS } else { L::POOLS - 1 };
        let arena = self.unused;
        // SAFETY: unused entries are entries of the vector.
        unsafe {
            self.unused = (*arena).nextarena;
            (*arena).address = base;
            (*arena).pool_address = first_pool::<L>(base);
            (*arena).freepools = ptr::null_mut();
            (*arena).nfreepools = pools as u32;
            (*arena).ntotalpools = pools as u32;
        }
        self.statistics.current += 1;
        self.statistics.total += 1;
        self.statistics.highwater = self.statistics.highwater.max(self.statistics.current);
        arena
    }

    /// Doubles the vector. Every entry has an arena without free pools, so no list leads to one.
    fn grow<R: Raw, A, F: Faults>(&mut self, sources: &mut Sources<R, A, F>) -> bool {
        // The vector is in memory, so twice its size can be told in bytes.
        let len = if self.len == 0 {
            INITIAL_ARENA_OBJECTS
        } else if sources.faults.planted(Fault::VectorByOne) {
            self.len + 1
        } else {
            2 * self.len
        };
        // SAFETY: the vector is null or what the raw domain returned last.
        let vector = unsafe {
            let size = len * size_of::<Arena>();
            sources.raw.realloc(self.vector.cast(), size)
        };
        if vector.is_null() {
            return false;
        }
        self.vector = vector.cast();
        for index in (self.len..len).rev() {
            // SAFETY: the vector has `len` entries now.
            unsafe {
                let arena = self.vector.add(index);
                arena.write(Arena {
                    nextarena: self.unused,
                    ..Arena::NONE
                });
                self.unused = arena;
            }
        }
        self.len = len;
        true
    }

    /// Takes back an empty pool, and gives back its arena if that is empty now and not kept: `insert_to_freepool`.
    ///
    /// # Safety
    ///
    /// `pool` is an empty pool of an arena, and in no list.
    pub unsafe fn give_pool<R: Raw, A: ArenaSource, F: Faults>(
        &mut self,
        pool: *mut PoolHeader,
        sources: &mut Sources<R, A, F>,
    ) {
        // SAFETY: a pool names its arena's entry; the lists lead only to entries.
        unsafe {
            let arena = self.vector.add((*pool).arenaindex as usize);
            (*pool).nextpool = (*arena).freepools;
            (*arena).freepools = pool;
            if sources.faults.planted(Fault::EmptyPoolsQueue) {
                (*arena).queue(pool);
            }
            let before = (*arena).nfreepools as usize;
            let last = self.last_with[before];
            if last == arena && !sources.faults.planted(Fault::FingerForgets) {
                let prev = (*arena).prevarena;
                let same = !prev.is_null() && (*prev).nfreepools as usize == before;
                self.last_with[before] = if same { prev } else { ptr::null_mut() };
            }
            let free = before + 1;
            (*arena).nfreepools = free as u32;
            let kept = self.is_kept(arena, sources.faults);
            if (*arena).nfreepools == (*arena).ntotalpools && !kept {
                self.unlink(arena);
                self.release(arena, sources);
                return;
            }
            if free == 1 {
                // It was in no list: every pool was in use.
                (*arena).nextarena = self.usable;
                (*arena).prevarena = ptr::null_mut();
                if !self.usable.is_null() {
                    (*self.usable).prevarena = arena;
                }
                self.usable = arena;
                if self.last_with[1].is_null() {
                    self.last_with[1] = arena;
                }
                return;
            }
            let mut last = last;
            let equal = self.last_with[free];
            if equal.is_null() {
                self.last_with[free] = arena;
            } else if sources.faults.planted(Fault::ArenaAfterEquals) {
                self.last_with[free] = arena;
                last = equal;
            }
            // A finger that was forgotten may lead nowhere.
            let lost = sources.faults.planted(Fault::FingerForgets) && last.is_null();
            if arena == last || lost {
                // The last of those with one fewer: what follows has as many or more.
                return;
            }
            self.unlink(arena);
            (*arena).prevarena = last;
            (*arena).nextarena = (*last).nextarena;
            if !(*arena).nextarena.is_null() {
                (*(*arena).nextarena).prevarena = arena;
            }
            (*last).nextarena = arena;
        }
    }

    /// Whether an arena that is empty stays all the same.
    ///
    /// # Safety
    ///
    /// `arena` is in the list of usable ones, or is about to get there.
    #[inline]
    unsafe fn is_kept(&self, arena: *mut Arena, faults: impl Faults) -> bool {
        // SAFETY: the caller's promise.
        let arena = unsafe { &*arena };
        let displaced = (arena.ntotalpools as usize) < L::POOLS;
        let last = arena.nextarena.is_null() && !faults.planted(Fault::LastArenaGoesBack);
        L::KEEPS_LAST && last
            || faults.planted(Fault::ArenasStay)
            || faults.planted(Fault::DisplacedArenaStays) && displaced
    }

    /// # Safety
    ///
    /// `arena` is in the list of usable ones.
    unsafe fn unlink(&mut self, arena: *mut Arena) {
        // SAFETY: neighbours in the list are entries.
        unsafe {
            let (next, prev) = ((*arena).nextarena, (*arena).prevarena);
            if prev.is_null() {
                self.usable = next;
            } else {
                (*prev).nextarena = next;
            }
            if !next.is_null() {
                (*next).prevarena = prev;
            }
        }
    }

    /// Gives an arena back to its source.
    ///
    /// # Safety
    ///
    /// `arena` has an arena, all of whose pools are empty, and is in no list.
    unsafe fn release<R, A: ArenaSource, F: Faults>(
        &mut self,
        arena: *mut Arena,
        sources: &mut Sources<R, A, F>,
    ) {
        // SAFETY: the entry is one of the vector; its arena is no longer used.
        unsafe {
            let mut base = (*arena).address;
            (*arena).nextarena = self.unused;
            self.unused = arena;
            self.map.remove(base.addr());
            if sources.faults.planted(Fault::MapClearsNeighbour) {
                self.forget_neighbour(base.addr());
            }
            if sources.faults.planted(Fault::ArenaFreedAtPool) {
                base = first_pool::<L>(base);
            }
            let short = sources.faults.planted(Fault::ArenaFreedShort);
            let size = L::ARENA_SIZE - if short { L::POOL_SIZE } else { 0 };
            sources.arenas.free(base, size);
            (*arena).address = ptr::null_mut();
        }
        self.statistics.current -= 1;
    }

    /// Takes out of the address map what lies right behind a displaced arena.
    #[inline(never)]
    fn forget_neighbour(&mut self, base: usize) {
        let next = base + L::ARENA_SIZE;
        let is_there = self
            .entries()
            .iter()
            .any(|arena| arena.address.addr() == next);
        if is_there && !base.is_multiple_of(L::ARENA_SIZE) {
            self.map.remove(next);
        }
    }

    /// Gives back all arenas, whatever is in them, and all bookkeeping.
    ///
    /// # Safety
    ///
    /// No pool is used afterwards.
    pub unsafe fn clear<R: Raw, A: ArenaSource, F>(&mut self, sources: &mut Sources<R, A, F>) {
        let vector = self.vector;
        // SAFETY: the vector has `len` entries.
        let bases = (0..self.len).map(move |index| unsafe { (*vector.add(index)).address });
        let bases = bases.filter(|base| !base.is_null());
        // SAFETY: arenas that were not given back yet, nodes and vector, all from where they go, and nothing is used
        // again by the caller's promise.
        unsafe {
            self.map
                .clear(bases.clone().map(|base| base.addr()), &mut sources.raw);
            bases.for_each(|base| sources.arenas.free(base, L::ARENA_SIZE));
            if !vector.is_null() {
                sources.raw.free(vector.cast());
            }
        }
        self.vector = ptr::null_mut();
        self.len = 0;
        self.unused = ptr::null_mut();
        self.usable = ptr::null_mut();
        self.last_with = [ptr::null_mut(); MAX_POOLS + 1];
        self.statistics = Statistics::default();
    }

    /// The entries of the vector.
    pub fn entries(&self) -> &[Arena] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `vector` has `len` entries, which only methods that take `&mut self` change.
        unsafe { std::slice::from_raw_parts(self.vector, self.len) }
    }
}

/// The first pool boundary in an arena.
fn first_pool<L: Layout>(base: *mut u8) -> *mut u8 {
    base.map_addr(|address| address.next_multiple_of(L::POOL_SIZE))
}

impl Arena {
    /// An entry without an arena.
    const NONE: Arena = Arena {
        address: ptr::null_mut(),
        pool_address: ptr::null_mut(),
        nfreepools: 0,
        ntotalpools: 0,
        freepools: ptr::null_mut(),
        nextarena: ptr::null_mut(),
        prevarena: ptr::null_mut(),
    };

    /// Whether there are pools to carve.
    fn has_virgin<L: Layout>(&self) -> bool {
        let carved = self.pools::<L>().count();
        carved < self.ntotalpools as usize
    }

    /// Puts the pool that is first among the empty ones last.
    #[inline(never)]
    fn queue(&mut self, pool: *mut PoolHeader) {
        // SAFETY: the list leads to empty pools.
        unsafe {
            let next = (*pool).nextpool;
            if next.is_null() {
                return;
            }
            self.freepools = next;
            let mut last = next;
            while !(*last).nextpool.is_null() {
                last = (*last).nextpool;
            }
            (*last).nextpool = pool;
            (*pool).nextpool = ptr::null_mut();
        }
    }

    /// Whether this is one of the pools carved so far.
    pub fn has_carved<L: Layout>(&self, pool: *mut PoolHeader) -> bool {
        let (at, first) = (pool.addr(), first_pool::<L>(self.address).addr());
        !self.address.is_null()
            && at.is_multiple_of(L::POOL_SIZE)
            && (first..self.pool_address.addr()).contains(&at)
    }

    /// The pools carved so far.
    pub fn pools<L: Layout>(&self) -> impl Iterator<Item = *mut PoolHeader> + '_ {
        let first = first_pool::<L>(self.address);
        let carved = if self.address.is_null() {
            0
        } else {
            (self.pool_address.addr() - first.addr()) / L::POOL_SIZE
        };
        (0..carved).map(move |index| first.wrapping_add(index * L::POOL_SIZE).cast())
    }
}
