//! pymalloc without pointers: the same decisions in the plainest form, to predict every address.
//!
//! Lists are vectors, the usable arenas are sorted by walking, and nothing is shared with the allocator but its layout.

use crate::pymalloc::Layout;
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;

struct Pool {
    arena: usize,
    count: usize,
    free: Vec<usize>,
    class: Option<usize>,
    next: usize,
    max: usize,
}

struct Arena {
    next: usize,
    free: usize,
    total: usize,
    empty: Vec<usize>,
}

/// The model. Addresses are plain numbers; pools and arenas are known by theirs.
pub(super) struct Model<L> {
    used: Vec<Vec<usize>>,
    usable: Vec<usize>,
    pools: BTreeMap<usize, Pool>,
    arenas: BTreeMap<usize, Arena>,
    /// What the arena source is going to answer.
    pub supply: VecDeque<Option<usize>>,
    /// The arenas given back.
    pub released: Vec<usize>,
    layout: PhantomData<L>,
}

/// What becomes of a block that is resized.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resized {
    InPlace,
    /// Moved to a pool.
    To(usize),
    /// Moved to the raw domain.
    ToRaw,
    /// It is a raw block; what becomes of it is the raw domain's business.
    Raw,
}

impl<L: Layout> Model<L> {
    pub fn new() -> Model<L> {
        Model {
            used: vec![Vec::new(); L::CLASSES],
            usable: Vec::new(),
            pools: BTreeMap::new(),
            arenas: BTreeMap::new(),
            supply: VecDeque::new(),
            released: Vec::new(),
            layout: PhantomData,
        }
    }

    /// Where a block of this size lies; `None` for a raw one.
    pub fn malloc(&mut self, size: usize) -> Option<usize> {
        if size == 0 || size > L::THRESHOLD {
            return None;
        }
        let class = size.div_ceil(L::ALIGNMENT) - 1;
        let class_size = (class + 1) * L::ALIGNMENT;
        if let Some(&address) = self.used[class].first() {
            let pool = self.pools.get_mut(&address).unwrap();
            pool.count += 1;
            let block = pool.free.pop().unwrap();
            if pool.free.is_empty() {
                if pool.next <= pool.max {
                    pool.free.push(address + pool.next);
                    pool.next += class_size;
                } else {
                    self.used[class].remove(0);
                }
            }
            return Some(block);
        }
        if self.usable.is_empty() {
            let base = self.supply.pop_front().expect("no arena was asked for")?;
            let first = base.next_multiple_of(L::POOL_SIZE);
            let total = (base + L::ARENA_SIZE - first) / L::POOL_SIZE;
            self.arenas.insert(
                base,
                Arena {
                    next: first,
                    free: total,
                    total,
                    empty: Vec::new(),
                },
            );
            self.usable.push(base);
        }
        let base = self.usable[0];
        let arena = self.arenas.get_mut(&base).unwrap();
        arena.free -= 1;
        let address = arena.empty.pop().unwrap_or_else(|| {
            let address = arena.next;
            arena.next += L::POOL_SIZE;
            self.pools.insert(
                address,
                Pool {
                    arena: base,
                    count: 0,
                    free: Vec::new(),
                    class: None,
                    next: 0,
                    max: 0,
                },
            );
            address
        });
        if arena.free == 0 {
            self.usable.remove(0);
        }
        let pool = self.pools.get_mut(&address).unwrap();
        self.used[class].push(address);
        pool.count = 1;
        if pool.class == Some(class) {
            return pool.free.pop();
        }
        pool.class = Some(class);
        pool.free = vec![address + L::HEADER + class_size];
        pool.next = L::HEADER + 2 * class_size;
        pool.max = L::POOL_SIZE - class_size;
        Some(address + L::HEADER)
    }

    /// Frees a block. Answers whether it was one from a pool.
    pub fn free(&mut self, block: usize) -> bool {
        let Some(address) = self.pool_of(block) else {
            return false;
        };
        let pool = self.pools.get_mut(&address).unwrap();
        let class = pool.class.unwrap();
        let was_full = pool.free.is_empty();
        pool.free.push(block);
        pool.count -= 1;
        if was_full {
            self.used[class].insert(0, address);
        } else if pool.count == 0 {
            self.used[class].retain(|&other| other != address);
            let base = pool.arena;
            self.give(base, address);
        }
        true
    }

    fn give(&mut self, base: usize, pool: usize) {
        let arena = self.arenas.get_mut(&base).unwrap();
        arena.empty.push(pool);
        arena.free += 1;
        let (free, total) = (arena.free, arena.total);
        let Some(position) = self.usable.iter().position(|&other| other == base) else {
            self.usable.insert(0, base);
            return;
        };
        if free == total && !(L::KEEPS_LAST && position + 1 == self.usable.len()) {
            self.usable.remove(position);
            self.arenas.remove(&base);
            self.pools.retain(|_, pool| pool.arena != base);
            self.released.push(base);
            return;
        }
        self.usable.remove(position);
        let after = self.usable[position..]
            .iter()
            .position(|other| self.arenas[other].free >= free);
        self.usable.insert(
            after.map_or(self.usable.len(), |after| position + after),
            base,
        );
    }

    pub fn realloc(&mut self, block: usize, size: usize) -> Resized {
        let Some(address) = self.pool_of(block) else {
            return Resized::Raw;
        };
        let class_size = (self.pools[&address].class.unwrap() + 1) * L::ALIGNMENT;
        if size <= class_size && size * 4 > class_size * 3 {
            return Resized::InPlace;
        }
        let moved = self.malloc(size);
        self.free(block);
        moved.map_or(Resized::ToRaw, Resized::To)
    }

    fn pool_of(&self, block: usize) -> Option<usize> {
        let pool = block - block % L::POOL_SIZE;
        self.pools.contains_key(&pool).then_some(pool)
    }
}
