//! The shadows of several threads: each has the blocks that its thread holds, and all have one table of occupancy.
//!
//! A block passes from one shadow to another with the slot that it is in. Whoever hands it over puts it into the
//! exchange when done with it, and whoever is next takes it out, which the program has made to happen in that order. So no
//! lock is held, and nothing is waited for, while the subject is at work.

use super::block::{Block, Line};
use super::ledger::Ledger;
use super::model::{At, Checked, Shadow};
use super::occupancy::Mark;
use crate::program::{MAX_THREADS, Op, Program, Slot};
use crate::spec::RuleId;
use std::sync::atomic::{AtomicU64, Ordering::*, fence};
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks that one thread makes at most before the numbers that tell their patterns apart are another's.
const BLOCKS_EACH: u64 = 1 << 24;

/// What the shadows of several threads have in common, beside the table of occupancy.
pub(super) struct Common {
    /// Blocks that are between two threads, by slot.
    exchange: Vec<Mutex<Block>>,
    /// Where the live block of each slot is, for other threads to look up when they are given memory that is taken.
    places: Vec<Place>,
    /// The number of the last block that each thread made, of those in the sections before: no two of them hold the same.
    born: [AtomicU64; MAX_THREADS as usize + 1],
}

/// The place of a live block. It is written by the thread that holds the block and may be read at any time.
struct Place {
    /// Odd while the others are being written, and another number each time they have been.
    version: AtomicU64,
    /// 0 if there is no block.
    address: AtomicU64,
    size: AtomicU64,
}

impl Common {
    fn new(slots: usize) -> Common {
        let place = |_| Place {
            version: AtomicU64::new(0),
            address: AtomicU64::new(0),
            size: AtomicU64::new(0),
        };
        Common {
            exchange: (0..slots).map(|_| Mutex::new(Block::empty())).collect(),
            places: (0..slots).map(place).collect(),
            born: std::array::from_fn(|number| AtomicU64::new(number as u64 * BLOCKS_EACH)),
        }
    }

    fn block(&self, slot: Slot) -> std::sync::MutexGuard<'_, Block> {
        // Nothing panics while it has one.
        let block = self.exchange[slot as usize].lock();
        block.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn set(&self, address: u64, size: u64) {
        let version = self.version.load(Relaxed);
        self.version.store(version.wrapping_add(1), Relaxed);
        fence(Release);
        self.size.store(size, Relaxed);
        self.address.store(address, Relaxed);
        self.version.store(version.wrapping_add(2), Release);
    }

    /// The address and the size of a block that was live at some moment since this was called.
    fn get(&self) -> Option<(u64, u64)> {
        loop {
            let version = self.version.load(Acquire);
            let address = self.address.load(Relaxed);
            let size = self.size.load(Relaxed);
            fence(Acquire);
            if version.is_multiple_of(2) && self.version.load(Relaxed) == version {
                return (address != 0).then_some((address, size));
            }
        }
    }
}

impl<'l> Shadow<'l> {
    /// Makes ready for the threads of a program, if it has any.
    pub(super) fn begin_threads(&mut self, program: &Program) {
        let threads = program.has_threads();
        self.common = threads.then(|| Arc::new(Common::new(self.blocks.len())));
    }

