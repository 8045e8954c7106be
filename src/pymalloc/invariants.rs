//! What must be true of the allocator's state between any two calls.
//!
//! For tests and for harnesses that ask after every call: everything that can be known without knowing which blocks
//! callers hold. Visits every pool and every free block.

use super::alloc::Pymalloc;
use super::arena::Arena;
use super::fault::Faults;
use super::layout::Layout;
use super::pool::{DUMMY_SIZE_IDX, PoolHeader, link};
use super::radix::ArenaMap;
use super::source::{ArenaSource, Raw};
use std::collections::HashSet;
use std::ptr;

/// Returns an error from the function it stands in unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

impl<L: Layout, R: Raw, A: ArenaSource, F: Faults> Pymalloc<L, R, A, F> {
    /// Checks the allocator's own bookkeeping.
    ///
    /// # Errors
    ///
    /// Says which invariant does not hold, and where.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_entries()?;
        self.check_usable()?;
        let listed = self.check_class_lists()?;
        let mut in_use = 0;
        for (index, arena) in self
            .arenas
            .entries()
            .iter()
            .enumerate()
            .filter(|(_, arena)| !arena.address.is_null())
        {
            in_use += self.check_arena(index, arena, &listed)?;
        }
        ensure!(
            in_use == listed.len(),
            "{} pools in class lists, {in_use} of them in arenas",
            listed.len()
        );
        ensure!(self.raw_blocks >= 0, "{} raw blocks", self.raw_blocks);
        Ok(())
    }

    /// Every entry is unused and in the list of those, or has an arena that the address map knows.
    fn check_entries(&self) -> Result<(), String> {
        let arenas = &self.arenas;
        let mut unused = HashSet::new();
        let mut entry = arenas.unused;
        while !entry.is_null() {
            ensure!(
                unused.insert(entry),
                "the list of unused entries is circular"
            );
            // SAFETY: the list leads to entries.
            entry = unsafe { (*entry).nextarena };
        }
        let mut current = 0;
        for arena in arenas.entries() {
            let listed = unused.contains(&ptr::from_ref(arena).cast_mut());
            let base = arena.address.addr();
            ensure!(
                listed == (base == 0),
                "entry with arena {base:#x} in the list of unused ones: {listed}"
            );
            if base == 0 {
                continue;
            }
            current += 1;
            let end = base + L::ARENA_SIZE;
            let covered = |address: usize| {
                arenas.entries().iter().any(|other| {
                    let other = other.address.addr();
                    other != 0 && (other..other + L::ARENA_SIZE).contains(&address)
                })
            };
            for address in [base - 1, base, end - 1, end] {
                let known = arenas.map.contains(address);
                ensure!(
                    known == covered(address),
                    "{address:#x} taken for one in an arena: {known}"
                );
            }
        }
        let statistics = arenas.statistics;
        ensure!(
            statistics.current == current,
            "{current} arenas, counted {}",
            statistics.current
        );
        let ordered =
            statistics.current <= statistics.highwater && statistics.highwater <= statistics.total;
        ensure!(ordered, "{statistics:?}");
        Ok(())
    }

    /// The usable arenas are those with free pools, in order, and the fingers point to the last of each kind.
    fn check_usable(&self) -> Result<(), String> {
        let mut fingers = vec![ptr::null_mut(); self.arenas.last_with.len()];
        let mut listed = 0;
        let (mut prev, mut arena): (*mut Arena, *mut Arena) = (ptr::null_mut(), self.arenas.usable);
        let mut least = 1;
        while !arena.is_null() {
            listed += 1;
            ensure!(
                listed <= self.arenas.len,
                "the list of usable arenas is circular"
            );
            // SAFETY: the list leads to entries.
            let entry = unsafe { &*arena };
            let free = entry.nfreepools as usize;
            ensure!(
                !entry.address.is_null(),
                "an entry without an arena is usable"
            );
            ensure!(
                entry.prevarena == prev,
                "the list of usable arenas does not lead back"
            );
            ensure!(
                free >= least,
                "an arena with {free} free pools behind one with {least}"
            );
            let kept = L::KEEPS_LAST && entry.nextarena.is_null();
            ensure!(
                kept || entry.nfreepools < entry.ntotalpools,
                "an empty arena is kept that should have gone back"
            );
            fingers[free] = arena;
            least = free;
            (prev, arena) = (arena, entry.nextarena);
        }
        let usable = self
            .arenas
            .entries()
            .iter()
            .filter(|arena| !arena.address.is_null() && arena.nfreepools > 0);
        let usable = usable.count();
        ensure!(
            listed == usable,
            "{usable} arenas have free pools, {listed} are listed"
        );
        for (free, (&finger, &last)) in fingers.iter().zip(&self.arenas.last_with).enumerate() {
            ensure!(
                finger == last,
                "the finger for {free} free pools does not point to the last such arena"
            );
        }
        Ok(())
    }

    /// The class lists lead to pools of their class, and back. Answers with those pools.
    fn check_class_lists(&self) -> Result<HashSet<*mut PoolHeader>, String> {
        let mut listed = HashSet::new();
        for (class, &first) in self.used.iter().enumerate() {
            let (mut prev, mut pool): (*mut PoolHeader, *mut PoolHeader) = (ptr::null_mut(), first);
            while !pool.is_null() {
                ensure!(listed.insert(pool), "a pool is twice in class lists");
                // SAFETY: the list leads to pools.
                let header = unsafe { &*pool };
                ensure!(
                    header.szidx as usize == class,
                    "a pool of class {} in list {class}",
                    header.szidx
                );
                ensure!(
                    header.prevpool == prev,
                    "the list of class {class} does not lead back"
                );
                ensure!(
                    header.count > 0,
                    "an empty pool in the list of class {class}"
                );
                (prev, pool) = (pool, header.nextpool);
            }
        }
        Ok(listed)
    }

    /// An arena's pools: empty ones are in its list, others in a class list or full. Answers how many are listed by
    /// class.
    fn check_arena(
        &self,
        index: usize,
        arena: &Arena,
        listed: &HashSet<*mut PoolHeader>,
    ) -> Result<usize, String> {
        let base = arena.address.addr();
        let misaligned = !base.is_multiple_of(L::POOL_SIZE);
        let total = L::POOLS - usize::from(misaligned);
        ensure!(
            arena.ntotalpools as usize == total,
            "arena {base:#x} has {} pools",
            arena.ntotalpools
        );
        let mut empty = HashSet::new();
        let mut pool = arena.freepools;
        while !pool.is_null() {
            ensure!(
                empty.insert(pool),
                "the empty pools of arena {base:#x} are circular"
            );
            // SAFETY: the list leads to pools.
            pool = unsafe { (*pool).nextpool };
        }
        let (mut carved, mut in_class_lists) = (0, 0);
        for pool in arena.pools::<L>() {
            carved += 1;
            // SAFETY: carved pools have a header.
            let header = unsafe { &*pool };
            let at = pool.addr();
            ensure!(
                at >= base && at + L::POOL_SIZE <= base + L::ARENA_SIZE,
                "pool {at:#x} outside its arena"
            );
            ensure!(
                header.arenaindex as usize == index,
                "pool {at:#x} names arena {}",
                header.arenaindex
            );
            let (is_empty, is_listed) = (empty.remove(&pool), listed.contains(&pool));
            ensure!(
                is_empty == (header.count == 0),
                "pool {at:#x} with {} blocks is empty",
                header.count
            );
            in_class_lists += usize::from(is_listed);
            check_pool::<L>(pool, header, is_listed)?;
        }
        ensure!(
            empty.is_empty(),
            "empty pools outside the arena {base:#x} that lists them"
        );
        let free = arena.nfreepools as usize;
        // SAFETY: counting the list again, it was found to be finite.
        let cached = std::iter::successors(
            (!arena.freepools.is_null()).then_some(arena.freepools),
            |&pool| unsafe {
                let next = (*pool).nextpool;
                (!next.is_null()).then_some(next)
            },
        );
        let cached = cached.count();
        ensure!(
            free == cached + total - carved,
            "arena {base:#x}: {free} free pools, {cached} empty, {carved} carved"
        );
        Ok(in_class_lists)
    }
}

