//! What must be true of the allocator's state between any two calls.
//!
//! For tests and for harnesses that ask after every call: everything that can be known without knowing which blocks
//! callers hold. Visits every pool and every free block, and allocates nothing: that a list holds just the entries that
//! it should is known from their number, for no list that ends holds an entry twice.

use super::alloc::Pymalloc;
use super::arena::Arena;
use super::fault::Faults;
use super::layout::Layout;
use super::pool::{DUMMY_SIZE_IDX, PoolHeader, link};
use super::radix::ArenaMap;
use super::source::{ArenaSource, Raw};
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
        for (index, arena) in self.arenas.entries().iter().enumerate() {
            if !arena.address.is_null() {
                in_use += check_arena::<L>(index, arena)?;
            }
        }
        ensure!(
            in_use == listed,
            "{listed} pools in class lists, {in_use} pools with used and free blocks"
        );
        ensure!(self.raw_blocks >= 0, "{} raw blocks", self.raw_blocks);
        Ok(())
    }

    /// Every entry is unused and in the list of those, or has an arena that the address map knows.
    fn check_entries(&self) -> Result<(), String> {
        let arenas = &self.arenas;
        let mut listed = 0;
        let mut entry = arenas.unused;
        while !entry.is_null() {
            listed += 1;
            ensure!(
                listed <= arenas.len,
                "the list of unused entries is circular"
            );
            // SAFETY: the list leads to entries.
            let unused = unsafe { &*entry };
            ensure!(
                unused.address.is_null(),
                "entry with arena {:#x} in the list of unused ones",
                unused.address.addr()
            );
            entry = unused.nextarena;
        }
        let mut current = 0;
        for arena in arenas.entries() {
            let base = arena.address.addr();
            if base == 0 {
                continue;
            }
            current += 1;
            let end = base + L::ARENA_SIZE;
            for address in [base, end - 1] {
                ensure!(
                    arenas.map.contains(address),
                    "{address:#x} not taken for one in an arena"
                );
            }
            let covered = |address: usize| {
                arenas.entries().iter().any(|other| {
                    let other = other.address.addr();
                    other != 0 && (other..other + L::ARENA_SIZE).contains(&address)
                })
            };
            for address in [base - 1, end] {
                ensure!(
                    !arenas.map.contains(address) || covered(address),
                    "{address:#x} taken for one in an arena"
                );
            }
        }
        ensure!(
            listed + current == arenas.len,
            "{} entries, {current} with an arena, {listed} in the list of unused ones",
            arenas.len
        );
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
        let (mut listed, mut kinds) = (0, 0);
        let (mut prev, mut arena): (*mut Arena, *mut Arena) = (ptr::null_mut(), self.arenas.usable);
        let mut least = 1;
        while !arena.is_null() {
            listed += 1;
            // SAFETY: the list leads to entries.
            let entry = unsafe { &*arena };
            let free = entry.nfreepools as usize;
            ensure!(
                !entry.address.is_null(),
                "an entry without an arena is usable"
            );
            // No circle passes this: where it closes, two would be before one.
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
            // SAFETY: as above.
            let next = unsafe { entry.nextarena.as_ref() };
            if next.is_none_or(|next| next.nfreepools != entry.nfreepools) {
                kinds += 1;
                ensure!(
                    self.arenas.last_with.get(free) == Some(&arena),
                    "the finger for {free} free pools does not point to the last such arena"
                );
            }
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
        let fingers = self.arenas.last_with[..=L::POOLS].iter();
        let fingers = fingers.filter(|finger| !finger.is_null()).count();
        ensure!(
            fingers == kinds,
            "{fingers} fingers point to {kinds} kinds of usable arenas"
        );
        Ok(())
    }

    /// The class lists lead to pools of their class with used and free blocks, and back. Answers to how many.
    fn check_class_lists(&self) -> Result<usize, String> {
        let mut listed = 0;
        for (class, &first) in self.used[..L::CLASSES].iter().enumerate() {
            let (mut prev, mut pool): (*mut PoolHeader, *mut PoolHeader) = (ptr::null_mut(), first);
            while !pool.is_null() {
                listed += 1;
                let at = pool.addr();
                // SAFETY: the list leads to pools.
                let header = unsafe { &*pool };
                ensure!(
                    header.szidx as usize == class,
                    "a pool of class {} in list {class}",
                    header.szidx
                );
                // No circle passes this.
                ensure!(
                    prev.is_null() || (header.prevpool == prev && pool != first),
                    "the list of class {class} does not lead back"
                );
                let arena = self.arenas.entries().get(header.arenaindex as usize);
                ensure!(
                    arena.is_some_and(|arena| arena.has_carved::<L>(pool)),
                    "pool {at:#x} in the list of class {class} is not of its arena"
                );
                ensure!(
                    header.count > 0 && !header.freeblock.is_null(),
                    "pool {at:#x} with {} blocks in the list of class {class}",
                    header.count
                );
                (prev, pool) = (pool, header.nextpool);
            }
        }
        Ok(listed)
    }
}

