//! What live blocks hold: noise that depends on the block and on the place in it.
//!
//! A pattern shared by all blocks would let two blocks on the same memory agree; one that repeats would let a block
//! copied to the wrong offset agree. So every block holds another window of one table of random bytes, which the C
//! library's fastest loops can copy and compare. Small blocks are written and verified whole. Of larger ones the head,
//! the tail and one line of every page are: enough to meet every page and both ends, at a cost that memory bandwidth
//! does not set.

use crate::program::SplitMix;
use std::ops::Range;
use std::ptr;

/// Blocks up to this many bytes are written and verified whole.
pub const WHOLE: u64 = 4096;
/// Bytes written at the head and at the tail of a larger block.
const EDGE: u64 = 256;
/// Bytes written in a page between them.
const LINE: u64 = 64;
/// Lines written in one block at most; in larger blocks they are spread evenly.
const LINES: u64 = 1024;
/// Lines in a block of at least [`HUGE`] bytes: where pages are huge, each line takes 2 MiB of memory.
const FEW_LINES: u64 = 64;
const HUGE: u64 = 256 << 20;
const PAGE: u64 = 4096;
/// So many bytes in a row are not the same by chance.
pub const TELLING: usize = 16;
/// Ranges of a large block, besides its tail, that are looked at to see what remains of it.
const MOST_READ: usize = 16;
/// Memory that had to be zero is read whole up to this many bytes, and at the places above beyond.
const ZERO_WHOLE: u64 = 1 << 20;
/// Bytes of noise: more would push all else out of the nearest cache, fewer would make more blocks alike.
const TABLE: usize = 8 << 10;
/// The places, 8 bytes apart, at which a window of [`WHOLE`] bytes can begin.
const STARTS: u64 = (TABLE as u64 - WHOLE) / 8;

static NOISE: [u8; TABLE] = noise();

const fn noise() -> [u8; TABLE] {
    let mut random = SplitMix::new(0);
    let mut table = [0; TABLE];
    let mut index = 0;
    while index < TABLE {
        table[index] = random.next_u64() as u8;
        index += 1;
    }
    table
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(u32);

/// The first byte that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the block.
    pub offset: u64,
    /// What should be there.
    pub stored: u8,
    /// What is.
    pub found: u8,
}

impl Pattern {
    /// The pattern of no block.
    pub const NONE: Pattern = Pattern(0);

    /// The pattern of a block with this number. Blocks whose numbers are close hold different noise.
    #[inline]
    pub const fn of(number: u64) -> Pattern {
        // The golden ratio spreads consecutive numbers as far apart as can be.
        Pattern((number as u32).wrapping_mul(0x9e37_79b1) | 1)
    }

    /// The noise at `offset`, where a window begins.
    #[inline(always)]
    fn window(self, offset: u64) -> *const u8 {
        // As in `of`, with the square root of 2: of pages that are close, too, no two hold the same.
        let page = ((offset / PAGE) as u32).wrapping_mul(0x6a09_e667);
        let word = ((offset % PAGE / 8) as u32).wrapping_mul(0x85eb_ca6b);
        let mixed = self.0.wrapping_add(page).wrapping_add(word);
        let start = (u64::from(mixed) * STARTS) >> 32;
        // A window of the greatest length ends before the table does.
        NOISE.as_ptr().wrapping_add(start as usize * 8)
    }

    /// Writes the pattern of a block of `size` bytes, from offset `from` on if the block is written whole.
    ///
    /// # Safety
    ///
    /// The block must be writable for `size` bytes, and `from` at most `size`.
    #[inline(always)]
    pub unsafe fn fill(self, block: *mut u8, from: u64, size: u64) {
        if size <= WHOLE {
            // SAFETY: inside the block, and inside the window at its start.
            unsafe {
                let noise = self.window(0).add(from as usize);
                ptr::copy_nonoverlapping(noise, block.add(from as usize), (size - from) as usize);
            }
            return;
        }
        // SAFETY: the caller's promise.
        unsafe { self.fill_windows(block, size) }
    }

    /// # Safety
    ///
    /// As for [`fill`](Pattern::fill), of a block that is not written whole.
    #[inline(never)]
    unsafe fn fill_windows(self, block: *mut u8, size: u64) {
        windows(size).for_each(|range| {
            let length = (range.end - range.start) as usize;
            // SAFETY: windows lie inside the block.
            unsafe {
                let place = block.add(range.start as usize);
                ptr::copy_nonoverlapping(self.window(range.start), place, length);
            }
        });
    }