/// A pool's blocks are handed out, free, or were never handed out; its free list holds exactly the second kind.
fn check_pool<L: Layout>(
    pool: *mut PoolHeader,
    header: &PoolHeader,
    listed: bool,
) -> Result<(), String> {
    let at = pool.addr();
    ensure!(header.szidx != DUMMY_SIZE_IDX, "pool {at:#x} has no class");
    let class = header.szidx as usize;
    ensure!(class < L::CLASSES, "pool {at:#x} has class {class}");
    let size = L::class_size(class);
    let (next, max) = (header.nextoffset as usize, header.maxnextoffset as usize);
    ensure!(
        max == L::POOL_SIZE - size,
        "pool {at:#x}: maxnextoffset {max}"
    );
    ensure!(
        (next - L::HEADER).is_multiple_of(size),
        "pool {at:#x}: nextoffset {next}"
    );
    let mut free = HashSet::new();
    let mut block = header.freeblock;
    while !block.is_null() {
        let offset = block.addr().wrapping_sub(at);
        ensure!(
            offset >= L::HEADER && offset < next,
            "pool {at:#x}: free block at {offset}"
        );
        ensure!(
            (offset - L::HEADER).is_multiple_of(size),
            "pool {at:#x}: free block at {offset} between blocks"
        );
        ensure!(
            free.insert(offset),
            "pool {at:#x}: the free list is circular"
        );
        // SAFETY: it is a free block of the pool.
        block = unsafe { link(block) };
    }
    let virgin = if next <= max {
        (max - next) / size + 1
    } else {
        0
    };
    let (count, free, all) = (header.count as usize, free.len(), L::blocks_per_pool(class));
    ensure!(
        count + free + virgin == all,
        "pool {at:#x}: {count} blocks, {free} free, {virgin} virgin of {all}"
    );
    let full = header.freeblock.is_null();
    ensure!(
        full == (count == all),
        "pool {at:#x} with {count} of {all} blocks has no free one"
    );
    ensure!(
        listed == (count > 0 && !full),
        "pool {at:#x} with {count} of {all} blocks in a class list: {listed}"
    );
    Ok(())
}
