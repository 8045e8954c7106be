//! Blocks of any size and alignment, cut from the kernel's pages: what pymalloc has the C library for elsewhere.
//!
//! Each has its size in front of it, because C's functions are not told the size of what they are given back.

use allocspec::pymalloc::Raw;
use dlmalloc::Dlmalloc;
use std::ptr;

/// What stands in front of a block.
#[repr(C)]
struct Header {
    /// The bytes asked for.
    size: usize,
    /// How far the block lies from the start of the memory that it was cut from.
    offset: usize,
}

/// The least distance of a block from the start of its memory, and the alignment of all blocks.
const LEAST: usize = size_of::<Header>();

pub struct Pages(Dlmalloc);

impl Pages {
    pub const fn new() -> Pages {
        Pages(Dlmalloc::new())
    }

    /// `size` bytes at a multiple of `alignment`, a power of two; null if there are none.
    pub fn aligned(&mut self, alignment: usize, size: usize) -> *mut u8 {
        let offset = alignment.max(LEAST);
        let Some(total) = total(offset, size) else {
            return ptr::null_mut();
        };
        // SAFETY: any size is allowed, and any power of two.
        let memory = unsafe { self.0.c_memalign(offset, total) };
        cut(memory, offset, size)
    }

    /// The bytes of a live block.
    ///
    /// # Safety
    ///
    /// `block` is one of these.
    pub unsafe fn size(block: *mut u8) -> usize {
        // SAFETY: every block has a header.
        unsafe { (*header(block)).size }
    }
}

/// What a block of `size` bytes takes; `None` if that is too much.
fn total(offset: usize, size: usize) -> Option<usize> {
    let total = size.checked_add(offset)?;
    // The alignment is wanted besides, and a page or two.
    (total.checked_add(offset)? < isize::MAX as usize / 2).then_some(total)
}

fn header(block: *mut u8) -> *mut Header {
    block.wrapping_sub(LEAST).cast()
}

/// The block in new memory, or null if there is none.
fn cut(memory: *mut u8, offset: usize, size: usize) -> *mut u8 {
    if memory.is_null() {
        return memory;
    }
    // SAFETY: the memory has `offset` bytes in front of `size` others, and is aligned for a header.
    unsafe {
        let block = memory.add(offset);
        header(block).write(Header { size, offset });
        block
    }
}

// SAFETY: memory of dlmalloc's is nobody else's.
unsafe impl Raw for Pages {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.aligned(LEAST, size)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let size = count.saturating_mul(size);
        let Some(total) = total(LEAST, size) else {
            return ptr::null_mut();
        };
        // SAFETY: any size is allowed.
        let memory = unsafe { self.0.calloc(total, LEAST) };
        cut(memory, LEAST, size)
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if block.is_null() {
            return self.malloc(size);
        }
        // SAFETY: the caller's promise; every block has a header.
        unsafe {
            let Header {
                size: before,
                offset,
            } = header(block).read();
            if offset == LEAST {
                let Some(total) = total(LEAST, size) else {
                    return ptr::null_mut();
                };
                let memory = self.0.c_realloc(block.sub(LEAST), total);
                return cut(memory, LEAST, size);
            }
            // What was aligned on purpose is, after it was resized, aligned like any other.
            let moved = self.malloc(size);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, before.min(size));
                self.free(block);
            }
            moved
        }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        if block.is_null() {
            return;
        }
        // SAFETY: as above.
        unsafe {
            let offset = (*header(block)).offset;
            self.0.c_free(block.sub(offset));
        }
    }
}
