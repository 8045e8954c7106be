//! Where pymalloc gets its memory: the raw domain and the arena allocator, and the defaults that CPython has for them.

use super::fault::{Fault, Faults, Sound};
use std::ptr;

/// The raw domain: what a hook set for it receives (`PyMemAllocatorEx`).
///
/// Sizes arrive as pymalloc was asked for them, 0 among them, but never above [`SIZE_LIMIT`](super::SIZE_LIMIT).
///
/// # Safety
///
/// The results are what C promises of the functions of these names: null, or memory of that size, aligned for any
/// type, that is nobody else's until it is freed.
pub unsafe trait Raw {
    /// `malloc(size)`.
    fn malloc(&mut self, size: usize) -> *mut u8;
    /// `calloc(count, size)`.
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8;
    /// `realloc(block, size)`, which never frees when it returns null.
    ///
    /// # Safety
    ///
    /// `block` is null or a live block of this source.
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8;
    /// `free(block)`.
    ///
    /// # Safety
    ///
    /// As for [`realloc`](Raw::realloc).
    unsafe fn free(&mut self, block: *mut u8);
}

/// The arena allocator (`PyObjectArenaAllocator`).
///
/// # Safety
///
/// What [`alloc`](ArenaSource::alloc) returns is null or memory of that size, at any address, that is nobody else's
/// until it is freed.
pub unsafe trait ArenaSource {
    /// Supplies `size` bytes, or null.
    fn alloc(&mut self, size: usize) -> *mut u8;
    /// Takes back what [`alloc`](ArenaSource::alloc) supplied.
    ///
    /// # Safety
    ///
    /// `base` was supplied for `size` and was not freed since.
    unsafe fn free(&mut self, base: *mut u8, size: usize);
}

/// The C library's own allocator.
#[derive(Clone, Copy, Debug, Default)]
pub struct CLibrary;

// SAFETY: C's promises, of C's functions.
unsafe impl Raw for CLibrary {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: any size is allowed.
        unsafe { libc::malloc(size).cast() }
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { libc::calloc(count, size).cast() }
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { libc::realloc(block.cast(), size).cast() }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { libc::free(block.cast()) }
    }
}

/// Zeroed memory from the kernel, for bookkeeping that is nobody else's business.
pub(super) struct Pages;

impl Pages {
    /// What stands before a block: how much was mapped.
    const BEFORE: usize = 16;
}

// SAFETY: mappings are where nothing else is.
unsafe impl Raw for Pages {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.calloc(1, size)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let size = count.checked_mul(size);
        let Some(mapped) = size.and_then(|size| size.checked_add(Self::BEFORE)) else {
            return ptr::null_mut();
        };
        let base = map(mapped);
        if base.is_null() {
            return base;
        }
        // SAFETY: the mapping has so much, and starts at a page.
        unsafe {
            base.cast::<usize>().write(mapped);
            base.add(Self::BEFORE)
        }
    }
    unsafe fn realloc(&mut self, _: *mut u8, _: usize) -> *mut u8 {
        ptr::null_mut()
    }
    unsafe fn free(&mut self, block: *mut u8) {
        if !block.is_null() {
            // SAFETY: a block is preceded by how much was mapped for it.
            unsafe {
                let base = block.sub(Self::BEFORE);
                unmap(base, base.cast::<usize>().read());
            }
        }
    }
}

/// The default of the raw domain: a C library, never asked for nothing.
///
/// C lets its functions answer a size of 0 with null, and lets `realloc` free the block; here every 0 becomes 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultRaw<C = CLibrary, F = Sound> {
    library: C,
    faults: F,
}

impl DefaultRaw {
    /// The default raw domain over the C library of this process.
    pub const fn new() -> DefaultRaw {
        DefaultRaw::over(CLibrary, Sound)
    }
}

impl<C, F> DefaultRaw<C, F> {
    /// The default raw domain over another C library.
    pub const fn over(library: C, faults: F) -> DefaultRaw<C, F> {
        DefaultRaw { library, faults }
    }
}

