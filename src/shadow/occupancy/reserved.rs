//! Address space that takes memory where it is written, and none before.

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Words of reserved address space, zero until written. A clone is the same words.
#[derive(Clone)]
pub(super) struct Reserved {
    base: *const AtomicU64,
    words: usize,
    _mapping: Arc<Mapping>,
}

/// Address space that is given back when nobody has words in it any more.
struct Mapping {
    base: *mut AtomicU64,
    words: usize,
}

// SAFETY: the words are atomic, and unmapped only when the last clone is gone.
unsafe impl Send for Reserved {}
// SAFETY: as above.
unsafe impl Sync for Reserved {}
// SAFETY: an address that is used once, to unmap what it says.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

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
        let base = base.cast();
        Ok(Reserved {
            base,
            words,
            _mapping: Arc::new(Mapping { base, words }),
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
        // SAFETY: `base` is a live mapping of `words` zeroed or written words, unmapped only when the last clone is gone.
        unsafe { std::slice::from_raw_parts(self.base, self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference into it outlives the clones.
        unsafe { libc::munmap(self.base.cast(), self.words * size_of::<AtomicU64>()) };
    }
}
