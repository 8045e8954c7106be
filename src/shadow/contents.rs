//! What live blocks hold: a pattern that depends on the block and on the place in it.
//!
//! A pattern shared by all blocks would let two blocks on the same memory agree; one that repeats would let a block
//! copied to the wrong offset agree. Small blocks are written and verified whole. Of larger ones the head, the tail and
//! one line of every page are: enough to meet every page and both ends, at a cost that memory bandwidth does not set.

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
/// The step of the pattern from one word to the next: odd, with bits everywhere.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// Memory that had to be zero is read whole up to this many bytes, and at the places above beyond.
const ZERO_WHOLE: u64 = 1 << 20;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(u64);

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

    /// The pattern of a block with this number.
    #[inline]
    pub fn of(number: u64) -> Pattern {
        let mixed = (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Pattern(mixed ^ (mixed >> 32) | 1)
    }

    #[inline]
    fn word(self, index: u64) -> u64 {
        self.0.wrapping_add(index.wrapping_mul(STEP))
    }

    fn byte(self, offset: u64) -> u8 {
        self.word(offset / 8).to_le_bytes()[offset as usize % 8]
    }

    /// Writes the pattern of a block of `size` bytes, from offset `from` on if the block is written whole.
    ///
    /// # Safety
    ///
    /// The block must be writable for `size` bytes.
    #[inline]
    pub unsafe fn fill(self, block: *mut u8, from: u64, size: u64) {
        if size <= WHOLE {
            // SAFETY: inside the block.
            unsafe { self.fill_range(block, from & !7..size) };
        } else {
            each_window(size, |window| {
                // SAFETY: windows lie inside the block.
                unsafe { self.fill_range(block, window) };
                true
            });
        }
    }

    /// Verifies the first `length` bytes of a block that was filled with a size of `size` bytes.
    ///
    /// # Errors
    ///
    /// The first byte that differs.
    ///
    /// # Safety
    ///
    /// The block must be readable for `length` bytes.
    #[inline]
    pub unsafe fn verify(self, block: *const u8, length: u64, size: u64) -> Result<(), Mismatch> {
        if size <= WHOLE {
            // SAFETY: inside the block.
            return unsafe { self.verify_range(block, 0..length) };
        }
        let mut result = Ok(());
        each_window(size, |window| {
            let window = window.start..window.end.min(length);
            if window.start < window.end {
                // SAFETY: windows lie inside the block.
                result = unsafe { self.verify_range(block, window) };
            }
            result.is_ok()
        });
        result
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
            return unsafe { self.verify_range(block, 0..size) };
        }
        // SAFETY: as above.
        unsafe {
            self.verify_range(block, 0..EDGE)?;
            self.verify_range(block, tail(size)..size)
        }
    }

    /// # Safety
    ///
    /// `range` of the block must be writable. It starts at a multiple of 8.
    #[inline]
    unsafe fn fill_range(self, block: *mut u8, range: Range<u64>) {
        let mut value = self.word(range.start / 8);
        let mut offset = range.start;
        while offset + 8 <= range.end {
            // SAFETY: `offset + 8` is within the range.
            unsafe {
                block
                    .add(offset as usize)
                    .cast::<u64>()
                    .write_unaligned(value)
            };
            value = value.wrapping_add(STEP);
            offset += 8;
        }
        if offset < range.end {
            let bytes = value.to_le_bytes();
            // SAFETY: the rest of the range is shorter than a word.
            unsafe {
                ptr::copy_nonoverlapping(
                    bytes.as_ptr(),
                    block.add(offset as usize),
                    (range.end - offset) as usize,
                );
            }
        }
    }

    /// # Safety
    ///
    /// `range` of the block must be readable. It starts at a multiple of 8.
    #[inline]
    unsafe fn verify_range(self, block: *const u8, range: Range<u64>) -> Result<(), Mismatch> {
        let mut wanted = self.word(range.start / 8);
        let mut difference = 0;
        let mut offset = range.start;
        while offset + 8 <= range.end {
            // SAFETY: `offset + 8` is within the range.
            let found = unsafe { block.add(offset as usize).cast::<u64>().read_unaligned() };
            difference |= found ^ wanted;
            wanted = wanted.wrapping_add(STEP);
            offset += 8;
        }
        if offset < range.end {
            let mut bytes = wanted.to_le_bytes();
            let rest = (range.end - offset) as usize;
            // SAFETY: the rest of the range is shorter than a word.
            unsafe {
                ptr::copy_nonoverlapping(block.add(offset as usize), bytes.as_mut_ptr(), rest)
            };
            difference |= u64::from_le_bytes(bytes) ^ wanted;
        }
        if difference == 0 {
            return Ok(());
        }
        // SAFETY: as above.
        unsafe { self.first_mismatch(block, range) }
    }

    /// # Safety
    ///
    /// `range` of the block must be readable.
    #[cold]
    unsafe fn first_mismatch(self, block: *const u8, range: Range<u64>) -> Result<(), Mismatch> {
        for offset in range {
            // SAFETY: within the range.
            let found = unsafe { block.add(offset as usize).read_volatile() };
            let stored = self.byte(offset);
            if found != stored {
                return Err(Mismatch {
                    offset,
                    stored,
                    found,
                });
            }
        }
        Ok(())
    }
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
    let mut result = Ok(());
    each_window(size, |window| {
        // SAFETY: windows lie inside the block.
        result = unsafe { verify_zero_range(block, window) };
        result.is_ok()
    });
    result
}

/// # Safety
///
/// `range` of the block must be readable.
unsafe fn verify_zero_range(block: *const u8, range: Range<u64>) -> Result<(), Mismatch> {
    // SAFETY: the caller's promise.
    let bytes = unsafe {
        std::slice::from_raw_parts(
            block.add(range.start as usize),
            (range.end - range.start) as usize,
        )
    };
    let all = bytes
        .chunks(256)
        .position(|chunk| chunk.iter().fold(0, |or, byte| or | byte) != 0);
    let Some(chunk) = all else { return Ok(()) };
    let start = chunk * 256;
    match bytes[start..].iter().position(|&byte| byte != 0) {
        Some(at) => Err(Mismatch {
            offset: range.start + (start + at) as u64,
            stored: 0,
            found: bytes[start + at],
        }),
        None => Ok(()),
    }
}

/// Where the last range of a large block begins.
fn tail(size: u64) -> u64 {
    (size - EDGE) & !7
}

/// Calls `visit` with the ranges of a large block that are written, in order, until it answers no.
fn each_window(size: u64, mut visit: impl FnMut(Range<u64>) -> bool) {
    if !visit(0..EDGE) {
        return;
    }
    let tail = tail(size);
    let lines = if size < HUGE { LINES } else { FEW_LINES };
    let stride = (tail / lines).next_multiple_of(PAGE).max(PAGE);
    let mut line = stride;
    while line + LINE <= tail {
        if !visit(line..line + LINE) {
            return;
        }
        line += stride;
    }
    visit(tail..size);
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
        each_window(size, |window| {
            assert!(window.start % 8 == 0 && window.end <= size);
            met[(window.start / PAGE) as usize] = true;
            true
        });
        assert!(met.iter().all(|&page| page));
    }

    #[test]
    fn two_blocks_and_two_places_differ() {
        assert_ne!(Pattern::of(1).word(0), Pattern::of(2).word(0));
        let pattern = Pattern::of(9);
        assert!((0..600).all(|word| pattern.word(word) != pattern.word(word + 2)));
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
