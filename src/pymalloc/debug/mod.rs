//! The debug layer: what `PyMem_SetupDebugHooks` puts over an allocator.
//!
//! Every block is given a header and a trailer, S being the size of a pointer:
//!
//! ```text
//! p - 2S      the size asked for, most significant byte first
//! p - S       the domain, one byte
//! p - S + 1   forbidden bytes, S - 1 of them
//! p           the block, filled when it is made
//! p + n       forbidden bytes, S of them
//! p + n + S   before 3.8, a serial number of S bytes
//! ```
//!
//! They are looked at when the block is resized or freed, and only then. What is given back is overwritten.

mod dump;
mod style;

pub use style::{Resizing, Serial, Style};

use super::alloc::SIZE_LIMIT;
use super::fault::{Fault, Faults, Sound};
use super::source::Raw;
use std::io::Write;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The size of a pointer and of each field around a block.
const S: usize = size_of::<usize>();
/// Of a block that is resized, so many bytes at either end are overwritten for the time being (`ERASED_SIZE`).
const ERASED: usize = 64;

/// A family of functions. A block must go back to the one that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// `PyMem_RawMalloc` and its siblings, which may be called by any thread.
    Raw = b'r' as isize,
    /// `PyMem_Malloc` and its siblings.
    Mem = b'm' as isize,
    /// `PyObject_Malloc` and its siblings.
    Object = b'o' as isize,
}

/// What becomes of a process that misused memory.
pub trait Alarm {
    /// Tells something, before anything else happens: telling the rest may be fatal by itself.
    fn say(&mut self, text: &[u8]);
    /// Ends the process with these last words.
    fn end(&mut self, last_words: &[u8]) -> !;
}

/// As in CPython: words go to standard error, then the process aborts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abort;

impl Alarm for Abort {
    fn say(&mut self, text: &[u8]) {
        // There is nobody to tell that nothing can be told.
        let _ = std::io::stderr().write_all(text);
    }
    fn end(&mut self, last_words: &[u8]) -> ! {
        self.say(last_words);
        std::process::abort()
    }
}

/// Who may call the two domains that are not for every thread.
pub trait Gil {
    /// Whether the calling thread holds the interpreter's lock.
    fn is_held(&self) -> bool;
}

/// The lock of an interpreter with one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneThread;

impl Gil for OneThread {
    fn is_held(&self) -> bool {
        true
    }
}

/// The serial number of the last block made or resized by any debug layer (`serialno`).
static LAST_SERIAL: AtomicUsize = AtomicUsize::new(0);

/// The debug layer of a domain, over its allocator.
#[derive(Clone, Debug)]
pub struct Debug<R, A = Abort, G = OneThread, F = Sound> {
    beneath: R,
    domain: Domain,
    style: Style,
    alarm: A,
    gil: G,
    faults: F,
}

impl<R: Raw> Debug<R> {
    /// The layer over the allocator `beneath`, as in a version of CPython.
    pub const fn over(beneath: R, domain: Domain, style: Style) -> Debug<R> {
        Debug::with(beneath, domain, style, Abort, OneThread)
    }
}

impl<R, A, G> Debug<R, A, G> {
    /// The layer with an alarm and a lock of its own.
    pub const fn with(
        beneath: R,
        domain: Domain,
        style: Style,
        alarm: A,
        gil: G,
    ) -> Debug<R, A, G> {
        Debug::with_faults(beneath, domain, style, alarm, gil, Sound)
    }
}

impl<R, A, G, F> Debug<R, A, G, F> {
    /// The same, in which something may be wrong.
    pub const fn with_faults(
        beneath: R,
        domain: Domain,
        style: Style,
        alarm: A,
        gil: G,
        faults: F,
    ) -> Debug<R, A, G, F> {
        Debug {
            beneath,
            domain,
            style,
            alarm,
            gil,
            faults,
        }
    }

    /// The allocator beneath.
    pub fn beneath_mut(&mut self) -> &mut R {
        &mut self.beneath
    }
}

impl<R: Raw, A: Alarm, G: Gil, F: Faults> Debug<R, A, G, F> {
    #[inline(always)]
    fn has(&self, fault: Fault) -> bool {
        self.faults.planted(fault)
    }

    /// Ends the process unless the caller may call (`_PyMem_DebugCheckGIL`).
    fn check_gil(&mut self, function: &str) {
        if self.domain != Domain::Raw && self.style.checks_gil && !self.gil.is_held() {
            let what = "Python memory allocator called without holding the GIL";
            self.fatal(function, what.as_bytes());
        }
    }

