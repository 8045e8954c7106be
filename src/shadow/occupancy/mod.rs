//! Which bytes are live, one bit a granule.
//!
//! The only question asked on every operation is "does this block overlap a live one?", so the answer must not depend
//! on how many blocks are live: a table indexed by address, not a tree. Words are atomic; setting returns the old bits,
//! so two threads that are handed the same memory cannot both miss it. A block that covers whole regions, or whole spans
//! of them, costs one word for each, so that a block of many TiB is as quickly marked as one of a few pages. Whoever has
//! the table to itself pays for no locked instruction where most blocks lie: inside one region that is in use already.
//! Several threads each have a handle on it, see [`Occupancy::sibling`].
//!
//! All memory is reserved when the table is made: nothing is allocated or mapped afterwards. The bits of regions that have
//! become empty serve others, so that an allocator may use new addresses for ever; not while there are several handles,
//! for a region is not known to be empty while another thread may be about to mark it.

mod granules;
mod reserved;

pub use granules::ADDRESS_END;
pub(super) use granules::prefetch;
use granules::*;
use reserved::Reserved;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};

/// Regions that can be partly covered at one time; 16 KiB each, mapped when touched.
const LEAVES: usize = 1 << 16;
/// Leaves looked at for an empty one before another is begun. With two, about half of all leaves hold something at
/// the least, and the cost does not depend on how many there are.
const LOOKED_AT: usize = 2;
/// Bytes of a span of regions: 1 GiB.
const SPAN_BITS: u32 = 30;
/// Regions in a span.
const SPAN_REGIONS: u64 = 1 << (SPAN_BITS - REGION_BITS);
/// The entry of a region or a span that one block covers from end to end.
const COVERED: u64 = 1;
/// The owner of a leaf that no region has.
const NO_REGION: u64 = u64::MAX;
/// The entry of a span of which some region was in use at some time.
const DIVIDED: u64 = 2;

/// Entries of regions in a piece: those that one page of page tables is for, so that the kernel is asked about no others.
const PIECE_BITS: u32 = 18;
const PIECES: usize = 1 << (ADDRESS_BITS - REGION_BITS - PIECE_BITS);

/// Which granules of the address space belong to a live block.
pub struct Occupancy {
    spans: Reserved,
    regions: Reserved,
    leaves: Reserved,
    /// The region of each leaf.
    owners: Reserved,
    growth: Arc<Growth>,
    /// Whether there is no other handle.
    alone: bool,
    /// Granules shared by several small blocks, with the number of blocks beyond the first. Not known while there are
    /// several handles: what one of those blocks lies in may be taken for free then, once another is.
    shared: HashMap<u64, u32>,
}

/// How far the leaves are used up.
#[derive(Default)]
struct Growth {
    used: AtomicUsize,
    /// The leaf that is looked at next.
    hand: AtomicUsize,
    /// Held by whoever gives a leaf to a region.
    giving: Mutex<()>,
    /// The pieces of the entries of regions in which something was written, one bit each.
    pieces: [AtomicU64; PIECES / 64],
}

impl Growth {
    fn begin_piece(&self, piece: usize) {
        self.pieces[piece / 64].fetch_or(1 << (piece % 64), Relaxed);
    }

    fn has_piece(&self, piece: usize) -> bool {
        self.pieces[piece / 64].load(Relaxed) >> (piece % 64) & 1 != 0
    }
}

/// What became of an attempt to mark a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Mark {
    /// No granule of the range was marked before; all are now.
    Clear,
    /// At least one granule was marked before, or it is not known for want of bits: those that there are bits for are
    /// marked now.
    Taken,
}

impl Occupancy {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// When the address space for it cannot be reserved: 2 GiB, of which only what is used takes memory.
    pub fn new() -> io::Result<Occupancy> {
        Occupancy::with_leaves(LEAVES)
    }

    fn with_leaves(leaves: usize) -> io::Result<Occupancy> {
        Ok(Occupancy {
            spans: Reserved::new(1 << (ADDRESS_BITS - SPAN_BITS))?,
            regions: Reserved::new(1 << (ADDRESS_BITS - REGION_BITS))?,
            leaves: Reserved::new(leaves * REGION_WORDS + AT_ONCE)?,
            owners: Reserved::new(leaves)?,
            growth: Arc::default(),
            alone: true,
            shared: HashMap::new(),
        })
    }

