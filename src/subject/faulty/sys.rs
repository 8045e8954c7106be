//! Pages from the kernel, `errno`, and a way to die.
//!
//! The wrappers leave `errno` alone: what the caller of an entry point sees in it is decided there.

use crate::subject::locked::keeping_errno;
use libc::{MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE};
use std::ptr;

/// Bytes in a page.
pub(in crate::subject) const PAGE: usize = 4096;

/// `len` zeroed bytes at a page boundary, or null. `len` is a positive number of whole pages.
pub(in crate::subject) fn map(len: usize) -> *mut u8 {
    keeping_errno(|| {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory in use.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            ptr::null_mut()
        } else {
            base.cast()
        }
    })
}

/// As [`map`], at a multiple of `alignment`, a power of two of at least a page.
pub(super) fn map_aligned(len: usize, alignment: usize) -> *mut u8 {
    let base = map(len);
    if base.is_null() || base.addr().is_multiple_of(alignment) {
        return base;
    }
    unmap(base, len);
    let Some(all) = len.checked_add(alignment - PAGE) else {
        return ptr::null_mut();
    };
    let base = map(all);
    if base.is_null() {
        return base;
    }
    let head = base.addr().next_multiple_of(alignment) - base.addr();
    unmap(base, head);
    let start = base.wrapping_add(head);
    unmap(start.wrapping_add(len), all - head - len);
    start
}

/// Gives whole pages back. If the kernel refuses, which it may where a mapping would have to be split, they are lost.
pub(super) fn unmap(base: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: callers own the pages.
        keeping_errno(|| unsafe { libc::munmap(base.cast(), len) });
    }
}

/// As [`unmap`], with what becomes of `errno`.
pub(super) fn unmap_showing_errno(base: *mut u8, len: usize) {
    // SAFETY: callers own the pages.
    unsafe { libc::munmap(base.cast(), len) };
}

/// Resizes a mapping, which may move; null if it stays as it was.
pub(super) fn remap(base: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: callers own the pages, and forget the old address.
    let base =
        keeping_errno(|| unsafe { libc::mremap(base.cast(), old, new, libc::MREMAP_MAYMOVE) });
    if base == libc::MAP_FAILED {
        ptr::null_mut()
    } else {
        base.cast()
    }
}

/// Moves `len` bytes of pages over those at `to`. Whether it worked.
pub(super) fn move_pages(from: *mut u8, to: *mut u8, len: usize) -> bool {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: callers own both ranges, which do not overlap.
    keeping_errno(|| unsafe { libc::mremap(from.cast(), len, len, flags, to) }) != libc::MAP_FAILED
}

/// Makes whole pages, which are zeroed, the same for this process and the children it will have.
pub(super) fn share(base: *mut u8, len: usize) {
    let flags = libc::MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: callers own the pages, in which nothing is stored yet.
    keeping_errno(|| unsafe { libc::mmap(base.cast(), len, PROT_READ | PROT_WRITE, flags, -1, 0) });
}

/// Drops the contents of whole pages: they read as zero from now on.
pub(super) fn discard(base: *mut u8, len: usize) {
    // SAFETY: callers own the pages.
    keeping_errno(|| unsafe { libc::madvise(base.cast(), len, libc::MADV_DONTNEED) });
}

/// Makes whole pages inaccessible.
pub(super) fn protect(base: *mut u8, len: usize) {
    // SAFETY: callers own the pages.
    keeping_errno(|| unsafe { libc::mprotect(base.cast(), len, PROT_NONE) });
}

/// Writes to a descriptor, come what may.
pub(super) fn print(fd: i32, text: &str) {
    // SAFETY: the buffer is as long as said.
    keeping_errno(|| unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) });
}

/// Sets `errno`.
pub(in crate::subject) fn set_errno(value: i32) {
    // SAFETY: the location is valid in every thread.
    unsafe { *libc::__errno_location() = value }
}

/// Dies of a memory access as an allocator does that follows a bad pointer.
pub(in crate::subject) fn crash() -> ! {
    // SAFETY: none; page 0 is never mapped, and dying of that is the purpose.
    unsafe { ptr::read_volatile(ptr::without_provenance::<u8>(8)) };
    abort()
}

/// Dies as an allocator does that found its own data damaged.
pub(super) fn abort() -> ! {
    // SAFETY: has no preconditions.
    unsafe { libc::abort() }
}

/// Address space held for a table that grows into it, zeroed; given back when dropped.
pub(super) struct Region {
    base: *mut u8,
    len: usize,
}

impl Region {
    /// Holds at least `len` bytes.
    ///
    /// # Panics
    ///
    /// If the kernel has no address space left.
    pub(super) fn hold(len: usize) -> Region {
        let len = len.next_multiple_of(PAGE);
        let base = map(len);
        assert!(
            !base.is_null(),
            "no address space for the allocator's tables"
        );
        Region { base, len }
    }

    /// Makes it the same for this process and the children it will have.
    pub(super) fn share(&self) {
        share(self.base, self.len);
    }

    /// The first byte.
    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        unmap(self.base, self.len);
    }
}
