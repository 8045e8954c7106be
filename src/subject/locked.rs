//! A subject that serves one thread at a time, behind a lock for several.

use super::{SetNewHandler, Subject, Thrown};
use crate::program::{Call, Operator};
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A subject of which one thread at a time makes a call.
pub struct Locked<S>(Arc<Mutex<S>>);

impl<S> Locked<S> {
    /// The subject, which nobody else has.
    pub fn new(subject: S) -> Locked<S> {
        Locked(Arc::new(Mutex::new(subject)))
    }

    /// How many there are of the same subject.
    pub fn siblings(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl<S: 'static> Locked<S> {
    /// Keeps all other threads out until what is returned is dropped.
    pub fn hold(&'static self) -> Box<dyn Any> {
        Box::new(lock(&self.0))
    }
}

/// Locks without a trace in `errno`, which is the caller's of whoever locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked is of the harness, which ends with it.
    keeping_errno(|| mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Does something, and leaves `errno` as it was.
pub(super) fn keeping_errno<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: always valid for the thread that asks.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { errno.read() };
    let result = work();
    // SAFETY: as above.
    unsafe { errno.write(saved) };
    result
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $ret:ty)?;)*) => {
        $(
            unsafe fn $name(&mut self $(, $arg: $type)*) $(-> $ret)? {
                // SAFETY: the caller's promise.
                unsafe { lock(&self.0).$name($($arg),*) }
            }
        )*
    };
}

impl<S: Subject + Send> Subject for Locked<S> {
    fn provides(&self, call: Call) -> bool {
        lock(&self.0).provides(call)
    }

    fn set_new_handler(&self) -> Option<SetNewHandler> {
        lock(&self.0).set_new_handler()
    }

    forward! {
        malloc(size: usize) -> *mut u8;
        calloc(count: usize, size: usize) -> *mut u8;
        realloc(block: *mut u8, size: usize) -> *mut u8;
        free(block: *mut u8);
        reallocarray(block: *mut u8, count: usize, size: usize) -> *mut u8;
        reallocf(block: *mut u8, size: usize) -> *mut u8;
        recallocarray(block: *mut u8, old: usize, count: usize, size: usize) -> *mut u8;
        freezero(block: *mut u8, size: usize);
        free_sized(block: *mut u8, size: usize);
        free_aligned_sized(block: *mut u8, alignment: usize, size: usize);
        aligned_alloc(alignment: usize, size: usize) -> *mut u8;
        posix_memalign(out: *mut *mut u8, alignment: usize, size: usize) -> i32;
        memalign(alignment: usize, size: usize) -> *mut u8;
        valloc(size: usize) -> *mut u8;
        pvalloc(size: usize) -> *mut u8;
        operator_new(form: Operator, size: usize, alignment: usize) -> Result<*mut u8, Thrown>;
        operator_delete(form: Operator, block: *mut u8, size: usize, alignment: usize) -> Result<(), Thrown>;
        malloc_usable_size(block: *mut u8) -> usize;
        malloc_trim(pad: usize) -> i32;
        renew();
    }

    fn sibling(&mut self) -> Option<Locked<S>> {
        Some(Locked(self.0.clone()))
    }
}
