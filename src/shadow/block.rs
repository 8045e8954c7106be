//! What the shadow knows of one block.

use super::contents::Pattern;
use crate::program::Call;
use std::ops::{Deref, DerefMut};

/// What last happened to a live block, as far as it explains a later overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Made, and not resized since.
    Made,
    /// Resized where it was.
    KeptInPlace,
    /// Moved by a resize.
    Moved,
    /// A resize failed, so the block is still what it was.
    SurvivedFailure,
}

/// A block, or an empty slot if the address is 0.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The address, 0 for an empty slot.
    pub address: u64,
    /// Bytes the subject owes: those asked for, or all usable ones after a stretch.
    pub size: u64,
    /// Bytes asked for.
    pub requested: u64,
    /// The alignment asked for; 0 if none was.
    pub alignment: u64,
    /// The usable size last told, 0 if never asked.
    pub usable: u64,
    /// What it holds.
    pub pattern: Pattern,
    /// The call that made it.
    pub maker: Call,
    /// What last happened to it.
    pub history: History,
    /// Whether it came from a pool of CPython's small-object allocator.
    pub pooled: bool,
    /// The size of the class it came from then, in bytes.
    pub class: u32,
    /// Whether the slot is empty because the allocation into it failed.
    pub failed: bool,
    /// The thread that made it or resized it last, 0 for the main one.
    pub thread: u32,
}

// The processor copies a block in words; bytes between its fields would be copied by themselves, and waited for.
const _: () = assert!(size_of::<Block>() == 5 * 8 + 3 * 4 + 4);

impl Block {
    /// An empty slot.
    pub const fn empty() -> Block {
        Block {
            address: 0,
            size: 0,
            requested: 0,
            alignment: 0,
            usable: 0,
            pattern: Pattern::NONE,
            maker: Call::Malloc,
            history: History::Made,
            pooled: false,
            class: 0,
            failed: false,
            thread: 0,
        }
    }

    /// Whether there is a block.
    #[inline]
    pub const fn is_live(&self) -> bool {
        self.address != 0
    }

    /// The address as a pointer.
    #[inline]
    pub fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address as usize)
    }

    /// The same block with so many bytes to be filled.
    pub fn holding(&self, size: u64) -> Block {
        Block { size, ..*self }
    }

    /// Bytes taken from the address space: a block of no bytes still has an address of its own.
    #[inline]
    pub fn extent(&self) -> u64 {
        self.size.max(1)
    }

    /// Whether two blocks share a byte.
    pub fn overlaps(&self, other: &Block) -> bool {
        self.address < other.address + other.extent()
            && other.address < self.address + self.extent()
    }
}

/// The place of a block in the table of all: one line of the cache, since with a million blocks live looking one up costs
/// about what its allocator pays.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Line(pub Block);

const _: () = assert!(size_of::<Line>() == 64);

impl Deref for Line {
    type Target = Block;

    #[inline(always)]
    fn deref(&self) -> &Block {
        &self.0
    }
}

impl DerefMut for Line {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Block {
        &mut self.0
    }
}
