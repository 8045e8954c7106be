//! Which bytes are live, one bit a granule.
//!
//! The only question asked on every operation is "does this block overlap a live one?", so the answer must not depend
//! on how many blocks are live: a table indexed by address, not a tree. Words are atomic; setting returns the old bits,
//! so two threads that are handed the same memory cannot both miss it. A block that covers whole regions, or whole spans
//! of them, costs one word for each, so that a block of many TiB is as quickly marked as one of a few pages. Whoever has
//! the table to itself pays for no locked instruction where most blocks lie: inside one region that is in use already.
//!
//! All memory is reserved when the table is made: nothing is allocated, mapped or locked afterwards. The bits of regions
//! that have become empty serve others, so that an allocator may use new addresses for ever.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Bytes a bit stands for. Smaller blocks can share a granule; see [`Occupancy::share`].
const GRANULE_BITS: u32 = 3;
/// Bytes an entry of the upper level stands for: 1 MiB.
const REGION_BITS: u32 = 20;
/// User-space addresses have 47 bits.
const ADDRESS_BITS: u32 = 47;
/// Words of 64 granules in a region.
const REGION_WORDS: usize = 1 << (REGION_BITS - GRANULE_BITS - 6);
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
/// The entry of a span of which some region was in use at some time.
const DIVIDED: u64 = 2;

/// The first address beyond user space.
pub const ADDRESS_END: u64 = 1 << ADDRESS_BITS;