    fn fatal(&mut self, function: &str, what: &[u8]) -> ! {
        let mut words = b"Fatal Python error: ".to_vec();
        if self.style.names_function {
            words.extend_from_slice(function.as_bytes());
            words.extend_from_slice(b": ");
        }
        words.extend_from_slice(what);
        words.push(b'\n');
        self.alarm.end(&words)
    }

    /// What a block of `size` bytes takes beneath; `None` if that is too much.
    fn total(&self, size: usize) -> Option<usize> {
        let total = size.checked_add(self.style.extra())?;
        let limited = self.style.knows_limit && !self.has(Fault::DebugLimitForgotten);
        (!limited || total <= SIZE_LIMIT).then_some(total)
    }

    fn bump(&self, when: Serial) {
        if self.style.serial == when {
            LAST_SERIAL.fetch_add(1, Relaxed);
        }
    }

    /// A new block, cleared if `zero` (`_PyMem_DebugRawAlloc`).
    fn make(&mut self, size: usize, zero: bool) -> *mut u8 {
        self.bump(Serial::BeforeTrying);
        let Some(total) = self.total(size) else {
            return ptr::null_mut();
        };
        let base = if zero {
            self.beneath.calloc(1, total)
        } else {
            self.beneath.malloc(total)
        };
        if base.is_null() {
            return base;
        }
        self.bump(Serial::AfterSuccess);
        // SAFETY: the block beneath is new and has room for all of it.
        unsafe {
            let block = base.add(2 * S);
            self.decorate(block, size, LAST_SERIAL.load(Relaxed));
            if !zero || self.has(Fault::DebugCallocFilled) {
                block.write_bytes(self.style.clean, size);
            }
            block
        }
    }

    /// Writes header and trailer.
    ///
    /// # Safety
    ///
    /// They lie in a block beneath, which is ours.
    unsafe fn decorate(&self, block: *mut u8, size: usize, serial: usize) {
        let forbidden = self.style.forbidden;
        // SAFETY: the caller's promise.
        unsafe {
            write_number(block.sub(2 * S), size);
            block.sub(S).write(self.domain as u8);
            block.sub(S - 1).write_bytes(forbidden, S - 1);
            let tail = block.add(size);
            tail.write_bytes(forbidden, S);
            if self.style.serial != Serial::None {
                write_number(tail.add(S), serial);
            }
        }
    }

    /// Ends the process if something is wrong with a block (`_PyMem_DebugCheckAddress`).
    ///
    /// # Safety
    ///
    /// `block` was made by a debug layer; what is around it can be read.
    unsafe fn check(&mut self, function: &str, block: *mut u8) {
        let forbidden = self.style.forbidden;
        // SAFETY: the caller's promise. The trailer is looked for only where the header is sound.
        let wrong = unsafe {
            let domain = block.sub(S).read();
            let first = if self.has(Fault::DebugSixLeadingBytes) {
                2
            } else {
                1
            };
            let any = self.has(Fault::DebugResizesAny) && function == "_PyMem_DebugRawRealloc";
            let behind = if self.has(Fault::DebugOneTrailingByte) {
                1
            } else {
                S
            };
            if domain != self.domain as u8 && !any {
                // Whatever byte stands there is told as it is.
                let mut wrong = b"bad ID: Allocated using API '".to_vec();
                wrong.push(domain);
                wrong.extend_from_slice(b"', verified using API '");
                wrong.extend_from_slice(&[self.domain as u8, b'\'']);
                wrong
            } else if (first..S).any(|back| block.sub(back).read() != forbidden) {
                b"bad leading pad byte".to_vec()
            } else {
                let tail = block.add(read_number(block.sub(2 * S)));
                if (0..behind).all(|at| tail.add(at).read() == forbidden) {
                    return;
                }
                b"bad trailing pad byte".to_vec()
            }
        };
        // SAFETY: as above. If it cannot be read that is the end as well.
        unsafe { dump::dump(&mut self.alarm, &self.style, block) };
        self.fatal(function, &wrong)
    }

