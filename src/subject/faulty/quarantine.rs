//! Freed blocks that wait before they are issued again, first in, first out.

use std::ptr;

const LENGTH: usize = 256;

/// The blocks that wait.
pub(super) struct Quarantine {
    blocks: [*mut u8; LENGTH],
    /// Where the oldest is, and the next will be.
    at: usize,
}

impl Quarantine {
    pub(super) fn new() -> Quarantine {
        Quarantine {
            blocks: [ptr::null_mut(); LENGTH],
            at: 0,
        }
    }

    /// Lets `block` wait, or nothing if it is null. The one that has waited longest need not wait more; null if none.
    pub(super) fn exchange(&mut self, block: *mut u8) -> *mut u8 {
        let oldest = std::mem::replace(&mut self.blocks[self.at], block);
        self.at = (self.at + 1) % LENGTH;
        oldest
    }

    /// Every block that waits; none does any more.
    pub(super) fn drain(&mut self) -> [*mut u8; LENGTH] {
        std::mem::replace(&mut self.blocks, [ptr::null_mut(); LENGTH])
    }
}
