//! What must be true of memory that is given back cleared.
//!
//! Memory that was freed must not be read, so the kernel is asked to: of what is not mapped any more it says so. What
//! counts is that the block's own bytes are gone; zeros, a poison and the links of a free list are all as good.

use super::Evidence;
use super::block::Block;
use super::contents::TELLING;
use super::model::{At, Checked, Shadow};
use crate::spec::RuleId;

impl Shadow<'_> {
    /// What `recallocarray` must do besides: clear what it adds, and what it no longer needs.
    #[inline(never)]
    pub(super) fn settle_cleared(&mut self, at: At, before: &Block, block: &Block) -> Checked {
        if !before.is_live() {
            return self.verify_zero(at, block, 0, RuleId::RecallocarrayNull);
        }
        if block.size > before.requested {
            self.verify_zero(at, block, before.requested, RuleId::RecallocarrayZero)?;
        }
        let kept = if block.address == before.address {
            block.size
        } else {
            0
        };
        self.check_discarded(at, before, kept, RuleId::RecallocarrayClears)
    }

    /// What lay in a block that is gone, or that has shrunk to `from` bytes, must be gone too.
    #[inline(never)]
    pub(super) fn check_discarded(
        &self,
        at: At,
        before: &Block,
        from: u64,
        rule: RuleId,
    ) -> Checked {
        // Of a block that was stretched, its user speaks of less than was stored. Where there are other threads, one of
        // them may have the memory by now.
        let told = self.conduct.stores && before.size == before.requested && self.common.is_none();
        if !told || before.size < from + TELLING as u64 {
            return Ok(());
        }
        let mut heard = false;
        let remains = before.pattern.remains(before.size, from, |offset, room| {
            let read = read_dead(before.address + offset, room);
            heard |= read.is_some();
            read.unwrap_or(0)
        });
        if heard {
            self.ledger.count(rule);
        }
        match remains {
            Some(offset) => self.broken(
                at,
                rule,
                Evidence::NotDiscarded {
                    address: before.address,
                    size: before.size,
                    offset,
                },
            ),
            None => Ok(()),
        }
    }
}

/// Reads memory that may belong to nobody. How many bytes of it are there; `None` where the kernel does not say.
fn read_dead(address: u64, room: &mut [u8]) -> Option<usize> {
    let local = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address as usize),
        iov_len: room.len(),
    };
    // SAFETY: the kernel writes to `room` alone, and answers with an error where there is nothing to read.
    unsafe {
        let errno = *libc::__errno_location();
        let read =
            libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0);
        let unmapped = *libc::__errno_location() == libc::EFAULT;
        *libc::__errno_location() = errno;
        match usize::try_from(read) {
            Ok(read) => Some(read),
            Err(_) => unmapped.then_some(0),
        }
    }
}