    /// Resizes a block that was checked (`_PyMem_DebugRawRealloc`).
    ///
    /// # Safety
    ///
    /// As for [`Raw::realloc`].
    unsafe fn resize(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.bump(Serial::BeforeTrying);
        let Some(total) = self.total(size) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's promise; a block has its size in front of it, and its header and trailer around it.
        unsafe {
            let before = read_number(block.sub(2 * S));
            let mut saved = None;
            match self.style.resizing {
                Resizing::EndsErased => saved = Some(self.erase_ends(block, before)),
                Resizing::TailErased if size < before => {
                    block
                        .add(size)
                        .write_bytes(self.style.dead, before - size + 2 * S);
                }
                _ => {}
            }
            let moved = self.beneath.realloc(block.sub(2 * S), total);
            if moved.is_null() {
                if self.style.shrinks_or_dies && size <= before {
                    self.fatal("", b"Shrinking reallocation failed");
                }
                if let Some(saved) = saved.filter(|_| !self.has(Fault::DebugErasedLost)) {
                    self.decorate(block, before, saved.serial);
                    saved.restore(block, before, before);
                }
                if self.has(Fault::DebugSizeOfFailure) {
                    write_number(block.sub(2 * S), size);
                }
                return moved;
            }
            self.bump(Serial::AfterSuccess);
            let moved = moved.add(2 * S);
            if self.has(Fault::DebugWritesAfterMove) && size < before {
                block.add(size).write_bytes(self.style.dead, before - size);
            }
            self.decorate(moved, size, LAST_SERIAL.load(Relaxed));
            if let Some(saved) = saved {
                saved.restore(moved, before, size);
            }
            if size > before {
                let kept = if self.has(Fault::DebugGrowthFilled) {
                    0
                } else {
                    before
                };
                moved.add(kept).write_bytes(self.style.clean, size - kept);
            }
            moved
        }
    }

    /// Overwrites header, trailer and both ends of a block; all of it if it is short. Answers with what stood there.
    ///
    /// # Safety
    ///
    /// `block` is a live block of `size` bytes with header and trailer.
    unsafe fn erase_ends(&self, block: *mut u8, size: usize) -> Saved {
        let dead = self.style.dead;
        let behind = self.style.extra() - 2 * S;
        let mut saved = Saved {
            bytes: [0; 2 * ERASED],
            serial: 0,
        };
        // SAFETY: the caller's promise.
        unsafe {
            if self.style.serial != Serial::None {
                saved.serial = read_number(block.add(size + S));
            }
            let to = saved.bytes.as_mut_ptr();
            if size <= 2 * ERASED {
                ptr::copy_nonoverlapping(block, to, size);
                block.sub(2 * S).write_bytes(dead, 2 * S + size + behind);
            } else {
                let last = block.add(size - ERASED);
                ptr::copy_nonoverlapping(block, to, ERASED);
                ptr::copy_nonoverlapping(last, to.add(ERASED), ERASED);
                block.sub(2 * S).write_bytes(dead, 2 * S + ERASED);
                last.write_bytes(dead, ERASED + behind);
            }
        }
        saved
    }
}

/// What was erased of a block that is being resized.
struct Saved {
    /// All of a block that is not longer, or both its ends.
    bytes: [u8; 2 * ERASED],
    serial: usize,
}

impl Saved {
    /// Puts back what was erased of a block of `before` bytes, as far as it reaches now.
    ///
    /// # Safety
    ///
    /// `block` has `size` bytes.
    unsafe fn restore(&self, block: *mut u8, before: usize, size: usize) {
        let put = |at: usize, bytes: &[u8]| {
            let room = size.saturating_sub(at).min(bytes.len());
            // SAFETY: the caller's promise.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), block.wrapping_add(at), room) };
        };
        if before <= 2 * ERASED {
            put(0, &self.bytes[..before]);
        } else {
            put(0, &self.bytes[..ERASED]);
            put(before - ERASED, &self.bytes[ERASED..]);
        }
    }
}

/// # Safety
///
/// `at` can be read.
unsafe fn read_number(at: *const u8) -> usize {
    // SAFETY: the caller's promise; bytes have no alignment.
    usize::from_be_bytes(unsafe { at.cast::<[u8; S]>().read() })
}

/// # Safety
///
/// `at` can be written.
unsafe fn write_number(at: *mut u8, number: usize) {
    // SAFETY: the caller's promise; bytes have no alignment.
    unsafe { at.cast::<[u8; S]>().write(number.to_be_bytes()) }
}

// SAFETY: what the allocator beneath returns, but for header and trailer.
unsafe impl<R: Raw, A: Alarm, G: Gil, F: Faults> Raw for Debug<R, A, G, F> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.check_gil("_PyMem_DebugMalloc");
        self.make(size, false)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.check_gil("_PyMem_DebugCalloc");
        match count.checked_mul(size) {
            Some(total) => self.make(total, true),
            None => ptr::null_mut(),
        }
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.check_gil("_PyMem_DebugRealloc");
        if block.is_null() {
            return self.make(size, false);
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.check("_PyMem_DebugRawRealloc", block);
            self.resize(block, size)
        }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        self.check_gil("_PyMem_DebugFree");
        if block.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.check("_PyMem_DebugRawFree", block);
            let size = read_number(block.sub(2 * S));
            let base = block.sub(2 * S);
            let late = if self.has(Fault::DebugFillLate) {
                3 * S
            } else {
                0
            };
            base.add(late)
                .write_bytes(self.style.dead, size + self.style.extra() - late);
            self.beneath.free(base);
        }
    }
}