    /// Another handle on the same table, for another thread.
    pub fn sibling(&mut self) -> Occupancy {
        self.alone = false;
        Occupancy {
            spans: self.spans.clone(),
            regions: self.regions.clone(),
            leaves: self.leaves.clone(),
            owners: self.owners.clone(),
            growth: self.growth.clone(),
            alone: false,
            shared: HashMap::new(),
        }
    }

    /// Says that the handles made of this one are gone, if they are.
    pub fn rejoin(&mut self) {
        self.alone = Arc::strong_count(&self.growth) == 1;
    }

    /// Whether no other thread has a handle.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Where the table itself lies.
    pub fn place(&self) -> [Range<u64>; 3] {
        [&self.spans, &self.regions, &self.leaves].map(Reserved::place)
    }

    /// Bytes of memory that the table itself takes: an allocator that goes to new addresses for ever makes the entries of
    /// regions grow as well, by a page for every 512 MiB that it comes to.
    pub fn own_bytes(&self) -> u64 {
        let used = self.growth.used.load(Relaxed);
        let pieces = (0..PIECES).filter(|&piece| self.growth.has_piece(piece));
        let regions: u64 = pieces
            .map(|piece| {
                let start = piece << PIECE_BITS;
                self.regions.resident(start..start + (1 << PIECE_BITS))
            })
            .sum();
        self.spans.resident(0..self.spans.len())
            + regions
            + self.leaves.resident(0..used * REGION_WORDS)
            + self.owners.resident(0..used)
    }

    /// Marks `[address, address + size)`; a block of no bytes takes the granule of its address.
    ///
    /// The range must end below [`ADDRESS_END`].
    #[inline(always)]
    pub fn mark(&self, address: u64, size: u64) -> Mark {
        let (first, last) = granules(address, size);
        let Some(words) = self.own_words(first, last) else {
            return self.mark_range(first, last);
        };
        let mut taken = 0;
        each_word(words, first, last, |word, mask| {
            let before = word.load(Relaxed);
            taken |= before & mask;
            word.store(before | mask, Relaxed);
        });
        if taken == 0 { Mark::Clear } else { Mark::Taken }
    }

    /// The words of the granules, if nobody else has a handle and all lie in one region whose bits exist; always as many as
    /// [`each_word`] takes.
    #[inline(always)]
    fn own_words(&self, first: u64, last: u64) -> Option<&[AtomicU64]> {
        let region = first >> (REGION_BITS - GRANULE_BITS);
        let leaf = self.regions[region as usize].load(Relaxed);
        if last >> (REGION_BITS - GRANULE_BITS) != region || leaf <= COVERED || !self.alone {
            return None;
        }
        let start = leaf_start(leaf) + word_in_region(first);
        let words = (word_in_region(last) - word_in_region(first) + 1).max(AT_ONCE);
        self.leaves.get(start..start + words)
    }

    #[cold]
    #[inline(never)]
    fn mark_range(&self, first: u64, last: u64) -> Mark {
        let mut taken = false;
        self.each_span(first, last, |first, last, whole| {
            let span = first >> (SPAN_BITS - GRANULE_BITS);
            if whole {
                let entry = &self.spans[span as usize];
                match entry.compare_exchange(0, COVERED, AcqRel, Acquire) {
                    Ok(_) => return,
                    Err(COVERED) => {
                        taken = true;
                        return;
                    }
                    Err(_) => {}
                }
            }
            match self.divide(span) {
                Some(()) => taken |= self.mark_regions(first, last),
                None => taken = true,
            }
        });
        if taken { Mark::Taken } else { Mark::Clear }
    }

