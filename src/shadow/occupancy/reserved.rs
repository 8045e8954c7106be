//! Address space that takes memory where it is written, and none before.

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::AtomicU64;

/// Words of reserved address space, zero until written.
pub(super) struct Reserved {
    base: *mut AtomicU64,
    words: usize,
}

impl Reserved {
    /// So many words.
    ///
    /// # Errors
    ///
    /// When there is not that much address space.
    pub(super) fn new(words: usize) -> io::Result<Reserved> {
        // SAFETY: a fresh anonymous mapping touches no memory that exists.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                words * size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Reserved {
            base: base.cast(),
            words,
        })
    }

    /// Where they lie.
    pub(super) fn place(&self) -> Range<u64> {
        let start = self.base.addr() as u64;
        start..start + (self.words * size_of::<AtomicU64>()) as u64
    }
}

impl std::ops::Deref for Reserved {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `base` is a live mapping of `words` zeroed or written words, unmapped only when `self` is dropped.
        unsafe { std::slice::from_raw_parts(self.base, self.words) }
    }
}

impl std::ops::DerefMut for Reserved {
    #[inline]
    fn deref_mut(&mut self) -> &mut [AtomicU64] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.base, self.words) }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference into it outlives `self`.
        unsafe { libc::munmap(self.base.cast(), self.words * size_of::<AtomicU64>()) };
    }
}
