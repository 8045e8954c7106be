//! Address space that takes memory where it is written, and none before.

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Bytes that memory is given out in.
const PAGE: usize = 4096;

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

    /// Bytes of these words that memory is taken for, as the kernel says; none where it does not say.
    pub(super) fn resident(&self, words: Range<usize>) -> u64 {
        const WORDS: usize = PAGE / size_of::<AtomicU64>();
        let mut present = [0u8; 512];
        let end = words.end.min(self.words).next_multiple_of(WORDS);
        let mut pages = 0;
        for start in (words.start / WORDS * WORDS..end).step_by(present.len() * WORDS) {
            let asked = ((end - start) / WORDS).min(present.len());
            // SAFETY: the words lie in the mapping, whose last page is whole, and there is a byte for each page.
            let answer = unsafe {
                libc::mincore(
                    self.base.add(start).cast_mut().cast(),
                    asked * PAGE,
                    present.as_mut_ptr(),
                )
            };
            if answer == 0 {
                pages += present[..asked]
                    .iter()
                    .filter(|&&page| page & 1 != 0)
                    .count();
            }
        }
        (pages * PAGE) as u64
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