/// Which granules of the address space belong to a live block.
pub struct Occupancy {
    spans: Reserved,
    regions: Reserved,
    leaves: Reserved,
    leaves_used: AtomicUsize,
    /// The region of each leaf.
    owners: Reserved,
    /// The leaf that is looked at next.
    hand: AtomicUsize,
    /// Granules shared by several small blocks, with the number of blocks beyond the first.
    shared: HashMap<u64, u32>,
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
            leaves: Reserved::new(leaves * REGION_WORDS)?,
            leaves_used: AtomicUsize::new(0),
            owners: Reserved::new(leaves)?,
            hand: AtomicUsize::new(0),
            shared: HashMap::new(),
        })
    }

    /// Where the table itself lies.
    pub fn place(&self) -> [Range<u64>; 3] {
        [&self.spans, &self.regions, &self.leaves].map(|reserved| {
            let start = reserved.base.addr() as u64;
            start..start + (reserved.words * size_of::<AtomicU64>()) as u64
        })
    }

    /// Bytes that the table itself takes, roughly.
    pub fn own_bytes(&self) -> u64 {
        let leaves = self.leaves_used.load(Relaxed) * REGION_WORDS * size_of::<AtomicU64>();
        leaves as u64
    }

    /// Marks `[address, address + size)`; a block of no bytes takes the granule of its address.
    ///
    /// The range must end below [`ADDRESS_END`].
    #[inline(always)]
    pub fn mark(&mut self, address: u64, size: u64) -> Mark {
        let (first, last) = granules(address, size);
        let Some(words) = self.words_mut(first, last) else {
            return self.mark_range(first, last);
        };
        let mut taken = 0;
        each_word(words, first, last, |word, mask| {
            taken |= *word & mask;
            *word |= mask;
        });
        if taken == 0 { Mark::Clear } else { Mark::Taken }
    }

    /// The words of the granules, if all lie in one region whose bits exist.
    #[inline(always)]
    fn words_mut(&mut self, first: u64, last: u64) -> Option<&mut [AtomicU64]> {
        let region = first >> (REGION_BITS - GRANULE_BITS);
        let leaf = self.regions[region as usize].load(Relaxed);
        if last >> (REGION_BITS - GRANULE_BITS) != region || leaf <= COVERED {
            return None;
        }
        let start = leaf_start(leaf);
        let words = start + word_in_region(first)..=start + word_in_region(last);
        self.leaves.get_mut(words)
    }

    #[cold]
    #[inline(never)]
    fn mark_range(&self, first: u64, last: u64) -> Mark {
        let mut taken = false;
        self.each_span(first, last, |first, last, whole| {
            let span = first >> (SPAN_BITS - GRANULE_BITS);
            if whole {
                let entry = &self.spans[span as usize];
                match entry.compare_exchange(0, COVERED, Relaxed, Relaxed) {
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
                match entry.compare_exchange(0, COVERED, Relaxed, Relaxed) {
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
                taken |= word.fetch_or(mask, Relaxed) & mask != 0;
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
            _ => match entry.compare_exchange(0, DIVIDED, Relaxed, Relaxed) {
                Ok(_) | Err(DIVIDED) => Some(()),
                Err(_) => None,
            },
        }
    }

    /// Brings the word of an address into the cache.
    #[inline]
    pub fn prefetch(&self, address: u64) {
        let (first, _) = granules(address, 1);
        let leaf = self.regions[(address >> REGION_BITS) as usize].load(Relaxed);
        if leaf > COVERED {
            prefetch(&raw const self.leaves[leaf_start(leaf) + word_in_region(first)]);
        }
    }

    /// Clears a range that was marked as it is given here.
    #[inline(always)]
    pub fn clear(&mut self, address: u64, size: u64) {
        let (first, last) = granules(address, size);
        if self.shared.is_empty()
            && let Some(words) = self.words_mut(first, last)
        {
            each_word(words, first, last, |word, mask| *word &= !mask);
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
                    word.fetch_and(!mask, Relaxed);
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
        match self.regions[region as usize].load(Relaxed) {
            0 => self.grow(region),
            COVERED => None,
            leaf => Some(self.leaf_at(leaf)),
        }
    }

    /// The bits of a region, if it has any.
    #[inline]
    fn present_leaf(&self, region: u64) -> Option<&[AtomicU64]> {
        let leaf = self.regions[region as usize].load(Relaxed);
        (leaf > COVERED).then(|| self.leaf_at(leaf))
    }

    #[cold]
    fn grow(&self, region: u64) -> Option<&[AtomicU64]> {
        let index = self.empty_leaf().or_else(|| self.new_leaf())?;
        self.owners[index].store(region, Relaxed);
        let leaf = leaf_entry(index);
        self.regions[region as usize].store(leaf, Relaxed);
        Some(self.leaf_at(leaf))
    }

    /// A leaf of a region in which nothing is live any more, taken from it.
    fn empty_leaf(&self) -> Option<usize> {
        let used = self.leaves_used.load(Relaxed);
        let tries = if used < self.owners.len() {
            LOOKED_AT.min(used)
        } else {
            used
        };
        for _ in 0..tries {
            let index = self.hand.load(Relaxed) % used;
            self.hand.store(index + 1, Relaxed);
            let leaf = self.leaf_at(leaf_entry(index));
            if leaf.iter().all(|word| word.load(Relaxed) == 0) {
                let owner = self.owners[index].load(Relaxed);
                self.regions[owner as usize].store(0, Relaxed);
                return Some(index);
            }
        }
        None
    }

    fn new_leaf(&self) -> Option<usize> {
        let index = self.leaves_used.load(Relaxed);
        (index < self.owners.len()).then(|| {
            self.leaves_used.store(index + 1, Relaxed);
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

/// The entry of a leaf: that of leaf 0 is 2, since 0 and 1 have meanings of their own.
#[inline]
fn leaf_entry(index: usize) -> u64 {
    index as u64 + 2
}

/// Where the bits of a leaf begin, by its entry.
#[inline(always)]
fn leaf_start(entry: u64) -> usize {
    (entry as usize - 2) * REGION_WORDS
}

/// Calls `change` with each of the words that hold the granules from `first` to `last`, and the mask of those in it.
#[inline(always)]
fn each_word(
    words: &mut [AtomicU64],
    first: u64,
    last: u64,
    mut change: impl FnMut(&mut u64, u64),
) {
    let (head, tail) = (!0 << (first & 63), !0 >> (63 - (last & 63)));
    match words {
        [word] => change(word.get_mut(), head & tail),
        [start, middle @ .., end] => {
            change(start.get_mut(), head);
            for word in middle {
                change(word.get_mut(), !0);
            }
            change(end.get_mut(), tail);
        }
        [] => {}
    }
}

/// The mask of one word of a run of words.
fn end_mask(index: usize, first: usize, last: usize, (head, tail): (u64, u64)) -> u64 {
    let mut mask = !0;
    if index == first {
        mask &= head;
    }
    if index == last {
        mask &= tail;
    }
    mask
}

/// Asks for the cache line at a place, which need not exist.
#[inline]
pub(super) fn prefetch<T>(place: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint to the processor, which takes any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
}

/// The first and the last granule of a block.
#[inline(always)]
fn granules(address: u64, size: u64) -> (u64, u64) {
    let last_byte = address + size.max(1) - 1;
    debug_assert!(last_byte < ADDRESS_END);
    (address >> GRANULE_BITS, last_byte >> GRANULE_BITS)
}

#[inline(always)]
fn word_in_region(granule: u64) -> usize {
    (granule >> 6) as usize & (REGION_WORDS - 1)
}

/// Words of reserved address space, zero until written.
struct Reserved {
    base: *mut AtomicU64,
    words: usize,
}

impl Reserved {
    fn new(words: usize) -> io::Result<Reserved> {
        // SAFETY: a fresh anonymous mapping touches no memory that exists.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                words * size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Reserved {
            base: base.cast(),
            words,
        })
    }
}

impl std::ops::Deref for Reserved {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `base` is a live mapping of `words` zeroed or written words, unmapped only when `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.base, self.words) }
    }
}

impl std::ops::DerefMut for Reserved {
    #[inline]
    fn deref_mut(&mut self) -> &mut [AtomicU64] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.base, self.words) }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference into it outlives `self`.
        unsafe { libc::munmap(self.base.cast(), self.words * size_of::<AtomicU64>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Occupancy {
        Occupancy::new().expect("address space for the table")
    }

    #[test]
    fn neighbours_are_apart_and_overlaps_are_seen() {
        let mut table = table();
        assert_eq!(table.mark(0x1000, 100), Mark::Clear);
        assert_eq!(table.mark(0x1068, 8), Mark::Clear);
        assert_eq!(table.mark(0xff8, 8), Mark::Clear);
        table.clear(0x1000, 100);
        assert_eq!(table.mark(0x1000, 104), Mark::Clear);
        assert_eq!(table.mark(0x1060, 1), Mark::Taken);
    }

    #[test]
    fn every_pair_of_small_ranges_agrees_with_interval_arithmetic() {
        let mut table = table();
        for first in 0..24u64 {
            for first_size in [1u64, 3, 8, 9, 16, 70] {
                for second in 0..24u64 {
                    for second_size in [1u64, 8, 33, 600] {
                        let (a, b) = (0x7_0000_0000 + first * 8, 0x7_0000_0000 + second * 8);
                        assert_eq!(table.mark(a, first_size), Mark::Clear);
                        let apart = a + first_size.next_multiple_of(8) <= b
                            || b + second_size.next_multiple_of(8) <= a;
                        assert_eq!(table.mark(b, second_size) == Mark::Clear, apart);
                        table.clear(a, first_size);
                        table.clear(b, second_size);
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_of_many_regions_are_marked_and_cleared_whole() {
        let mut table = table();
        let base = 0x7f00_0000_0000 - 0x1234 * 16;
        let size = 5u64 << 30;
        assert_eq!(table.mark(base, size), Mark::Clear);
        for inside in [0, 8, 1 << 20, (3 << 30) + 4096, size - 1] {
            assert_eq!(table.mark(base + inside, 1), Mark::Taken, "at {inside}");
        }
        table.clear(base, size);
        for inside in [0, 1 << 20, (3 << 30) + 4096, size - 8] {
            assert_eq!(table.mark(base + inside, 8), Mark::Clear, "at {inside}");
        }
        assert_eq!(table.mark(base, size), Mark::Taken);
    }

    #[test]
    fn blocks_of_many_spans_cost_little_and_exclude_others() {
        let mut table = table();
        let (base, size) = (0x1000_0000_0000, 60u64 << 40);
        assert_eq!(table.mark(base, size), Mark::Clear);
        assert_eq!(table.mark(base + (7 << 40) + 8, 16), Mark::Taken);
        assert_eq!(table.mark(base + (9 << 40), 3 << 30), Mark::Taken);
        table.clear(base, size);
        assert_eq!(table.mark(base + (5 << 40) + 8, 16), Mark::Clear);
        assert_eq!(table.mark(base, size), Mark::Taken);
    }

    #[test]
    fn addresses_that_are_never_used_again_cost_no_memory() {
        let mut table = table();
        let live = 1000;
        let address = |number: u64| 0x1000_0000_0000 + (number << 21);
        for number in 0..100_000 {
            assert_eq!(table.mark(address(number), 100), Mark::Clear);
            assert_eq!(table.mark(address(number) + 64, 1), Mark::Taken);
            if number >= live {
                table.clear(address(number - live), 100);
            }
        }
        let leaves = table.own_bytes() / (REGION_WORDS * 8) as u64;
        assert!(leaves <= 3 * live, "{leaves}");
        for number in 100_000 - live..100_000 {
            assert_eq!(table.mark(address(number), 1), Mark::Taken);
        }
    }

    #[test]
    fn without_bits_nothing_is_called_clear() {
        let mut table = Occupancy::with_leaves(3).expect("address space for the table");
        let address = |number: u64| number << 21;
        for number in 1..=3 {
            assert_eq!(table.mark(address(number), 8), Mark::Clear);
        }
        assert_eq!(table.mark(address(4), 8), Mark::Taken);
        table.clear(address(4), 8);
        assert_eq!(table.mark(address(4), 8), Mark::Taken);
        table.clear(address(2), 8);
        assert_eq!(table.mark(address(5), 8), Mark::Clear);
        assert_eq!(table.mark(address(3), 8), Mark::Taken);
    }

    #[test]
    fn blocks_that_share_a_granule_do_not_clear_each_other() {
        let mut table = table();
        assert_eq!(table.mark(0x4000, 3), Mark::Clear);
        assert_eq!(table.mark(0x4003, 2), Mark::Taken);
        table.share(0x4003, 2, true, true);
        table.clear(0x4000, 3);
        assert_eq!(table.mark(0x4001, 8), Mark::Taken);
        table.clear(0x4003, 2);
        table.clear(0x4001, 8);
        assert_eq!(table.mark(0x4000, 8), Mark::Clear);
    }
}
