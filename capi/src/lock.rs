//! Locks that survive `fork`.
//!
//! A process may fork while another of its threads allocates. The child has a copy of the lock, held by a thread that
//! does not exist there. So `fork` waits for the locks, and the child begins with new ones.

use crate::{family, python};
use std::cell::UnsafeCell;
use std::ptr;

/// A value that one thread uses at a time.
///
/// The lock is POSIX's: it needs no memory, and who takes it twice is told.
pub struct Locked<T> {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only while the lock is held, and may be used by any thread, as [`Locked::new`] was promised.
unsafe impl<T> Sync for Locked<T> {}

const UNLOCKED: libc::pthread_mutex_t = libc::PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

impl<T> Locked<T> {
    /// A value behind a lock.
    ///
    /// # Safety
    ///
    /// The value may be used by any thread, if by one at a time.
    pub const unsafe fn new(value: T) -> Locked<T> {
        Locked {
            mutex: UnsafeCell::new(UNLOCKED),
            value: UnsafeCell::new(value),
        }
    }

    /// Uses the value. To come here again from within is the end of the process.
    #[inline]
    pub fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        self.hold();
        // SAFETY: the lock is held.
        let result = act(unsafe { &mut *self.value.get() });
        self.release();
        result
    }

    #[inline]
    fn hold(&self) {
        // SAFETY: the lock is initialised and stays where it is.
        if unsafe { libc::pthread_mutex_lock(self.mutex.get()) } != 0 {
            // A hook that allocates where it must not, or a signal handler: waiting would be for ever.
            std::process::abort();
        }
    }

    #[inline]
    fn release(&self) {
        // SAFETY: the lock is held by this thread.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }

    /// Begins with a new lock.
    ///
    /// # Safety
    ///
    /// No other thread exists.
    unsafe fn renew(&self) {
        // SAFETY: the caller's promise.
        unsafe { ptr::write(self.mutex.get(), UNLOCKED) };
    }
}

extern "C" fn before_fork() {
    python::HEAP.hold();
    family::HEAP.hold();
}

extern "C" fn in_parent() {
    family::HEAP.release();
    python::HEAP.release();
}

extern "C" fn in_child() {
    // SAFETY: a process begins with one thread.
    unsafe {
        family::HEAP.renew();
        python::HEAP.renew();
    }
}

/// Runs when the library is loaded, before there can be a second thread.
#[used]
#[unsafe(link_section = ".init_array")]
static MIND_FORKS: extern "C" fn() = {
    extern "C" fn mind_forks() {
        // SAFETY: the functions are there as long as the library, which must not be unloaded. If there is no memory for
        // so small a note, there is none to fork with.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    }
    mind_forks
};
