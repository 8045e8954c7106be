//! pymalloc without hooks, as a subject: for measuring it, not for checking it.

use super::Subject;
use crate::program::Call;
use crate::pymalloc::{ArenaSource, Layout, Pymalloc, Raw};

/// The entry points of a subject that are those of a pymalloc in it.
macro_rules! calls_of_pymalloc {
    (|$subject:ident| $heap:expr) => {
        fn provides(&self, call: Call) -> bool {
            matches!(
                call,
                Call::Malloc | Call::Calloc | Call::Realloc | Call::Free
            )
        }

        #[inline]
        unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
            let $subject = self;
            Pymalloc::malloc($heap, size)
        }
        #[inline]
        unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
            let $subject = self;
            Pymalloc::calloc($heap, count, size)
        }
        #[inline]
        unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
            let $subject = self;
            // SAFETY: the contract of [`Subject`].
            unsafe { Pymalloc::realloc($heap, block, size) }
        }
        #[inline]
        unsafe fn free(&mut self, block: *mut u8) {
            let $subject = self;
            // SAFETY: the contract of [`Subject`].
            unsafe { Pymalloc::free($heap, block) }
        }
    };
}
pub(super) use calls_of_pymalloc;

impl<L: Layout, R: Raw, A: ArenaSource> Subject for Pymalloc<L, R, A> {
    calls_of_pymalloc!(|heap| heap);
}