// SAFETY: the promises of the library, of which no more is asked than C says.
unsafe impl<C: Raw, F: Faults> Raw for DefaultRaw<C, F> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        let least = if self.faults.planted(Fault::ZeroReachesLibrary) {
            0
        } else {
            1
        };
        self.library.malloc(size.max(least))
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if count == 0 || size == 0 {
            self.library.calloc(1, 1)
        } else {
            self.library.calloc(count, size)
        }
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.library.realloc(block, size.max(1)) }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.library.free(block) }
    }
}

/// The default arena allocator: a private anonymous mapping for each arena.
#[derive(Clone, Copy, Debug)]
pub struct Mmap<F = Sound> {
    alignment: usize,
    faults: F,
}

impl Mmap {
    /// Arenas wherever the kernel puts them, as CPython has them.
    pub const fn new() -> Mmap {
        Mmap::aligned(1, Sound)
    }
}

impl Default for Mmap {
    fn default() -> Mmap {
        Mmap::new()
    }
}

impl<F: Faults> Mmap<F> {
    /// Arenas at multiples of `alignment`, a power of two: for behaviour that is the same in every process.
    pub const fn aligned(alignment: usize, faults: F) -> Mmap<F> {
        assert!(alignment.is_power_of_two());
        Mmap { alignment, faults }
    }

    /// Maps with room to spare and gives back what lies before the boundary and after the end.
    fn map_aligned(&mut self, size: usize) -> *mut u8 {
        let size = size.next_multiple_of(page_size());
        let whole = map(size + self.alignment);
        if whole.is_null() {
            return whole;
        }
        let base = whole.map_addr(|address| address.next_multiple_of(self.alignment));
        let before = base.addr() - whole.addr();
        // SAFETY: both ranges lie in the mapping just made, outside of what is returned.
        unsafe {
            unmap(whole, before);
            unmap(base.add(size), self.alignment - before);
        }
        base
    }
}

// SAFETY: mappings are where nothing else is.
unsafe impl<F: Faults> ArenaSource for Mmap<F> {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if self.faults.planted(Fault::ArenaFromMalloc) {
            return CLibrary.malloc(size);
        }
        if self.alignment <= page_size() {
            map(size)
        } else {
            self.map_aligned(size)
        }
    }
    unsafe fn free(&mut self, base: *mut u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.faults.planted(Fault::ArenaFromMalloc) {
                return CLibrary.free(base);
            }
            unmap(base, size);
        }
    }
}

fn page_size() -> usize {
    // SAFETY: asks for a constant that every system has.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

fn map(size: usize) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: without MAP_FIXED nothing that is mapped is touched.
    let base = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
    if base == libc::MAP_FAILED {
        ptr::null_mut()
    } else {
        base.cast()
    }
}

/// # Safety
///
/// The range was mapped by [`map`], starts at a page, and is not used again.
unsafe fn unmap(base: *mut u8, size: usize) {
    if size != 0 {
        // SAFETY: the caller's promise. It can fail only if the range is none, or for want of memory to split a
        // mapping; pymalloc has no use for the answer.
        unsafe { libc::munmap(base.cast(), size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_zeroed_and_go_back() {
        // So much that no other thread takes all of it in the moment after.
        const SIZE: usize = 1 << 26;
        let block = Pages.calloc(2, SIZE / 2);
        // SAFETY: the block has this size, and is live.
        let bytes = unsafe { std::slice::from_raw_parts(block, SIZE) };
        assert!(
            bytes[..8]
                .iter()
                .chain(&bytes[SIZE - 8..])
                .all(|&byte| byte == 0)
        );
        let page = block.map_addr(|address| address & !(page_size() - 1));
        let is_mapped = || {
            let mut resident = vec![0; SIZE / page_size()];
            // SAFETY: asks about pages, which need not exist; there is room for the answer.
            unsafe { libc::mincore(page.cast(), SIZE, resident.as_mut_ptr()) == 0 }
        };
        assert!(is_mapped());
        // SAFETY: the block is live, and not used again.
        unsafe { Pages.free(block) };
        assert!(!is_mapped());
        assert!(Pages.calloc(usize::MAX, 2).is_null());
        assert!(Pages.malloc(usize::MAX).is_null());
        let block = Pages.malloc(1);
        assert!(!block.is_null());
        // SAFETY: as above.
        unsafe { Pages.free(block) };
    }
}
