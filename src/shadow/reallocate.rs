//! What must be true of a resized block.

use super::alignment::fitting_alignment;
use super::block::{Block, History};
use super::holding::filled_for;
use super::ledger::Choice;
use super::model::{At, Checked, ERRNO_BEFORE, Reply, Shadow};
use super::occupancy::Mark;
use super::{Evidence, contents};
use crate::program::Call;
use crate::spec::RuleId;

/// Addresses that `realloc(p, 0)` may have freed, remembered at most.
const UNDEAD: usize = 8;

/// The rule that says what the resize of a null pointer is.
pub(super) fn null_rule(call: Call) -> RuleId {
    match call {
        Call::Reallocarray => RuleId::ReallocarrayNull,
        Call::Recallocarray => RuleId::RecallocarrayNull,
        _ => RuleId::ReallocNullIsMalloc,
    }
}

impl Shadow<'_> {
    #[inline(always)]
    pub(super) fn settle_reallocation(&mut self, at: At, before: &Block, reply: &Reply) -> Checked {
        match (reply.value, before.is_live()) {
            (0, false) => self.settle_null_of_null(at, reply),
            (0, true) => self.settle_failure(at, before, reply),
            (address, _) => self.settle_resized(at, before, address, reply),
        }
    }

    #[cold]
    fn settle_null_of_null(&mut self, at: At, reply: &Reply) -> Checked {
        self.count_null(at);
        self.check_expectation(at, 0, 0)?;
        if self.conduct.closely {
            self.verify_others(at, RuleId::ContentStable)?;
        }
        self.settle_null(at, reply)?;
        self.dismiss(at.op.slot, true);
        Ok(())
    }

    #[cold]
    fn settle_failure(&mut self, at: At, before: &Block, reply: &Reply) -> Checked {
        self.check_expectation(at, before.address, 0)?;
        if self.conduct.closely {
            self.verify_others(at, RuleId::ReallocBounds)?;
        }
        if at.op.call == Call::Reallocf {
            // Whether it has freed the block is seen where many are: see `bounded`.
            self.dismiss(at.op.slot, true);
            return self.settle_null(at, reply);
        }
        if at.op.size() == Some(0) {
            if self.conduct.rules.contains(RuleId::ReallocZeroKeepsBlock) {
                // Never a way to free here, and whether it may fail depends on the sources: see the audit.
                return self.reinstate(at, before);
            }
            return self.settle_zero_null(at, before, reply);
        }
        self.reinstate(at, before)?;
        self.verify_kept(at, before)?;
        self.settle_null(at, reply)
    }

    /// Verifies a block whose resize failed, and fills it again as what it is.
    fn verify_kept(&mut self, at: At, before: &Block) -> Checked {
        let rule = self.keeping_rule(before);
        let filled = filled_for(at.op, before);
        self.verify_prefix(at, at.op.slot, before, filled, filled, rule)?;
        if filled != before.size {
            self.verify_tail(at, at.op.slot, before, filled, rule)?;
            self.write(before, 0);
        }
        Ok(())
    }

    /// `realloc(p, 0)` gave no block. Whether it freed the old one is anybody's guess, so it is never used again.
    fn settle_zero_null(&mut self, at: At, before: &Block, reply: &Reply) -> Checked {
        self.ledger.count(RuleId::ReallocP0);
        self.ledger.note(Choice::ReallocZeroNull);
        self.ledger.count(RuleId::ReallocZeroErrno);
        if reply.errno == ERRNO_BEFORE {
            self.ledger.note(Choice::ReallocZeroErrnoKept);
            let evidence = Evidence::Errno {
                before: ERRNO_BEFORE,
                after: reply.errno,
                wanted: None,
            };
            self.broken(at, RuleId::ReallocZeroErrno, evidence)?;
        } else {
            self.ledger.note(Choice::ReallocZeroErrnoSet);
        }
        if self.undead.len() < UNDEAD {
            self.undead.push(before.address);
        }
        self.dismiss(at.op.slot, true);
        Ok(())
    }

    #[inline(always)]
    fn settle_resized(&mut self, at: At, before: &Block, address: u64, reply: &Reply) -> Checked {
        let was_live = before.is_live();
        if !was_live {
            self.count_null(at);
        }
        self.check_expectation(at, before.address, address)?;
        let Some(size) = self.check_possible(at, address)? else {
            // Known to be broken in this way: which block is live now cannot be told.
            return Err(super::Stop::Abandoned);
        };
        if was_live && size == 0 {
            self.ledger.count(RuleId::ReallocP0);
            self.ledger.count(RuleId::ReallocZeroKeepsBlock);
            self.ledger.note(Choice::ReallocZeroPointer);
        } else if size == 0 {
            self.note_zero(at, true);
        }
        self.check_errno_kept(at, reply)?;
        // A block that stays is as aligned as it was, which may be too little for what it is now.
        if address != before.address
            || fitting_alignment(size) > fitting_alignment(before.requested)
        {
            self.check_alignment(at, address, size)?;
        }
        if before.alignment > 16 {
            self.ledger.count(RuleId::AlignReallocFirst);
        }
        let moved = address != before.address;
        if was_live {
            self.ledger.count(RuleId::ReallocOldDead);
        }
        let kept = before.requested.min(size);
        let mut block = Block {
            address,
            size,
            requested: size,
            maker: if was_live { before.maker } else { at.op.call },
            history: if !was_live {
                History::Made
            } else if moved {
                History::Moved
            } else {
                History::KeptInPlace
            },
            ..Block::empty()
        };
        if was_live {
            block.pattern = before.pattern;
        }
        self.dismiss(at.op.slot, false);
        self.place(at, &block)?;
        if self.conduct.closely {
            let rule = if was_live {
                RuleId::ReallocBounds
            } else {
                RuleId::ContentStable
            };
            self.verify_others(at, rule)?;
        }
        if was_live {
            self.verify_prefix(
                at,
                at.op.slot,
                &block,
                kept,
                filled_for(at.op, before),
                RuleId::ReallocContent,
            )?;
        }
        if at.op.call == Call::Recallocarray {
            self.settle_cleared(at, before, &block)?;
        }
        // A block that was written only in places must be written whole when it is small now.
        let from = if before.size <= contents::WHOLE {
            kept
        } else {
            0
        };
        self.enlist(at.op.slot, block, from);
        if was_live && !moved {
            self.handed_out -= before.size.min(size);
        }
        Ok(())
    }

    fn count_null(&self, at: At) {
        self.ledger.count(null_rule(at.op.call));
    }

    /// The rule that says that a block whose resize failed is kept.
    pub(super) fn keeping_rule(&self, block: &Block) -> RuleId {
        if block.pooled {
            self.first_checked(&[RuleId::CrossUpFail, RuleId::ReallocFailKeeps])
        } else {
            RuleId::ReallocFailKeeps
        }
    }

    /// Puts a block whose resize failed back where it was. It was the only one there, and has been live all the time; but
    /// while the call was at work, another thread may have been given its memory.
    fn reinstate(&mut self, at: At, before: &Block) -> Checked {
        let mark = self.occupy(at.op.slot, before);
        self.blocks[at.op.slot as usize].history = History::SurvivedFailure;
        match mark {
            Mark::Clear => Ok(()),
            Mark::Taken => self.examine_overlap(at, *before),
        }
    }
}
