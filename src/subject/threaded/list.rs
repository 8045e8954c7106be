//! A list of freed blocks that all threads have, made of atomic words: who leaves out the lock finds it in a state between
//! two, and nothing worse.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};

/// Blocks that the list has room for.
const ROOM: usize = 32;

/// The list.
pub(super) struct List {
    blocks: [AtomicPtr<u8>; ROOM],
    length: AtomicUsize,
}

impl List {
    pub(super) const fn new() -> List {
        List {
            blocks: [const { AtomicPtr::new(ptr::null_mut()) }; ROOM],
            length: AtomicUsize::new(0),
        }
    }

    /// Whether there was room for the block.
    pub(super) fn push(&self, block: *mut u8) -> bool {
        let length = self.length.load(Acquire);
        let Some(place) = self.blocks.get(length) else {
            return false;
        };
        place.store(block, Release);
        self.length.store(length + 1, Release);
        true
    }

    /// The block put in last, null if there is none. `meanwhile` is done while the list is in between.
    pub(super) fn pop(&self, meanwhile: impl FnOnce()) -> *mut u8 {
        let length = self.length.load(Acquire);
        let Some(place) = length.checked_sub(1).and_then(|last| self.blocks.get(last)) else {
            return ptr::null_mut();
        };
        let block = place.load(Acquire);
        meanwhile();
        self.length.store(length - 1, Release);
        block
    }
}
