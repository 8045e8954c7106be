//! C's functions: `malloc` and its family, with C's and POSIX's manners.
//!
//! What `PyObject_Malloc` does with a size, these do, too. They add what C and POSIX want: `errno`, alignments, and the
//! size of a block. In one thing they do more: a block that cannot move to be smaller stays where it is.

use crate::lock::Locked;
use crate::pages::Pages;
use allocspec::pymalloc::{Mmap, P16kR64, Pymalloc, SIZE_LIMIT};
use std::ffi::{c_int, c_void};
use std::ptr;

pub static HEAP: Locked<Pymalloc<P16kR64, Pages, Mmap>> =
    // SAFETY: what it leads to are its own pools and pages, which have no tie to a thread.
    unsafe { Locked::new(Pymalloc::new(Pages::new(), Mmap::new())) };

/// Blocks of pools are aligned to this.
const ALIGNMENT: usize = 16;
const PAGE: usize = 4096;

/// Leaves `errno` alone if a block comes of it, or sets it to `ENOMEM`.
fn served(act: impl FnOnce() -> *mut u8) -> *mut c_void {
    let errno = errno();
    let block = act();
    set_errno(if block.is_null() { libc::ENOMEM } else { errno });
    block.cast()
}

fn errno() -> c_int {
    // SAFETY: always valid for the thread that asks.
    unsafe { *libc::__errno_location() }
}

fn set_errno(number: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = number };
}

fn aligned(alignment: usize, size: usize) -> *mut u8 {
    if size > SIZE_LIMIT {
        return ptr::null_mut();
    }
    HEAP.with(|heap| {
        if alignment <= ALIGNMENT {
            heap.malloc(size)
        } else {
            heap.raw_mut().aligned(alignment, size)
        }
    })
}

/// The same where any alignment may be asked for.
fn aligned_or_invalid(alignment: usize, size: usize) -> *mut c_void {
    if !alignment.is_power_of_two() {
        set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    served(|| aligned(alignment, size))
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    served(|| HEAP.with(|heap| heap.malloc(size)))
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    served(|| HEAP.with(|heap| heap.calloc(count, size)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    served(|| {
        HEAP.with(|heap| {
            let block = block.cast::<u8>();
            // SAFETY: C's promise: null or a live block.
            unsafe {
                let moved = heap.realloc(block, size);
                if moved.is_null() && !block.is_null() && size <= usable(heap, block) {
                    return block;
                }
                moved
            }
        })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    let errno = errno();
    // SAFETY: C's promise: null or a live block.
    HEAP.with(|heap| unsafe { heap.free(block.cast()) });
    set_errno(errno);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise, as for `realloc`.
        Some(total) => unsafe { realloc(block, total) },
        None => {
            set_errno(libc::ENOMEM);
            ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    aligned_or_invalid(alignment, size)
}

#[unsafe(no_mangle)]
extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    aligned_or_invalid(alignment, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    let errno = errno();
    let block = aligned(alignment, size);
    set_errno(errno);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: POSIX's promise: a variable of the caller's.
    unsafe { out.write(block.cast()) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn valloc(size: usize) -> *mut c_void {
    served(|| aligned(PAGE, size))
}

#[unsafe(no_mangle)]
extern "C" fn pvalloc(size: usize) -> *mut c_void {
    let whole_pages = size.max(1).checked_next_multiple_of(PAGE);
    served(|| whole_pages.map_or(ptr::null_mut(), |size| aligned(PAGE, size)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise: a live block.
    HEAP.with(|heap| unsafe { usable(heap, block.cast()) })
}

/// The bytes that a live block has: of one from a pool those of its class, of another those asked for.
///
/// # Safety
///
/// `block` is a live block of the heap.
unsafe fn usable(heap: &Pymalloc<P16kR64, Pages, Mmap>, block: *mut u8) -> usize {
    // SAFETY: the caller's promise; what no pool serves comes from the pages.
    unsafe { heap.class_size(block).unwrap_or_else(|| Pages::size(block)) }
}