    /// A shadow for the thread of this number, from 1, that counts in a ledger of its own.
    pub fn sibling(&mut self, number: u64, ledger: &'l Ledger) -> Shadow<'l> {
        let mut shadow = Shadow::with(self.occupancy.sibling(), ledger, self.conduct);
        shadow.common = self.common.clone();
        shadow.blocks = vec![Line(Block::empty()); self.blocks.len()];
        shadow.purpose = self.purpose;
        shadow.reserved = self.reserved.clone();
        shadow.thread = number as u32;
        let common = self.common.as_ref();
        shadow.born = common.map_or(0, |common| common.born[number as usize].load(Relaxed));
        shadow.outcomes = vec![Default::default(); self.outcomes.len()];
        shadow
    }

    /// Says that the siblings made of this shadow are gone.
    pub fn rejoin(&mut self) {
        self.occupancy.rejoin();
    }

    /// Lets another thread have what is in the slot: a block, or the knowledge that there is none.
    pub fn give(&mut self, slot: Slot) {
        if let Some(common) = &self.common {
            let block = &mut self.blocks[slot as usize];
            if block.is_live() {
                self.live -= 1;
                self.live_bytes -= block.size;
            }
            *common.block(slot) = std::mem::replace(block, Line(Block::empty())).0;
        }
    }

    /// Takes what another thread let go of.
    pub fn take(&mut self, slot: Slot) {
        if let Some(common) = &self.common {
            let block = std::mem::replace(&mut *common.block(slot), Block::empty());
            if block.is_live() {
                self.live += 1;
                self.live_bytes += block.size;
            }
            self.blocks[slot as usize] = Line(block);
        }
    }

    /// Verifies what a thread that has ended has left in a slot, which comes back with the operation at `index`.
    ///
    /// # Errors
    ///
    /// If the block does not hold what was stored.
    pub fn verify_left(&mut self, index: usize, op: &Op, slot: Slot) -> Checked {
        let block = self.block(slot);
        if !block.is_live() || block.thread == self.thread {
            return Ok(());
        }
        self.ledger.count(RuleId::ThreadExitLive);
        let at = At { index, op };
        self.verify(at, slot, &block, RuleId::ContentStable)
    }

    /// The thread has ended: lets go of every block, if it did before its part of the program was done.
    pub fn give_all(&mut self) {
        if let Some(common) = &self.common {
            common.born[self.thread as usize].store(self.born, Relaxed);
        }
        for slot in 0..self.blocks.len() {
            if self.blocks[slot].is_live() {
                self.give(slot as Slot);
            }
        }
    }

    /// Adds what an operation of a sibling's gave, for the reader of a finding.
    pub fn note_outcome(&mut self, sibling: &Shadow<'_>, index: usize) {
        if let (Some(mine), Some(theirs)) =
            (self.outcomes.get_mut(index), sibling.outcomes.get(index))
        {
            *mine = *theirs;
        }
    }

    /// Counts what a sibling has handed out as handed out by this one.
    pub fn count_handed_out(&mut self, sibling: &Shadow<'_>) {
        self.handed_out += sibling.handed_out;
    }

    /// Marks the place of the block in a slot.
    #[inline(always)]
    pub(super) fn occupy(&self, slot: Slot, block: &Block) -> Mark {
        if let Some(common) = &self.common {
            // Before the mark, so that whoever finds it finds out whose it is.
            common.places[slot as usize].set(block.address, block.extent());
        }
        self.occupancy.mark(block.address, block.extent())
    }

    /// Clears the place of the block in a slot, which the subject may hand out again from here on.
    #[inline(always)]
    pub(super) fn vacate(&mut self, slot: Slot, block: &Block) {
        if let Some(common) = &self.common {
            common.places[slot as usize].set(0, 0);
        }
        self.occupancy.clear(block.address, block.extent());
    }

    /// A live block of any thread that shares a byte with this one, which is in another slot.
    pub(super) fn overlapped_anywhere(&self, slot: Slot, block: &Block) -> Option<(Slot, Block)> {
        let common = self.common.as_ref()?;
        let places = (0..).zip(&common.places);
        let mut found = places.filter_map(|(other, place): (Slot, &Place)| {
            let (address, size) = place.get()?;
            let known = self.block(other);
            let theirs = if known.address == address {
                known
            } else {
                Block {
                    address,
                    size,
                    requested: size,
                    ..Block::empty()
                }
            };
            (other != slot && block.overlaps(&theirs)).then_some((other, theirs))
        });
        found.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::{Conduct, ERRNO_BEFORE, Evidence, Muted, Reply};

    fn conduct() -> Conduct {
        Conduct {
            rules: RuleId::ALL.iter().copied().collect(),
            muted: Muted::NONE,
            stores: false,
            closely: false,
        }
    }

    /// A resize that fails leaves its block live all the while: whoever is given the memory meanwhile is found, by itself
    /// or by the one whose block it is.
    #[test]
    fn memory_given_to_another_thread_while_a_resize_fails_is_an_overlap() {
        let ledger = Ledger::new();
        let mut main = Shadow::new(&ledger, conduct()).expect("address space for a shadow");
        let program = Program::parse(
            "# allocspec trace 1\nthread 1\np0 = malloc 100\np0 = realloc p0 9000\nthread 2\np1 = malloc 100",
        );
        let ops = program.as_ref().expect("a program").ops.clone();
        main.begin(&program.expect("a program"));
        let mut one = main.sibling(1, &ledger);
        let mut other = main.sibling(2, &ledger);
        let gave = |value| Reply {
            value,
            errno: if value == 0 {
                libc::ENOMEM
            } else {
                ERRNO_BEFORE
            },
            ..Reply::default()
        };
        let make = |shadow: &mut Shadow<'_>, index: usize, value| {
            let request = shadow.request(&ops[index]);
            assert!(shadow.prepare(index, &ops[index], &request).is_ok());
            shadow.settle(index, &ops[index], &request, &gave(value))
        };
        assert!(make(&mut one, 1, 0x1000).is_ok());
        let resize = one.request(&ops[2]);
        assert!(one.prepare(2, &ops[2], &resize).is_ok());
        assert!(make(&mut other, 4, 0x1000).is_ok());
        assert!(one.settle(2, &ops[2], &resize, &gave(0)).is_err());
        let found = one.take_finding().map(|finding| finding.evidence);
        assert!(
            matches!(
                found,
                Some(Evidence::Overlap {
                    address: 0x1000,
                    other: 1,
                    ..
                })
            ),
            "{found:?}"
        );
    }

    #[test]
    fn blocks_of_one_section_hold_something_else_than_those_of_the_next() {
        let ledger = Ledger::new();
        let mut main = Shadow::new(&ledger, conduct()).expect("address space for a shadow");
        let program = Program::parse("# allocspec trace 1\nthread 1\np0 = malloc 1");
        main.begin(&program.expect("a program"));
        let mut last = 0;
        for _ in 0..3 {
            let mut one = main.sibling(1, &ledger);
            let mut other = main.sibling(2, &ledger);
            assert!(one.born >= last && other.born > one.born + 1000);
            one.born += 1000;
            other.born += 1;
            last = one.born;
            one.give_all();
            other.give_all();
            drop((one, other));
            main.rejoin();
        }
        assert_eq!(last, BLOCKS_EACH + 3000);
    }
}