/// An arena's pools: empty ones are in its list, and no others. Answers how many have used and free blocks.
fn check_arena<L: Layout>(index: usize, arena: &Arena) -> Result<usize, String> {
    let base = arena.address.addr();
    let misaligned = !base.is_multiple_of(L::POOL_SIZE);
    let total = L::POOLS - usize::from(misaligned);
    ensure!(
        arena.ntotalpools as usize == total,
        "arena {base:#x} has {} pools",
        arena.ntotalpools
    );
    let mut listed = 0;
    let mut pool = arena.freepools;
    while !pool.is_null() {
        listed += 1;
        ensure!(
            listed <= total,
            "the empty pools of arena {base:#x} are circular"
        );
        ensure!(
            arena.has_carved::<L>(pool),
            "empty pools outside the arena {base:#x} that lists them"
        );
        // SAFETY: carved pools have a header.
        let header = unsafe { &*pool };
        ensure!(
            header.count == 0,
            "pool {:#x} with {} blocks is empty",
            pool.addr(),
            header.count
        );
        pool = header.nextpool;
    }
    let (mut carved, mut empty, mut in_use) = (0, 0, 0);
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
        empty += usize::from(header.count == 0);
        in_use += usize::from(header.count > 0 && !header.freeblock.is_null());
        check_pool::<L>(pool, header)?;
    }
    ensure!(
        empty == listed,
        "arena {base:#x} has {empty} empty pools, {listed} are listed"
    );
    let free = arena.nfreepools as usize;
    ensure!(
        free == listed + total - carved,
        "arena {base:#x}: {free} free pools, {listed} empty, {carved} carved"
    );
    Ok(in_use)
}

/// A pool's blocks are handed out, free, or were never handed out; its free list holds exactly the second kind.
fn check_pool<L: Layout>(pool: *mut PoolHeader, header: &PoolHeader) -> Result<(), String> {
    let at = pool.addr();
    ensure!(header.szidx != DUMMY_SIZE_IDX, "pool {at:#x} has no class");
    let class = header.szidx as usize;
    ensure!(class < L::CLASSES, "pool {at:#x} has class {class}");
    let size = L::class_size(class);
    let all = L::blocks_per_pool(class);
    let (next, max) = (header.nextoffset as usize, header.maxnextoffset as usize);
    ensure!(
        max == L::POOL_SIZE - size,
        "pool {at:#x}: maxnextoffset {max}"
    );
    ensure!(
        (next - L::HEADER).is_multiple_of(size),
        "pool {at:#x}: nextoffset {next}"
    );
    let mut free = 0;
    let mut block = header.freeblock;
    while !block.is_null() {
        free += 1;
        ensure!(free <= all, "pool {at:#x}: the free list is circular");
        let offset = block.addr().wrapping_sub(at);
        ensure!(
            offset >= L::HEADER && offset < next,
            "pool {at:#x}: free block at {offset}"
        );
        ensure!(
            (offset - L::HEADER).is_multiple_of(size),
            "pool {at:#x}: free block at {offset} between blocks"
        );
        // SAFETY: it is a free block of the pool.
        block = unsafe { link(block) };
    }
    let virgin = if next <= max {
        (max - next) / size + 1
    } else {
        0
    };
    let count = header.count as usize;
    ensure!(
        count + free + virgin == all,
        "pool {at:#x}: {count} blocks, {free} free, {virgin} virgin of {all}"
    );
    let full = header.freeblock.is_null();
    ensure!(
        full == (count == all),
        "pool {at:#x} with {count} of {all} blocks has no free one"
    );
    Ok(())
}
