//! The allocator behind a lock that survives forks: whoever forks holds it meanwhile, so that the child finds no call of
//! another thread half done.

use super::{Fault, Faulty};
use crate::subject::{Locked, Subject};
use std::any::Any;
use std::cell::RefCell;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering::*};

unsafe extern "C" {
    fn pthread_atfork(
        prepare: extern "C" fn(),
        parent: extern "C" fn(),
        child: extern "C" fn(),
    ) -> libc::c_int;
}

/// What the handlers are about.
struct Forking {
    allocator: Locked<Faulty>,
    fault: Option<Fault>,
}

/// The allocator that was made last: of those that a process has, only that is used.
static FORKING: AtomicPtr<Forking> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// What this thread holds while it forks.
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// An allocator for several threads, for whose lock the process is told to look when it forks.
pub fn surviving_forks(allocator: Faulty) -> Locked<Faulty> {
    static REGISTERED: Once = Once::new();
    let fault = allocator.fault;
    let mut locked = Locked::new(allocator);
    if let Some(allocator) = locked.sibling() {
        // Never freed: the handlers may be at it, and there are few.
        let forking = Box::leak(Box::new(Forking { allocator, fault }));
        FORKING.store(forking, Release);
        // SAFETY: the handlers live as long as the program.
        REGISTERED.call_once(|| unsafe {
            pthread_atfork(hold, leave, leave_in_child);
        });
    }
    locked
}

fn forking() -> Option<&'static Forking> {
    // SAFETY: null, or leaked.
    unsafe { FORKING.load(Acquire).as_ref() }
}

extern "C" fn hold() {
    if let Some(forking) = forking().filter(|it| it.fault != Some(Fault::ForkIgnoresLock)) {
        HELD.set(Some(forking.allocator.hold()));
    }
}

extern "C" fn leave() {
    let held = HELD.take();
    // One is here, and one with whoever had it made; others are other threads'.
    let keeps =
        |it: &Forking| it.fault == Some(Fault::ForkKeepsLock) && it.allocator.siblings() > 2;
    if forking().is_some_and(keeps) {
        std::mem::forget(held);
    }
}

extern "C" fn leave_in_child() {
    HELD.take();
}
