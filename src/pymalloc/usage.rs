//! How pools are used, as CPython's statistics count it.

use super::alloc::Pymalloc;
use super::fault::Faults;
use super::layout::{Layout, MAX_CLASSES};
use super::pool::DUMMY_SIZE_IDX;
use super::source::{ArenaSource, Raw};

/// The pools in use of one class; empty pools belong to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassUsage {
    /// Pools with at least one block in use.
    pub pools: usize,
    /// Blocks in use.
    pub used: usize,
    /// Blocks of these pools that are not.
    pub available: usize,
}

impl<L: Layout, R: Raw, A: ArenaSource, F: Faults> Pymalloc<L, R, A, F> {
    /// How the pools of each class are used; only the first [`Layout::CLASSES`] entries can be other than zero. Visits
    /// every pool.
    pub fn usage(&self) -> [ClassUsage; MAX_CLASSES] {
        let mut usage = [ClassUsage::default(); MAX_CLASSES];
        let entries = self.arenas.entries().iter();
        for pool in entries.flat_map(|arena| arena.pools::<L>()) {
            // SAFETY: carved pools have a header.
            let (count, szidx) = unsafe { ((*pool).count as usize, (*pool).szidx) };
            if count == 0 || szidx == DUMMY_SIZE_IDX {
                continue;
            }
            let class = szidx as usize;
            usage[class].pools += 1;
            usage[class].used += count;
            usage[class].available += L::blocks_per_pool(class) - count;
        }
        usage
    }
}