    /// Marks granules of one span; says whether one was marked before.
    fn mark_regions(&self, first: u64, last: u64) -> bool {
        let mut taken = false;
        self.each_region(first, last, |region, words, ends| {
            if words.len() == REGION_WORDS && ends == (!0, !0) {
                let entry = &self.regions[region];
                match entry.compare_exchange(0, COVERED, AcqRel, Acquire) {
                    Ok(_) => return,
                    Err(COVERED) => {
                        taken = true;
                        return;
                    }
                    Err(_) => {}
                }
            }
            let Some(leaf) = self.leaf(region as u64) else {
                taken = true;
                return;
            };
            let final_word = words.end - 1;
            for (index, word) in leaf.iter().enumerate().take(words.end).skip(words.start) {
                let mask = end_mask(index, words.start, final_word, ends);
                taken |= word.fetch_or(mask, AcqRel) & mask != 0;
            }
        });
        taken
    }

    /// Makes sure that the regions of a span speak for it; `None` if one block covers the span.
    #[inline]
    fn divide(&self, span: u64) -> Option<()> {
        let entry = &self.spans[span as usize];
        match entry.load(Relaxed) {
            DIVIDED => Some(()),
            _ => match entry.compare_exchange(0, DIVIDED, AcqRel, Acquire) {
                Ok(_) => {
                    self.growth
                        .begin_piece((span * SPAN_REGIONS) as usize >> PIECE_BITS);
                    Some(())
                }
                Err(DIVIDED) => Some(()),
                Err(_) => None,
            },
        }
    }

    /// Brings the word of an address into the cache.
    #[inline]
    pub fn prefetch(&self, address: u64) {
        let (first, _) = granules(address, 1);
        let leaf = self.regions[(address >> REGION_BITS) as usize].load(Relaxed);
        // A region without a leaf is rare: asking for some other line then costs less than looking whether it is so.
        prefetch(
            &raw const self.leaves[leaf_start(leaf.max(leaf_entry(0))) + word_in_region(first)],
        );
    }

    /// Clears a range that was marked as it is given here.
    #[inline(always)]
    pub fn clear(&mut self, address: u64, size: u64) {
        let (first, last) = granules(address, size);
        if self.shared.is_empty()
            && let Some(words) = self.own_words(first, last)
        {
            each_word(words, first, last, |word, mask| {
                word.store(word.load(Relaxed) & !mask, Relaxed);
            });
            return;
        }
        self.clear_range(first, last);
    }

    #[cold]
    #[inline(never)]
    fn clear_range(&mut self, first: u64, last: u64) {
        // A granule that another small block also lies in stays marked.
        let keep_first = self.release_share(first);
        let keep_last = if last == first {
            keep_first
        } else {
            self.release_share(last)
        };
        self.each_span(first, last, |first, last, _| {
            let span = &self.spans[(first >> (SPAN_BITS - GRANULE_BITS)) as usize];
            if span.load(Relaxed) == COVERED {
                span.store(0, Relaxed);
                return;
            }
            self.each_region(first, last, |region, words, ends| {
                let entry = &self.regions[region];
                if entry.load(Relaxed) == COVERED {
                    entry.store(0, Relaxed);
                    return;
                }
                let Some(leaf) = self.present_leaf(region as u64) else {
                    return;
                };
                let final_word = words.end - 1;
                for (index, word) in leaf.iter().enumerate().take(words.end).skip(words.start) {
                    let mask = end_mask(index, words.start, final_word, ends);
                    word.fetch_and(!mask, AcqRel);
                }
            });
        });
        for (granule, keep) in [(first, keep_first), (last, keep_last)] {
            if keep && let Some(leaf) = self.present_leaf(granule >> (REGION_BITS - GRANULE_BITS)) {
                leaf[word_in_region(granule)].fetch_or(1 << (granule & 63), Relaxed);
            }
        }
    }

    /// Says that a block found [`Mark::Taken`] shares no byte with another after all: blocks smaller than a granule
    /// may lie side by side in one. `first_shared` and `last_shared` say at which ends of the block that is so.
    pub fn share(&mut self, address: u64, size: u64, first_shared: bool, last_shared: bool) {
        let (first, last) = granules(address, size);
        if first_shared {
            *self.shared.entry(first).or_default() += 1;
        }
        if last_shared && last != first {
            *self.shared.entry(last).or_default() += 1;
        }
    }

