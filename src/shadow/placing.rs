//! Where blocks lie: no two in one place, and none where the model itself is.

use super::Evidence;
use super::allocate::zero_rule;
use super::block::{Block, History};
use super::contents::Pattern;
use super::ledger::Choice;
use super::model::{At, Checked, Shadow};
use super::occupancy::{ADDRESS_END, Mark};
use crate::program::{Call, Slot};
use crate::spec::RuleId;
use std::ops::Range;

impl Shadow<'_> {
    /// Marks the place of a new or resized block, which must be free.
    #[inline(always)]
    pub(super) fn place(&mut self, at: At, block: &Block) -> Checked {
        let rule = RuleId::AllocNonnullUsable;
        let end = block.address.checked_add(block.extent());
        if end.is_none_or(|end| end > ADDRESS_END) {
            return self.ruined(
                at,
                rule,
                Evidence::BadAddress {
                    address: block.address,
                },
            );
        }
        self.ledger.count(RuleId::Disjoint);
        self.ledger.count(RuleId::DistinctNonzero);
        if self.occupy(at.op.slot, block) == Mark::Taken {
            self.examine_overlap(at, *block)?;
        }
        if !self.undead.is_empty() && self.undead.contains(&block.address) {
            self.ledger.note(Choice::ReallocZeroFreed);
        }
        Ok(())
    }

    /// Enters a block whose place is marked, and writes it from offset `from` on.
    #[inline(always)]
    pub(super) fn enlist(&mut self, slot: Slot, mut block: Block, from: u64) {
        if block.pattern == Pattern::NONE {
            self.born += 1;
            block.pattern = Pattern::of(self.born);
        }
        block.thread = self.thread;
        self.write(&block, from);
        self.live += 1;
        self.live_bytes += block.size;
        self.handed_out += block.size;
        self.blocks[slot as usize].0 = block;
    }

    /// Takes a block out of the books.
    #[inline(always)]
    pub(super) fn dismiss(&mut self, slot: Slot, failed: bool) {
        let block = &mut self.blocks[slot as usize].0;
        if block.is_live() {
            self.live -= 1;
            self.live_bytes -= block.size;
        }
        *block = Block {
            failed,
            ..Block::empty()
        };
    }

    /// A mark was taken: either two blocks overlap, or they lie side by side in one granule.
    #[cold]
    pub(super) fn examine_overlap(&mut self, at: At, block: Block) -> Checked {
        let end = block.address + block.extent();
        let overlaps = |range: &&Range<u64>| range.start < end && block.address < range.end;
        if let Some(range) = self.reserved.iter().find(overlaps) {
            let evidence = Evidence::Foreign {
                address: block.address,
                size: block.size,
                other: range.start,
            };
            return self.ruined(at, RuleId::Disjoint, evidence);
        }
        if !self.occupancy.is_alone() {
            // If nobody has it any more, it is not known whose it was, and two small blocks of a granule are no overlap. A
            // real one may be missed so, where the other is freed in the moment between the mark and this look.
            return match self.overlapped_anywhere(at.op.slot, &block) {
                Some((slot, other)) => self.overlapping(at, &block, slot, &other),
                None => Ok(()),
            };
        }
        let at_work = at.op.slot as usize;
        let others = self
            .blocks
            .iter()
            .enumerate()
            .filter(|&(slot, other)| slot != at_work && other.is_live());
        let (mut first_shared, mut last_shared) = (false, false);
        let granule = |address: u64| address >> 3;
        let (first, last) = (
            granule(block.address),
            granule(block.address + block.extent() - 1),
        );
        let mut culprit = None;
        for (slot, other) in others {
            if block.overlaps(other) {
                culprit = Some((slot as Slot, other.0));
                break;
            }
            let ends = [
                granule(other.address),
                granule(other.address + other.extent() - 1),
            ];
            first_shared |= ends.contains(&first);
            last_shared |= ends.contains(&last);
        }
        match culprit {
            Some((slot, other)) => self.overlapping(at, &block, slot, &other),
            None => {
                self.occupancy
                    .share(block.address, block.extent(), first_shared, last_shared);
                Ok(())
            }
        }
    }

    fn overlapping(&self, at: At, block: &Block, slot: Slot, other: &Block) -> Checked {
        let rule = self.overlap_rule(at, block, other);
        self.ruined(
            at,
            rule,
            Evidence::Overlap {
                address: block.address,
                size: block.size,
                other: slot,
                other_address: other.address,
                other_size: other.size,
            },
        )
    }

    /// The rule that an overlap of a new or resized block with a live one breaks.
    fn overlap_rule(&self, at: At, block: &Block, other: &Block) -> RuleId {
        let beyond = |first: &Block, second: &Block| {
            first.size > first.requested && second.address >= first.address + first.requested.max(1)
        };
        let zero = |call: Call| self.first_checked(&[RuleId::ZeroMallocDistinct, zero_rule(call)]);
        match other.history {
            _ if beyond(other, block) || beyond(block, other) => RuleId::UsableDisjoint,
            History::SurvivedFailure => self.keeping_rule(other),
            History::KeptInPlace => RuleId::ReallocOldDead,
            _ if block.size == 0 => zero(at.op.call),
            _ if other.size == 0 => zero(other.maker),
            _ if block.address == other.address => RuleId::DistinctNonzero,
            _ => RuleId::Disjoint,
        }
    }
}