    /// Verifies the first `length` bytes of a block that was filled with a size of `size` bytes.
    ///
    /// # Errors
    ///
    /// The first byte that differs.
    ///
    /// # Safety
    ///
    /// The block must be readable for `length` bytes, and `length` at most `size`.
    #[inline(always)]
    pub unsafe fn verify(self, block: *const u8, length: u64, size: u64) -> Result<(), Mismatch> {
        if size <= WHOLE {
            // SAFETY: inside the block.
            return unsafe { self.verify_window(block, 0..length) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.verify_windows(block, length, size) }
    }

    /// # Safety
    ///
    /// As for [`verify`](Pattern::verify), of a block that was not written whole.
    #[inline(never)]
    unsafe fn verify_windows(
        self,
        block: *const u8,
        length: u64,
        size: u64,
    ) -> Result<(), Mismatch> {
        windows(size)
            .take_while(|range| range.start < length)
            .try_for_each(|range| {
                let range = range.start..range.end.min(length);
                // SAFETY: windows lie inside the block.
                unsafe { self.verify_window(block, range) }
            })
    }

    /// Verifies a block whole if it is small, and its head and tail if it is not.
    ///
    /// # Errors
    ///
    /// The first byte that differs.
    ///
    /// # Safety
    ///
    /// The block must be readable for `size` bytes.
    pub unsafe fn verify_ends(self, block: *const u8, size: u64) -> Result<(), Mismatch> {
        if size <= WHOLE {
            // SAFETY: inside the block.
            return unsafe { self.verify_window(block, 0..size) };
        }
        // SAFETY: as above.
        unsafe {
            self.verify_window(block, 0..EDGE)?;
            self.verify_tail(block, 0, size)
        }
    }

    /// Verifies the tail of a large block, from offset `from` on if it begins before that.
    ///
    /// # Errors
    ///
    /// The first byte that differs.
    ///
    /// # Safety
    ///
    /// The block must be readable for `size` bytes, more than [`WHOLE`], and `from` at most `size`.
    pub unsafe fn verify_tail(
        self,
        block: *const u8,
        from: u64,
        size: u64,
    ) -> Result<(), Mismatch> {
        let start = tail(size);
        let from = from.max(start);
        let noise = self.window(start).wrapping_add((from - start) as usize);
        // SAFETY: inside the block.
        unsafe { verify_noise(block, noise, from..size) }
    }

    /// Where, from offset `from` on, a block of `size` bytes still holds [`TELLING`] bytes in a row of what was stored in
    /// it, as far as it can be read: `read` is told an offset, fills the room it is given, and says how much it filled.
    pub fn remains(
        self,
        size: u64,
        from: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> usize,
    ) -> Option<u64> {
        let mut remains = |noise: *const u8, range: Range<u64>| {
            let mut room = [0; WHOLE as usize];
            let length = (range.end - range.start) as usize;
            let length = read(range.start, &mut room[..length]).min(length);
            // SAFETY: the window that begins there is no longer than its range.
            let noise = unsafe { std::slice::from_raw_parts(noise, length) };
            let same = |&at: &usize| room[at..at + TELLING] == noise[at..at + TELLING];
            let at = (0..(length + 1).saturating_sub(TELLING)).find(same)?;
            Some(range.start + at as u64)
        };
        if size <= WHOLE {
            return remains(self.window(0).wrapping_add(from as usize), from..size);
        }
        // Whoever stops too soon leaves the tail.
        let tail = tail(size);
        let last = from.max(tail);
        let noise = self.window(tail).wrapping_add((last - tail) as usize);
        let others = || windows(size).filter(|range| range.start >= from && range.start < tail);
        let every = others().count().div_ceil(MOST_READ).max(1);
        remains(noise, last..size).or_else(|| {
            others()
                .step_by(every)
                .find_map(|range| remains(self.window(range.start), range))
        })
    }

    /// Verifies a range at whose start a window begins.
    ///
    /// # Safety
    ///
    /// The range of the block must be readable, and at most [`WHOLE`] bytes.
    #[inline(always)]
    unsafe fn verify_window(self, block: *const u8, range: Range<u64>) -> Result<(), Mismatch> {
        // SAFETY: the caller's promise, and the window is long enough.
        unsafe { verify_noise(block, self.window(range.start), range) }
    }
}

/// Compares a range of a block with noise.
///
/// # Safety
///
/// Both must be readable for as many bytes.
#[inline(always)]
unsafe fn verify_noise(
    block: *const u8,
    noise: *const u8,
    range: Range<u64>,
) -> Result<(), Mismatch> {
    let length = (range.end - range.start) as usize;
    // SAFETY: the caller's promise. No reference is made: what a broken allocator hands out may change at any time.
    unsafe {
        let place = block.add(range.start as usize);
        if libc::memcmp(place.cast(), noise.cast(), length) == 0 {
            return Ok(());
        }
        first_mismatch(place, noise, length).map_err(|mismatch| Mismatch {
            offset: range.start + mismatch.offset,
            ..mismatch
        })
    }
}

/// # Safety
///
/// Both must be readable for `length` bytes.
#[cold]
unsafe fn first_mismatch(
    block: *const u8,
    noise: *const u8,
    length: usize,
) -> Result<(), Mismatch> {
    for offset in 0..length {
        // SAFETY: the caller's promise.
        let (found, stored) =
            unsafe { (block.add(offset).read_volatile(), noise.add(offset).read()) };
        if found != stored {
            return Err(Mismatch {
                offset: offset as u64,
                stored,
                found,
            });
        }
    }
    Ok(())
}

/// Reads memory that had to be zero.
///
/// # Errors
///
/// The first byte that is not.
///
/// # Safety
///
/// The block must be readable for `size` bytes.
pub unsafe fn verify_zero(block: *const u8, size: u64) -> Result<(), Mismatch> {
    if size <= ZERO_WHOLE {
        // SAFETY: inside the block.
        return unsafe { verify_zero_range(block, 0..size) };
    }
    // SAFETY: windows lie inside the block.
    windows(size).try_for_each(|range| unsafe { verify_zero_range(block, range) })
}

/// # Safety
///
/// `range` of the block must be readable.
unsafe fn verify_zero_range(block: *const u8, range: Range<u64>) -> Result<(), Mismatch> {
    let length = (range.end - range.start) as usize;
    // SAFETY: the caller's promise. No reference is made, as in `verify_window`.
    unsafe {
        let place = block.add(range.start as usize);
        // If the first byte is zero and every byte is what the one before it is, all are.
        let zero = length == 0
            || place.read_volatile() == 0
                && libc::memcmp(place.cast(), place.add(1).cast(), length - 1) == 0;
        if zero {
            return Ok(());
        }
        first_nonzero(place, length).map_err(|mismatch| Mismatch {
            offset: range.start + mismatch.offset,
            ..mismatch
        })
    }
}

/// # Safety
///
/// The block must be readable for `length` bytes.
#[cold]
unsafe fn first_nonzero(block: *const u8, length: usize) -> Result<(), Mismatch> {
    for offset in 0..length {
        // SAFETY: the caller's promise.
        let found = unsafe { block.add(offset).read_volatile() };
        if found != 0 {
            return Err(Mismatch {
                offset: offset as u64,
                stored: 0,
                found,
            });
        }
    }
    Ok(())
}

/// Where the last range of a large block begins.
fn tail(size: u64) -> u64 {
    (size - EDGE) & !7
}

/// The ranges of a block of `size` bytes, more than [`WHOLE`], that are written and verified, in order.
pub fn windows(size: u64) -> impl Iterator<Item = Range<u64>> {
    let tail = tail(size);
    let lines = if size < HUGE { LINES } else { FEW_LINES };
    let stride = (tail / lines).next_multiple_of(PAGE).max(PAGE);
    let between = (1..)
        .map(move |line| line * stride..line * stride + LINE)
        .take_while(move |range| range.end <= tail);
    std::iter::once(0..EDGE)
        .chain(between)
        .chain(std::iter::once(tail..size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [u64; 16] = [
        0,
        1,
        7,
        8,
        9,
        63,
        64,
        100,
        4095,
        4096,
        4097,
        5000,
        8192,
        70_001,
        1 << 20,
        (5 << 20) + 3,
    ];

    #[test]
    fn what_is_filled_verifies_and_a_changed_byte_is_found() {
        for size in SIZES {
            let mut block = vec![0u8; size as usize];
            let pattern = Pattern::of(size + 1);
            // SAFETY: the block has `size` bytes.
            unsafe { pattern.fill(block.as_mut_ptr(), 0, size) };
            // SAFETY: as above.
            let seen = unsafe { pattern.verify(block.as_ptr(), size, size) };
            assert_eq!(seen, Ok(()));
            for offset in [0, size / 2, size.saturating_sub(1)] {
                let written = size > 0 && (size <= WHOLE || offset != size / 2);
                if written {
                    block[offset as usize] ^= 0x40;
                    // SAFETY: as above.
                    let seen = unsafe { pattern.verify(block.as_ptr(), size, size) };
                    assert_eq!(
                        seen.map_err(|mismatch| mismatch.offset),
                        Err(offset),
                        "{size}"
                    );
                    block[offset as usize] ^= 0x40;
                }
            }
        }
    }

    #[test]
    fn every_page_of_a_block_up_to_four_mebibytes_is_met() {
        let size = 4 << 20;
        let mut met = vec![false; (size / PAGE) as usize];
        for window in windows(size) {
            assert!(window.start % 8 == 0 && window.end <= size);
            met[(window.start / PAGE) as usize] = true;
        }
        assert!(met.iter().all(|&page| page));
    }

    #[test]
    fn two_blocks_and_two_places_differ() {
        let start = |pattern: Pattern, offset| pattern.window(offset) as usize;
        for number in 1..100u64 {
            let one = Pattern::of(1);
            assert_ne!(start(one, 0), start(Pattern::of(1 + number), 0), "{number}");
            assert_ne!(start(one, 0), start(one, number * PAGE), "{number}");
        }
        for words in NOISE.as_chunks::<8>().0.windows(2) {
            assert_ne!(words[0], words[1]);
        }
    }

    #[test]
    fn the_prefix_of_a_block_verifies_by_itself() {
        for (size, length) in [(100, 60), (5000, 4000), (70_000, 300), (70_000, 69_999)] {
            let mut block = vec![0u8; size as usize];
            let pattern = Pattern::of(3);
            // SAFETY: the block has `size` bytes.
            unsafe { pattern.fill(block.as_mut_ptr(), 0, size) };
            block.truncate(length as usize);
            // SAFETY: `length` bytes remain.
            let seen = unsafe { pattern.verify(block.as_ptr(), length, size) };
            assert_eq!(seen, Ok(()));
        }
    }

    #[test]
    fn what_remains_of_a_block_is_found() {
        for size in [16, 100, 4096, 5000, 70_001] {
            let mut block = vec![0u8; size as usize];
            let pattern = Pattern::of(3);
            // SAFETY: the block has `size` bytes.
            unsafe { pattern.fill(block.as_mut_ptr(), 0, size) };
            let remains = |block: &[u8], from| {
                pattern.remains(size, from, |offset, room| {
                    room.copy_from_slice(&block[offset as usize..][..room.len()]);
                    room.len()
                })
            };
            let whole = remains(&block, 0).is_some_and(|offset| offset < size);
            assert!(whole, "{size}");
            let half = remains(&block, size / 2);
            assert_eq!(half.is_some(), size > 16, "{size}");
            assert!(half.is_none_or(|offset| offset >= size / 2), "{size}");
            let nothing = pattern.remains(size, 0, |_, _| 0);
            assert_eq!(nothing, None, "what cannot be read does not remain");
            block.fill(0);
            assert_eq!(remains(&block, 0), None, "{size}");
        }
    }

    #[test]
    fn what_remains_beyond_the_start_of_a_large_block_is_found() {
        const SIZE: u64 = 2 << 20;
        let pattern = Pattern::of(3);
        let mut filled = vec![0u8; SIZE as usize];
        // SAFETY: the block has `SIZE` bytes.
        unsafe { pattern.fill(filled.as_mut_ptr(), 0, SIZE) };
        let remains = |cleared: &[Range<u64>], from| {
            let mut block = filled.clone();
            for range in cleared {
                block[range.start as usize..range.end as usize].fill(0);
            }
            pattern.remains(SIZE, from, |offset, room| {
                room.copy_from_slice(&block[offset as usize..][..room.len()]);
                room.len()
            })
        };
        assert!(remains(&[0..64 << 10], 0).is_some());
        assert_eq!(remains(&[0..SIZE - 32], 0), Some(SIZE - 32));
        // A tail that begins before what is asked about.
        assert_eq!(remains(&[0..64 << 10], SIZE - 20), Some(SIZE - 20));
        assert!(remains(&[0..64 << 10, SIZE - 4096..SIZE], 0).is_some());
        assert_eq!(remains(&[0..SIZE], 0), None);
    }

    #[test]
    fn a_byte_that_is_not_zero_is_found() {
        let mut block = vec![0u8; 5000];
        // SAFETY: the block has 5000 bytes.
        assert_eq!(unsafe { verify_zero(block.as_ptr(), 5000) }, Ok(()));
        block[4321] = 7;
        // SAFETY: as above.
        let seen = unsafe { verify_zero(block.as_ptr(), 5000) };
        assert_eq!(
            seen,
            Err(Mismatch {
                offset: 4321,
                stored: 0,
                found: 7
            })
        );
    }
}
