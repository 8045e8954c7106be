//! What must be true of usable sizes.

use super::Evidence;
use super::allocate::PAGE;
use super::block::{Block, History};
use super::model::{At, Checked, Reply, Shadow};
use super::occupancy::{ADDRESS_END, Mark};
use crate::program::{Call, Slot};
use crate::spec::RuleId;

impl Shadow<'_> {
    pub(super) fn settle_usable(&mut self, at: At, before: &Block, reply: &Reply) -> Checked {
        let usable = reply.value;
        if !before.is_live() {
            self.ledger.count(RuleId::UsableNull);
            if usable != 0 {
                self.broken(
                    at,
                    RuleId::UsableNull,
                    Evidence::Usable { usable, wanted: 0 },
                )?;
            }
            return Ok(());
        }
        self.ledger.count(RuleId::UsableGe);
        if usable < before.requested {
            let evidence = Evidence::Usable {
                usable,
                wanted: before.requested,
            };
            self.broken(at, RuleId::UsableGe, evidence)?;
        }
        let enough = usable >= before.requested;
        if enough && before.maker == Call::Pvalloc && before.history == History::Made {
            self.ledger.count(RuleId::AlignPvalloc);
            let pages = before.requested.next_multiple_of(PAGE);
            if usable < pages {
                self.broken(
                    at,
                    RuleId::AlignPvalloc,
                    Evidence::Usable {
                        usable,
                        wanted: pages,
                    },
                )?;
            }
        }
        if before.usable != 0 {
            self.ledger.count(RuleId::UsableStable);
            if usable != before.usable {
                let evidence = Evidence::Usable {
                    usable,
                    wanted: before.usable,
                };
                self.broken(at, RuleId::UsableStable, evidence)?;
            }
        }
        self.blocks[at.op.slot as usize].usable = usable;
        Ok(())
    }

    /// The block is used to its last usable byte from here on.
    pub(super) fn settle_stretch(&mut self, at: At, before: &Block, reply: &Reply) -> Checked {
        self.settle_usable(at, before, reply)?;
        let usable = reply.value;
        if !before.is_live() || usable <= before.size {
            return Ok(());
        }
        self.ledger.count(RuleId::UsableDisjoint);
        self.ledger.count(RuleId::UsableWritable);
        let wide = Block {
            size: usable,
            usable,
            ..*before
        };
        if before
            .address
            .checked_add(usable)
            .is_none_or(|end| end > ADDRESS_END)
        {
            let evidence = Evidence::Usable {
                usable,
                wanted: before.requested,
            };
            return self.ruined(at, RuleId::UsableDisjoint, evidence);
        }
        self.vacate(at.op.slot, before);
        if self.occupy(at.op.slot, &wide) == Mark::Taken
            && let Some((slot, other)) = self.overlapped(at, &wide)
        {
            return self.ruined(
                at,
                RuleId::UsableDisjoint,
                Evidence::Overlap {
                    address: wide.address,
                    size: usable,
                    other: slot,
                    other_address: other.address,
                    other_size: other.size,
                },
            );
        }
        self.dismiss(at.op.slot, false);
        self.enlist(at.op.slot, wide, 0);
        Ok(())
    }

    fn overlapped(&self, at: At, block: &Block) -> Option<(Slot, Block)> {
        if !self.occupancy.is_alone() {
            return self.overlapped_anywhere(at.op.slot, block);
        }
        self.live_blocks()
            .find(|&(slot, other)| slot != at.op.slot && block.overlaps(other))
            .map(|(slot, other)| (slot, *other))
    }
}
