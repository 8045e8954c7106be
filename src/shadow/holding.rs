//! What live blocks hold: written when they are made, verified when they are looked at.

use super::block::Block;
use super::contents::{self, Mismatch, Pattern};
use super::model::{At, Checked, Shadow};
use super::{Evidence, Moment};
use crate::program::{Op, Slot};
use crate::spec::RuleId;

/// Blocks verified beside the one at work when looking closely.
pub(super) const CLOSE_LOOK: usize = 256;

/// The size as which a block is filled when it is resized. A large one is written only in places, so that of what a
/// smaller one keeps neither the end nor, if that is small, the rest would be known.
#[inline(always)]
pub(super) fn filled_for(op: &Op, before: &Block) -> u64 {
    if before.size <= contents::WHOLE || !op.call.reallocates() {
        return before.size;
    }
    op.size().map_or(before.size, |size| before.size.min(size))
}

impl Shadow<'_> {
    /// After a call that is about no contents at all.
    pub(super) fn verify_all_closely(&self, at: At) -> Checked {
        if !self.conduct.closely {
            return Ok(());
        }
        let block = self.block(at.op.slot);
        if block.is_live() {
            self.verify(at, at.op.slot, &block, RuleId::ContentStable)?;
        }
        self.verify_others(at, RuleId::ContentStable)
    }

    /// Verifies the contents of every live block.
    ///
    /// # Errors
    ///
    /// The first block that does not hold what was stored.
    pub fn sweep(&mut self, index: usize, op: &Op) -> Checked {
        let at = At { index, op };
        for slot in 0..self.blocks.len() {
            let block = self.blocks[slot].0;
            if block.is_live() {
                self.verify(at, slot as Slot, &block, RuleId::ContentStable)?;
            }
        }
        Ok(())
    }

    /// Fills every live block with something else, as a child may that has a copy of its parent's blocks.
    pub fn refill(&mut self) {
        for slot in 0..self.blocks.len() {
            if self.blocks[slot].is_live() {
                self.born += 1;
                self.blocks[slot].pattern = Pattern::of(self.born);
                self.write(&self.blocks[slot], 0);
            }
        }
    }

    /// Verifies what a block holds.
    #[inline(always)]
    pub(super) fn verify(&self, at: At, slot: Slot, block: &Block, rule: RuleId) -> Checked {
        self.verify_prefix(at, slot, block, block.size, block.size, rule)
    }

    /// Verifies the first `length` bytes of a block that was filled as one of `filled` bytes.
    #[inline(always)]
    pub(super) fn verify_prefix(
        &self,
        at: At,
        slot: Slot,
        block: &Block,
        length: u64,
        filled: u64,
        rule: RuleId,
    ) -> Checked {
        // SAFETY: the subject says that these bytes belong to the block; if they cannot be read, the fault is the
        // subject's and the worker's death is the finding.
        self.verify_by(at, slot, block, rule, || unsafe {
            block.pattern.verify(block.pointer(), length, filled)
        })
    }

    /// Verifies the end of a large block, of which the bytes up to offset `from` hold something else.
    pub(super) fn verify_tail(
        &self,
        at: At,
        slot: Slot,
        block: &Block,
        from: u64,
        rule: RuleId,
    ) -> Checked {
        // SAFETY: as in `verify_prefix`.
        self.verify_by(at, slot, block, rule, || unsafe {
            block.pattern.verify_tail(block.pointer(), from, block.size)
        })
    }

    #[inline(always)]
    fn verify_by(
        &self,
        at: At,
        slot: Slot,
        block: &Block,
        rule: RuleId,
        verify: impl FnOnce() -> Result<(), Mismatch>,
    ) -> Checked {
        if !self.conduct.stores {
            return Ok(());
        }
        self.ledger.count(rule);
        self.ledger.enter(Moment::Verify);
        let result = verify();
        self.ledger.enter(Moment::Idle);
        match result {
            Ok(()) => Ok(()),
            Err(mismatch) => self.damaged(at, slot, *block, rule, mismatch),
        }
    }

    #[cold]
    fn damaged(
        &self,
        at: At,
        slot: Slot,
        block: Block,
        rule: RuleId,
        mismatch: Mismatch,
    ) -> Checked {
        let beyond = mismatch.offset >= block.requested && block.requested < block.size;
        let rule = if beyond { RuleId::UsableWritable } else { rule };
        self.ruined(
            at,
            rule,
            Evidence::Contents {
                slot,
                address: block.address,
                size: block.size,
                offset: mismatch.offset,
                stored: mismatch.stored,
                found: mismatch.found,
            },
        )
    }

    /// Verifies live blocks other than the one at work; with many live, a few of them in turn, and of large ones the
    /// ends: this is done after every operation.
    pub(super) fn verify_others(&self, at: At, rule: RuleId) -> Checked {
        let slots = self.blocks.len();
        let start = if slots <= CLOSE_LOOK {
            0
        } else {
            at.index * CLOSE_LOOK % slots
        };
        for slot in (0..slots.min(CLOSE_LOOK)).map(|step| (start + step) % slots) {
            let block = self.blocks[slot].0;
            if block.is_live() && slot != at.op.slot as usize {
                // SAFETY: as in `verify_prefix`.
                self.verify_by(at, slot as Slot, &block, rule, || unsafe {
                    block.pattern.verify_ends(block.pointer(), block.size)
                })?;
            }
        }
        Ok(())
    }

    /// Fills a block from offset `from` on.
    #[inline(always)]
    pub(super) fn write(&self, block: &Block, from: u64) {
        if self.conduct.stores {
            self.ledger.count(RuleId::AllocNonnullUsable);
            self.ledger.enter(Moment::Touch);
            // SAFETY: as in `verify_prefix`: the bytes are the block's by the subject's word.
            unsafe { block.pattern.fill(block.pointer(), from, block.size) };
            self.ledger.enter(Moment::Idle);
        }
    }
}
