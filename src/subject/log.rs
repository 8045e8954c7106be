//! What hooks on an allocator's sources write down, and which request they fail.

use super::Event;
use std::cell::UnsafeCell;
use std::rc::Rc;

/// Requests written down at most between two calls of [`Subject::clear_events`](super::Subject::clear_events); more than
/// one call can make.
pub(super) const EVENTS: usize = 64;

/// The events so far, written by both hooks and read by the subject.
#[derive(Clone)]
pub(super) struct Log(Rc<UnsafeCell<Vec<Event>>>);

impl Log {
    /// Nothing happened yet.
    pub fn new() -> Log {
        Log(Rc::new(UnsafeCell::new(Vec::with_capacity(EVENTS))))
    }

    /// Notes an event. Never allocates: what is beyond the capacity is lost.
    #[inline]
    pub fn note(&self, event: Event) {
        // SAFETY: one thread has all the clones, and none of them lets a reference into the list escape but `events`,
        // whose caller borrows the subject; only a call that borrows it mutably gets here.
        let events = unsafe { &mut *self.0.get() };
        if events.len() < events.capacity() {
            events.push(event);
        }
    }

    /// What happened since it was last cleared.
    #[inline]
    pub fn events(&self) -> &[Event] {
        // SAFETY: see `note`.
        unsafe { &*self.0.get() }
    }

    /// Forgets it.
    #[inline]
    pub fn clear(&self) {
        // SAFETY: see `note`.
        unsafe { (*self.0.get()).clear() }
    }
}

/// How many requests there are until one fails; 0 for none.
#[derive(Clone, Copy)]
pub(super) struct Countdown(u64);

impl Countdown {
    /// None fails.
    pub const NEVER: Countdown = Countdown(0);

    /// The `nth` from now on fails, and only it.
    pub const fn to(nth: u64) -> Countdown {
        Countdown(nth)
    }

    /// Counts a request and answers whether it is to fail.
    #[inline]
    pub fn strikes(&mut self) -> bool {
        let strikes = self.0 == 1;
        self.0 = self.0.saturating_sub(1);
        strikes
    }
}
