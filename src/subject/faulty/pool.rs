//! One small region and no more, packed to the byte: an allocator that is often out of memory and always correct.
//!
//! Ranges carry their length beside the region, at their first byte's number and, free ones, at their last byte's, so
//! that neighbours merge at once. Free ranges are listed by the logarithm of their length.

use super::sys::Region;

/// Bytes of the region.
pub(super) const BYTES: usize = 1 << 20;

/// Marks the length of a live range.
const LIVE: u32 = 1 << 31;

/// No range.
const NONE: u32 = u32::MAX;

/// The region and what is known of it.
pub(super) struct Pool {
    region: Region,
    tables: Region,
    /// The first free range of `2^n` to `2^(n+1) - 1` bytes.
    lists: [u32; BYTES.ilog2() as usize + 1],
}

/// The tables, each with a word for every byte of the region.
#[derive(Clone, Copy)]
enum Known {
    /// At the start of a range, its length.
    Length,
    /// At the last byte of a free range its length, at that of a live one 0.
    Behind,
    /// At the start of a free range, the range before it in its list.
    Previous,
    /// At the start of a free range, the range after it in its list.
    Next,
}

impl Pool {
    pub(super) fn new() -> Pool {
        let mut pool = Pool {
            region: Region::hold(2 * BYTES),
            tables: Region::hold(4 * BYTES * size_of::<u32>()),
            lists: [NONE; BYTES.ilog2() as usize + 1],
        };
        pool.add(0, BYTES as u32);
        pool
    }

    /// The first byte, at a multiple of [`BYTES`]: a range's number is as aligned as its address.
    fn base(&self) -> *mut u8 {
        let base = self.region.base();
        base.wrapping_add(base.addr().next_multiple_of(BYTES) - base.addr())
    }

    /// `size` bytes (at least one) at a multiple of `alignment`, or null.
    pub(super) fn allocate(&mut self, size: usize, alignment: usize) -> *mut u8 {
        if size > BYTES || alignment > BYTES {
            return std::ptr::null_mut();
        }
        for list in size.ilog2() as usize..self.lists.len() {
            let mut start = self.lists[list];
            while start != NONE {
                let at = start.next_multiple_of(alignment as u32);
                let end = start + self.get(Known::Length, start);
                if at + size as u32 <= end {
                    return self.take(start, at, size as u32, end);
                }
                start = self.get(Known::Next, start);
            }
        }
        std::ptr::null_mut()
    }

    /// The bytes of the live block at `address`.
    pub(super) fn size(&self, address: *mut u8) -> Option<usize> {
        let at = address.addr().wrapping_sub(self.base().addr());
        if at >= BYTES {
            return None;
        }
        let length = self.get(Known::Length, at as u32);
        (length & LIVE != 0).then_some((length & !LIVE) as usize)
    }

    /// Makes the live block at `address` available again.
    pub(super) fn release(&mut self, address: *mut u8) {
        let mut start = (address.addr() - self.base().addr()) as u32;
        let mut end = start + (self.get(Known::Length, start) & !LIVE);
        // Words inside a range are not looked at, but a stale mark would make its bytes look live.
        self.set(Known::Length, start, 0);
        if end < BYTES as u32 {
            let length = self.get(Known::Length, end);
            if length & LIVE == 0 {
                self.remove(end);
                end += length;
            }
        }
        if start > 0 {
            let length = self.get(Known::Behind, start - 1);
            if length != 0 {
                start -= length;
                self.remove(start);
            }
        }
        self.add(start, end);
    }

    /// Makes `at..at + size` live, which lies in the free range `start..end`.
    fn take(&mut self, start: u32, at: u32, size: u32, end: u32) -> *mut u8 {
        self.remove(start);
        if start < at {
            self.add(start, at);
        }
        if at + size < end {
            self.add(at + size, end);
        }
        self.set(Known::Length, at, size | LIVE);
        self.set(Known::Behind, at + size - 1, 0);
        self.base().wrapping_add(at as usize)
    }

    /// Makes `start..end` a free range.
    fn add(&mut self, start: u32, end: u32) {
        let length = end - start;
        let list = length.ilog2() as usize;
        let next = self.lists[list];
        self.set(Known::Length, start, length);
        self.set(Known::Behind, end - 1, length);
        self.set(Known::Previous, start, NONE);
        self.set(Known::Next, start, next);
        if next != NONE {
            self.set(Known::Previous, next, start);
        }
        self.lists[list] = start;
    }

    /// Takes the free range at `start` out of its list.
    fn remove(&mut self, start: u32) {
        let previous = self.get(Known::Previous, start);
        let next = self.get(Known::Next, start);
        if previous == NONE {
            let list = self.get(Known::Length, start).ilog2() as usize;
            self.lists[list] = next;
        } else {
            self.set(Known::Next, previous, next);
        }
        if next != NONE {
            self.set(Known::Previous, next, previous);
        }
    }

    fn word(&self, table: Known, at: u32) -> *mut u32 {
        debug_assert!((at as usize) < BYTES);
        let index = table as usize * BYTES + at as usize;
        // SAFETY: four tables of `BYTES` words.
        unsafe { self.tables.base().cast::<u32>().add(index) }
    }

    fn get(&self, table: Known, at: u32) -> u32 {
        // SAFETY: a word of the tables.
        unsafe { *self.word(table, at) }
    }

    fn set(&mut self, table: Known, at: u32, value: u32) {
        // SAFETY: a word of the tables.
        unsafe { *self.word(table, at) = value }
    }
}
