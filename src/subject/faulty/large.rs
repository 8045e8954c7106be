//! Blocks mapped one by one: those larger than the largest class, or aligned to more than a page.

use super::Fault;
use super::habits::before_mapping;
use super::sys::{self, PAGE};
use super::table::Table;
use std::ptr;

/// A live mapped block.
#[derive(Clone, Copy)]
pub(super) struct Mapped {
    /// Bytes mapped, in whole pages.
    pub(super) len: usize,
    /// The bytes asked for.
    pub(super) size: usize,
    /// The alignment asked for; 1 by functions that take none.
    pub(super) alignment: usize,
}

/// All mapped blocks.
pub(super) struct Large {
    /// From the page number of a block to what is known of it.
    blocks: Table<Mapped>,
    /// Whether a resized block always moves.
    moves: bool,
    fault: Option<Fault>,
    /// How many blocks were asked for.
    asked: u64,
    /// How many were freed while a younger one was live.
    older: u64,
    /// The youngest block, if it is live.
    youngest: *mut u8,
    /// The block freed last and its bytes, if it is kept.
    kept: (*mut u8, usize),
    mapping_failed: bool,
}

impl Large {
    pub(super) fn new(fault: Option<Fault>, moves: bool) -> Large {
        Large {
            blocks: Table::new(19),
            moves,
            fault,
            asked: 0,
            older: 0,
            youngest: ptr::null_mut(),
            kept: (ptr::null_mut(), 0),
            mapping_failed: false,
        }
    }

    /// Zeroed memory, or null. `size` is less than half of the address space, `alignment` a power of two.
    pub(super) fn allocate(&mut self, size: usize, alignment: usize) -> *mut u8 {
        let len = size.max(1).next_multiple_of(PAGE);
        self.asked += 1;
        if self.fault == Some(Fault::IssuesInsideMapping)
            && self.asked.is_multiple_of(4)
            && alignment <= PAGE
            && self.find(self.youngest).is_some_and(|it| it.len > len)
        {
            return self.youngest.wrapping_add(PAGE);
        }
        if self.mapping_failed || !self.blocks.has_room() {
            return ptr::null_mut();
        }
        let block = self.map(len, alignment.max(PAGE));
        if block.is_null() {
            self.mapping_failed =
                self.fault == Some(Fault::MappingFailureSticks) && len.max(alignment) <= 1 << 40;
            return block;
        }
        if self.fault == Some(Fault::MappedRoundsDown) && !size.is_multiple_of(PAGE) && len > PAGE {
            sys::protect(block.wrapping_add(len - PAGE), PAGE);
        }
        let known = Mapped {
            len,
            size,
            alignment,
        };
        self.blocks.set(block.addr() / PAGE, known);
        self.youngest = block;
        block
    }

    /// The live block at `address`.
    pub(super) fn find(&self, address: *mut u8) -> Option<Mapped> {
        (!address.is_null() && address.addr().is_multiple_of(PAGE))
            .then(|| self.blocks.get(address.addr() / PAGE))
            .flatten()
    }

    /// Gives a live block back to the kernel.
    pub(super) fn release(&mut self, block: *mut u8, known: Mapped) {
        self.forget(block);
        self.older += u64::from(!self.youngest.is_null());
        match self.fault {
            Some(Fault::MappedNeverReturned) => {}
            Some(Fault::OlderMappingLost)
                if !self.youngest.is_null() && self.older.is_multiple_of(32) => {}
            Some(Fault::FreeShowsUnmapErrno) => sys::unmap_showing_errno(block, known.len),
            Some(
                Fault::CallocTrustsKeptMapping
                | Fault::CallocTrustsFailedDiscard
                | Fault::FreezeroClearsStart,
            ) => {
                if self.fault == Some(Fault::CallocTrustsFailedDiscard) {
                    sys::discard(block, known.len);
                }
                let (old, old_len) = std::mem::replace(&mut self.kept, (block, known.len));
                sys::unmap(old, old_len);
            }
            _ => sys::unmap(block, known.len + self.guard()),
        }
    }

    /// Resizes a live block, which may move, or returns null and leaves it alone.
    pub(super) fn resize(&mut self, block: *mut u8, known: Mapped, size: usize) -> *mut u8 {
        let len = size.next_multiple_of(PAGE);
        let new = if self.moves {
            self.move_to_new(block, known.len, len)
        } else if len == known.len {
            block
        } else {
            sys::remap(block, known.len, len)
        };
        if new.is_null() && len > known.len {
            if self.fault == Some(Fault::FailedRemapDropsPage) {
                sys::discard(block, PAGE);
            }
            return new;
        }
        // The kernel may refuse to split a mapping: then a block that shrinks keeps its pages.
        let (new, len) = if new.is_null() {
            (block, known.len)
        } else {
            (new, len)
        };
        // What was asked for aligned has a rule of its own.
        let plain = known.alignment == 1;
        if self.fault == Some(Fault::ReallocLosesPage) && plain && len > known.len {
            sys::discard(new, PAGE);
        }
        self.forget(block);
        let known = Mapped {
            len,
            size,
            alignment: 1,
        };
        self.blocks.set(new.addr() / PAGE, known);
        self.youngest = new;
        new
    }

    /// Drops the last page of the youngest block.
    pub(super) fn purge_youngest(&self) {
        if let Some(known) = self.find(self.youngest) {
            sys::discard(self.youngest.wrapping_add(known.len - PAGE), PAGE);
        }
    }

    /// Inaccessible bytes behind each block, so that a read behind it is seen.
    fn guard(&self) -> usize {
        if self.fault == Some(Fault::ReallocOverReads) {
            PAGE
        } else {
            0
        }
    }

    fn map(&mut self, len: usize, alignment: usize) -> *mut u8 {
        let reuses = self.fault != Some(Fault::FreezeroClearsStart);
        if self.kept.1 == len && alignment <= PAGE && reuses {
            return std::mem::take(&mut self.kept).0;
        }
        if !before_mapping(self.fault) {
            return ptr::null_mut();
        }
        if self.fault == Some(Fault::AlignmentSlackLost) && alignment > PAGE {
            let base = sys::map(len.saturating_add(alignment));
            return base.map_addr(|address| address.next_multiple_of(alignment));
        }
        let guard = self.guard();
        let block = sys::map_aligned(len + guard, alignment);
        if guard > 0 && !block.is_null() {
            sys::protect(block.wrapping_add(len), guard);
        }
        block
    }

    /// Moves the pages that both sizes have to another address.
    fn move_to_new(&mut self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        let target = sys::map(new);
        if target.is_null() {
            return target;
        }
        let common = old.min(new);
        if !sys::move_pages(block, target, common) {
            sys::unmap(target, new);
            return ptr::null_mut();
        }
        sys::unmap(block.wrapping_add(common), old - common);
        target
    }

    fn forget(&mut self, block: *mut u8) {
        self.blocks.remove(block.addr() / PAGE);
        if self.youngest == block {
            self.youngest = ptr::null_mut();
        }
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        for (page, known) in self.blocks.iter() {
            let block = ptr::without_provenance_mut(page * PAGE);
            sys::unmap(block, known.len + self.guard());
        }
        sys::unmap(self.kept.0, self.kept.1);
    }
}
