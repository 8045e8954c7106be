//! What must be true of a released block.

use super::Evidence;
use super::block::Block;
use super::model::{At, Checked, ERRNO_BEFORE, Reply, Shadow};
use crate::program::Call;
use crate::spec::RuleId;

impl Shadow<'_> {
    #[inline(always)]
    pub(super) fn settle_release(&mut self, at: At, before: &Block, reply: &Reply) -> Checked {
        self.check_errno_left(at, reply)?;
        if at.op.call.is_delete() {
            self.check_delete(at, reply)?;
        }
        if before.is_live() {
            self.ledger.count(RuleId::StartAddress);
            self.ledger.count(RuleId::MetadataInviolate);
            match at.op.call {
                Call::FreeSized => self.ledger.count(RuleId::FreeSizedEquiv),
                Call::FreeAlignedSized => self.ledger.count(RuleId::FreeAlignedSizedEquiv),
                Call::Freezero => self.check_discarded(at, before, 0, RuleId::FreezeroClears)?,
                call if call.is_delete() => self.count_delete(call),
                _ => {}
            }
            if before.requested == 0 {
                self.ledger.count(RuleId::ZeroFreeable);
                self.ledger.count(RuleId::ZeroBlockOwned);
            }
            self.dismiss(at.op.slot, false);
        } else {
            self.ledger.count(match at.op.call {
                Call::Free => RuleId::FreeNull,
                Call::Freezero => RuleId::FreezeroNull,
                call if call.is_delete() => RuleId::CxxDeleteNull,
                _ => RuleId::SizedFreeNull,
            });
        }
        if self.conduct.closely {
            self.verify_others(at, RuleId::ContentStable)?;
        }
        Ok(())
    }

    /// `errno` after a release, of those functions that are said to leave it alone.
    #[inline(always)]
    fn check_errno_left(&self, at: At, reply: &Reply) -> Checked {
        let rule = match at.op.call {
            Call::Free => RuleId::FreeErrno,
            Call::FreeSized | Call::FreeAlignedSized => RuleId::FreeErrnoExt,
            _ => return Ok(()),
        };
        self.ledger.count(rule);
        if reply.errno != ERRNO_BEFORE && reply.errno != 0 {
            self.broken(
                at,
                rule,
                Evidence::Errno {
                    before: ERRNO_BEFORE,
                    after: reply.errno,
                    wanted: Some(ERRNO_BEFORE),
                },
            )?;
        }
        Ok(())
    }
}
