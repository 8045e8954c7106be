//! Addresses, granules and the bits that stand for them.

use std::sync::atomic::AtomicU64;

/// Bytes a bit stands for. Smaller blocks can share a granule; see [`Occupancy::share`](super::Occupancy::share).
pub(super) const GRANULE_BITS: u32 = 3;
/// Bytes an entry of the upper level stands for: 1 MiB.
pub(super) const REGION_BITS: u32 = 20;
/// User-space addresses have 47 bits.
pub(super) const ADDRESS_BITS: u32 = 47;
/// Words of 64 granules in a region.
pub(super) const REGION_WORDS: usize = 1 << (REGION_BITS - GRANULE_BITS - 6);

/// Words that are changed together.
pub(super) const AT_ONCE: usize = 3;

/// The first address beyond user space.
pub const ADDRESS_END: u64 = 1 << ADDRESS_BITS;

/// The entry of a leaf: that of leaf 0 is 2, since 0 and 1 have meanings of their own.
#[inline]
pub(super) fn leaf_entry(index: usize) -> u64 {
    index as u64 + 2
}

/// Where the bits of a leaf begin, by its entry.
#[inline(always)]
pub(super) fn leaf_start(entry: u64) -> usize {
    (entry as usize - 2) * REGION_WORDS
}

/// Calls `change` with each of the words that hold the granules from `first` to `last`, and the mask of those in it.
///
/// Blocks of up to a KiB lie in one to three words, and how many cannot be foreseen: three are changed at all events, of
/// some of them nothing, so that the processor has no branch to guess.
#[inline(always)]
pub(super) fn each_word(
    words: &[AtomicU64],
    first: u64,
    last: u64,
    mut change: impl FnMut(&AtomicU64, u64),
) {
    let (head, tail) = (!0 << (first & 63), !0 >> (63 - (last & 63)));
    let beyond = (last >> 6) - (first >> 6);
    // All ones or none: a `match` would become the very branches.
    let ones = |when: bool| u64::from(when).wrapping_neg();
    let mask = |word: u64| ones(beyond > word) | (ones(beyond == word) & tail);
    let Some((few, others)) = words.split_first_chunk::<AT_ONCE>() else {
        unreachable!("a range is marked by no fewer words than are changed together");
    };
    let [start, second, third] = few;
    change(start, head & mask(0));
    change(second, mask(1));
    change(third, mask(2));
    for (index, word) in (AT_ONCE as u64..).zip(others) {
        change(word, mask(index));
    }
}

/// The mask of one word of a run of words.
pub(super) fn end_mask(index: usize, first: usize, last: usize, (head, tail): (u64, u64)) -> u64 {
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
pub(in crate::shadow) fn prefetch<T>(place: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint to the processor, which takes any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
}

/// The first and the last granule of a block.
#[inline(always)]
pub(super) fn granules(address: u64, size: u64) -> (u64, u64) {
    let last_byte = address + size.max(1) - 1;
    debug_assert!(last_byte < ADDRESS_END);
    (address >> GRANULE_BITS, last_byte >> GRANULE_BITS)
}

#[inline(always)]
pub(super) fn word_in_region(granule: u64) -> usize {
    (granule >> 6) as usize & (REGION_WORDS - 1)
}
