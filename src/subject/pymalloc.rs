//! pymalloc without hooks, as a subject: for measuring it, not for checking it.

use super::Subject;
use crate::program::Call;
use crate::pymalloc::{ArenaSource, Layout, Pymalloc, Raw};

impl<L: Layout, R: Raw, A: ArenaSource> Subject for Pymalloc<L, R, A> {
    fn provides(&self, call: Call) -> bool {
        matches!(
            call,
            Call::Malloc | Call::Calloc | Call::Realloc | Call::Free
        )
    }

    #[inline]
    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        Pymalloc::malloc(self, size)
    }
    #[inline]
    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        Pymalloc::calloc(self, count, size)
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the contract of [`Subject`].
        unsafe { Pymalloc::realloc(self, block, size) }
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the contract of [`Subject`].
        unsafe { Pymalloc::free(self, block) }
    }
}
