//! Alignments: those asked for, and those that what is returned must have.

use super::Evidence;
use super::allocate::{FEW, MAX_ALIGN, MODEST, PAGE};
use super::ledger::Choice;
use super::model::{At, Checked, Shadow};
use crate::program::{Call, Op};
use crate::spec::RuleId;

/// Alignments from here on are more than a page can give by luck.
const LARGE_ALIGNMENT: u64 = 4096;

/// The alignment that fits every fundamental type of at most `size` bytes (C23 7.24.3p1).
#[inline(always)]
pub(super) fn fitting_alignment(size: u64) -> u64 {
    match size {
        0 => 1,
        size => MAX_ALIGN.min(1 << size.ilog2()),
    }
}

/// The alignment that every object of exactly `size` bytes is content with: such a size is a multiple of it (C++17
/// [new.delete.single]).
#[inline(always)]
fn alignment_of_one(size: u64) -> u64 {
    match size {
        0 => 1,
        size => MAX_ALIGN.min(1 << size.trailing_zeros()),
    }
}

/// The alignment that a call asks for, 0 if it asks for none.
#[inline(always)]
pub(super) fn alignment_asked(op: &Op) -> u64 {
    match op.call {
        Call::Valloc | Call::Pvalloc => PAGE,
        call if call.takes_alignment() => op.a,
        _ => 0,
    }
}

impl Shadow<'_> {
    /// Alignments that are none must be refused by `aligned_alloc`; `memalign` has a choice.
    #[inline(never)]
    pub(super) fn check_alignment_argument(&mut self, at: At, address: u64) -> Checked {
        let Op {
            call, a: alignment, ..
        } = *at.op;
        let valid = alignment.is_power_of_two();
        match call {
            Call::AlignedAlloc if !valid => {
                self.ledger.count(RuleId::AlignedAllocInvalid);
                if address != 0 {
                    self.broken(
                        at,
                        RuleId::AlignedAllocInvalid,
                        Evidence::UnexpectedPointer { address },
                    )?;
                }
            }
            Call::AlignedAlloc if !self.is_short() => {
                self.ledger.count(RuleId::AlignExtendedSupported);
                self.ledger.count(RuleId::AlignedAllocUnsupported);
                // Only where nothing else can be the reason does a failure speak of the alignment.
                let size = at.op.b;
                let ordinary =
                    size > 0 && size.is_multiple_of(alignment) && size <= alignment.max(MODEST);
                if address != 0 || (ordinary && alignment >= MAX_ALIGN && self.live() <= FEW) {
                    self.ledger.note_alignment(alignment, address != 0);
                }
            }
            Call::Memalign if !valid => {
                self.ledger.count(RuleId::MemalignInvalid);
                let next = alignment.checked_next_power_of_two().unwrap_or(1 << 63);
                self.ledger.note(match address {
                    0 => Choice::MemalignInvalidNull,
                    _ if address.is_multiple_of(next) => Choice::MemalignInvalidRounded,
                    _ => Choice::MemalignInvalidPointer,
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The alignment of what a call returned.
    #[inline(always)]
    pub(super) fn check_alignment(&mut self, at: At, address: u64, size: u64) -> Checked {
        let fitting = fitting_alignment(size);
        let Op { call, a: asked, .. } = *at.op;
        let (rule, alignment) = match call {
            Call::Malloc | Call::Calloc => (RuleId::AlignFundamentalFit, fitting),
            call if call.reallocates() => (RuleId::AlignAfterRealloc, fitting),
            Call::Valloc | Call::Pvalloc if size == 0 => (RuleId::AlignZeroSize, PAGE),
            Call::Valloc => (RuleId::AlignValloc, PAGE),
            Call::Pvalloc => (RuleId::AlignPvalloc, PAGE),
            Call::New | Call::NewNothrow => (RuleId::AlignCxxNew, alignment_of_one(size)),
            Call::NewArray | Call::NewArrayNothrow => (RuleId::AlignCxxNew, fitting),
            call if call.is_new() => (RuleId::CxxAligned, asked),
            // What an alignment that is none means is up to `memalign`.
            _ if !asked.is_power_of_two() => (RuleId::AlignFundamentalFit, fitting),
            _ if size == 0 => (RuleId::AlignZeroSize, asked),
            Call::AlignedAlloc => (RuleId::AlignAlignedAlloc, asked.max(fitting)),
            Call::PosixMemalign if asked >= LARGE_ALIGNMENT => (RuleId::AlignLarge, asked),
            Call::PosixMemalign => (RuleId::AlignPosixMemalign, asked),
            _ => (RuleId::AlignMemalign, asked),
        };
        self.ledger.count(rule);
        if address & (alignment - 1) != 0 {
            // Whatever else it fails to be aligned to follows from this.
            return self.broken(at, rule, Evidence::Misaligned { address, alignment });
        }
        let plain = matches!(call, Call::Malloc | Call::Calloc) || call.reallocates();
        if plain && size > 0 {
            self.ledger.count(RuleId::AlignFundamentalAny);
            if address & (MAX_ALIGN - 1) != 0 {
                let evidence = Evidence::Misaligned {
                    address,
                    alignment: MAX_ALIGN,
                };
                self.broken(at, RuleId::AlignFundamentalAny, evidence)?;
            }
        }
        Ok(())
    }
}
