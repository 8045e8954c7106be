//! What must be true of a released block.

use super::Evidence;
use super::block::Block;
use super::model::{At, Checked, ERRNO_BEFORE, Reply, Shadow};
use crate::program::Call;
use crate::spec::RuleId;

impl Shadow<'_> {
    #[inline(always)]
    pub(super) fn settle_release(&mut self, at: At, before: &Block, reply: &Reply) -> Checked {
        let plain = at.op.call == Call::Free;
        let rule = if plain {
            RuleId::FreeErrno
        } else {
            RuleId::FreeErrnoExt
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
        if before.is_live() {
            self.ledger.count(RuleId::StartAddress);
            self.ledger.count(RuleId::MetadataInviolate);
            match at.op.call {
                Call::FreeSized => self.ledger.count(RuleId::FreeSizedEquiv),
                Call::FreeAlignedSized => self.ledger.count(RuleId::FreeAlignedSizedEquiv),
                _ => {}
            }
            if before.requested == 0 {
                self.ledger.count(RuleId::ZeroFreeable);
                self.ledger.count(RuleId::ZeroBlockOwned);
            }
            self.dismiss(at.op.slot, false);
        } else {
            self.ledger.count(if plain {
                RuleId::FreeNull
            } else {
                RuleId::SizedFreeNull
            });
        }
        if self.conduct.closely {
            self.verify_others(at, RuleId::ContentStable)?;
        }
        Ok(())
    }
}