    fn release_share(&mut self, granule: u64) -> bool {
        match self.shared.get_mut(&granule) {
            None => false,
            Some(1) => {
                self.shared.remove(&granule);
                true
            }
            Some(others) => {
                *others -= 1;
                true
            }
        }
    }

    /// The bits of a region, made when first needed; `None` if the region is covered by one block, or has no bits and
    /// none are left.
    #[inline]
    fn leaf(&self, region: u64) -> Option<&[AtomicU64]> {
        match self.regions[region as usize].load(Acquire) {
            0 => self.grow(region),
            COVERED => None,
            leaf => Some(self.leaf_at(leaf)),
        }
    }

    /// The bits of a region, if it has any.
    #[inline]
    fn present_leaf(&self, region: u64) -> Option<&[AtomicU64]> {
        let leaf = self.regions[region as usize].load(Acquire);
        (leaf > COVERED).then(|| self.leaf_at(leaf))
    }

    #[cold]
    fn grow(&self, region: u64) -> Option<&[AtomicU64]> {
        let giving = self.growth.giving.lock();
        let entry = &self.regions[region as usize];
        if entry.load(Acquire) == 0 {
            let index = self.empty_leaf().or_else(|| self.new_leaf())?;
            self.owners[index].store(region, Relaxed);
            // Another thread may have covered the whole region meanwhile: then the leaf is left over, of no region.
            if entry
                .compare_exchange(0, leaf_entry(index), AcqRel, Acquire)
                .is_err()
            {
                self.owners[index].store(NO_REGION, Relaxed);
            }
        }
        drop(giving);
        self.present_leaf(region)
    }

    /// A leaf of a region in which nothing is live any more, taken from it.
    fn empty_leaf(&self) -> Option<usize> {
        if !self.alone {
            return None;
        }
        let used = self.growth.used.load(Relaxed);
        let tries = if used < self.owners.len() {
            LOOKED_AT.min(used)
        } else {
            used
        };
        for _ in 0..tries {
            let index = self.growth.hand.load(Relaxed) % used;
            self.growth.hand.store(index + 1, Relaxed);
            let leaf = self.leaf_at(leaf_entry(index));
            if leaf.iter().all(|word| word.load(Relaxed) == 0) {
                let owner = self.owners[index].load(Relaxed);
                if owner != NO_REGION {
                    self.regions[owner as usize].store(0, Relaxed);
                }
                return Some(index);
            }
        }
        None
    }

    fn new_leaf(&self) -> Option<usize> {
        let index = self.growth.used.load(Relaxed);
        (index < self.owners.len()).then(|| {
            self.growth.used.store(index + 1, Relaxed);
            index
        })
    }

    #[inline]
    fn leaf_at(&self, leaf: u64) -> &[AtomicU64] {
        let start = leaf_start(leaf);
        &self.leaves[start..start + REGION_WORDS]
    }

    /// Calls `visit` with the granules in each span they lie in, and whether they are the whole span.
    fn each_span(&self, first: u64, last: u64, mut visit: impl FnMut(u64, u64, bool)) {
        let per_span = SPAN_REGIONS << (REGION_BITS - GRANULE_BITS);
        let mut start = first;
        loop {
            let end = (start | (per_span - 1)).min(last);
            visit(start, end, end - start == per_span - 1);
            if end == last {
                return;
            }
            start = end + 1;
        }
    }

    /// Calls `visit` with each region the granules lie in, the words of it that they touch, and the masks of the first
    /// and the last of those words.
    fn each_region(
        &self,
        first: u64,
        last: u64,
        mut visit: impl FnMut(usize, std::ops::Range<usize>, (u64, u64)),
    ) {
        let per_region = 1u64 << (REGION_BITS - GRANULE_BITS);
        let mut start = first;
        loop {
            let end = (start | (per_region - 1)).min(last);
            let words = word_in_region(start)..word_in_region(end) + 1;
            visit(
                (start / per_region) as usize,
                words,
                (!0 << (start & 63), !0 >> (63 - (end & 63))),
            );
            if end == last {
                return;
            }
            start = end + 1;
        }
    }
}

#[cfg(test)]
mod tests;
