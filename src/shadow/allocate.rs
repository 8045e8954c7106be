//! What must be true of a new block.

use super::alignment::alignment_asked;
use super::block::{Block, History};
use super::ledger::Choice;
use super::model::{At, Checked, ERRNO_BEFORE, Reply, Shadow};
use super::occupancy::ADDRESS_END;
use super::{Evidence, contents};
use crate::program::{Call, Op};
use crate::spec::RuleId;

/// Requests beyond this many bytes cannot be met: user space has no more addresses.
const ADDRESS_SPACE: u64 = ADDRESS_END;
/// `PTRDIFF_MAX` and `PY_SSIZE_T_MAX`.
const SIGNED_MAX: u64 = i64::MAX as u64;
/// Requests this close to `SIZE_MAX` wrap when a header is added to them.
const WRAPS: u64 = u64::MAX - (1 << 32);
/// The alignment every fundamental type is content with: `_Alignof(max_align_t)` on x86-64.
pub(super) const MAX_ALIGN: u64 = 16;
/// A size that is never refused for itself.
pub(super) const MODEST: u64 = 1 << 20;
pub(super) const PAGE: u64 = 4096;
/// With so few live blocks, memory is not why a request of ordinary size fails.
pub(super) const FEW: usize = 64;

/// The rules that forbid a block for this request, whatever the allocator, most specific first.
#[inline(always)]
pub(super) fn impossible(op: &Op) -> &'static [RuleId] {
    match op.size() {
        Some(size) if size <= ADDRESS_SPACE && !op.call.takes_alignment() => &[],
        size => forbidding(op, size),
    }
}

fn forbidding(op: &Op, size: Option<u64>) -> &'static [RuleId] {
    match (op.call, size) {
        (Call::Calloc, None) => &[RuleId::CallocOverflow, RuleId::CallocWrap],
        (Call::Reallocarray, None) => &[RuleId::ReallocarrayOverflow],
        (Call::Recallocarray, None) => &[RuleId::RecallocarrayOverflow],
        // CPython compares the product with the signed maximum before it asks anybody.
        (Call::Calloc, Some(size)) if size > SIGNED_MAX => &[
            RuleId::CallocOverflow,
            RuleId::PtrdiffMax,
            RuleId::HugeMustFail,
        ],
        // An alignment that is none is another rule's business.
        (Call::AlignedAlloc | Call::PosixMemalign, Some(_)) if !op.a.is_power_of_two() => &[],
        (call, Some(size))
            if call.takes_alignment()
                && op.a.is_power_of_two()
                && op.a.checked_add(size).is_none() =>
        {
            &[RuleId::HugeMustFail]
        }
        // What the C library says of its own functions does not bind the operators.
        (call, Some(size)) if call.is_new() && size > ADDRESS_SPACE => &[RuleId::HugeMustFail],
        (Call::Realloc, Some(size)) if size > WRAPS => {
            &[RuleId::ReallocOversizeEarly, RuleId::HugeMustFail]
        }
        (Call::Realloc, Some(size)) if size > SIGNED_MAX => &[
            RuleId::ReallocOversizeEarly,
            RuleId::PtrdiffMax,
            RuleId::HugeMustFail,
        ],
        (_, Some(size)) if size > WRAPS => &[RuleId::LimitSsizeMax, RuleId::HugeMustFail],
        (_, Some(size)) if size > SIGNED_MAX => &[
            RuleId::LimitSsizeMax,
            RuleId::PtrdiffMax,
            RuleId::HugeMustFail,
        ],
        (_, Some(size)) if size > ADDRESS_SPACE => &[RuleId::HugeMustFail],
        _ => &[],
    }
}

/// The rule that says where a zero-size block of this call may lie.
pub(super) fn zero_rule(call: Call) -> RuleId {
    match call {
        Call::Calloc => RuleId::CallocZeroSize,
        Call::PosixMemalign => RuleId::PmaZeroSize,
        Call::AlignedAlloc | Call::Memalign | Call::Valloc | Call::Pvalloc => {
            RuleId::AlignedZeroSize
        }
        call if call.is_new() => RuleId::CxxNewZero,
        _ => RuleId::MallocZeroChoice,
    }
}

impl Shadow<'_> {
    #[inline(always)]
    pub(super) fn settle_allocation(&mut self, at: At, reply: &Reply) -> Checked {
        let address = match at.op.call {
            Call::PosixMemalign => self.settle_posix_memalign(at, reply)?,
            _ => reply.value,
        };
        if at.op.call.is_new() {
            self.check_handler(at, reply)?;
            self.check_failure_of_new(at, reply)?;
        }
        if at.op.call.takes_alignment() {
            self.check_alignment_argument(at, address)?;
        }
        self.check_expectation(at, 0, address)?;
        if address == 0 {
            if self.conduct.closely {
                self.verify_others(at, RuleId::ContentStable)?;
            }
            self.settle_null(at, reply)?;
            self.dismiss(at.op.slot, true);
            return Ok(());
        }
        let size = match self.check_possible(at, address)? {
            Some(size) => size,
            None => {
                self.dismiss(at.op.slot, true);
                return Ok(());
            }
        };
        if size == 0 {
            self.note_zero(at, true);
        }
        if self.purpose == Some(RuleId::SizeBoundaries) {
            self.ledger.count(RuleId::SizeBoundaries);
        }
        self.check_errno_kept(at, reply)?;
        self.check_alignment(at, address, size)?;
        let alignment = alignment_asked(at.op);
        let block = Block {
            address,
            size,
            requested: size,
            alignment,
            maker: at.op.call,
            history: History::Made,
            ..Block::empty()
        };
        self.place(at, &block)?;
        if self.conduct.closely {
            self.verify_others(at, RuleId::ContentStable)?;
        }
        if at.op.call == Call::Calloc {
            self.check_zero(at, &block)?;
        }
        self.enlist(at.op.slot, block, 0);
        Ok(())
    }

    /// A request failed. May it, and does it say so as it should?
    #[cold]
    pub(super) fn settle_null(&mut self, at: At, reply: &Reply) -> Checked {
        if let rules @ [_, ..] = impossible(at.op) {
            self.ledger.count(self.first_checked(rules));
        }
        if at.op.size() == Some(0) && !at.op.call.is_new() {
            self.note_zero(at, false);
            if at.op.call == Call::Malloc {
                let kept = reply.errno == ERRNO_BEFORE;
                self.ledger.count(RuleId::MallocZeroErrno);
                self.ledger.note(if kept {
                    Choice::MallocZeroErrnoKept
                } else {
                    Choice::MallocZeroErrnoSet
                });
            }
            return Ok(());
        }
        if self.is_short() {
            self.starved = true;
            self.ledger.count(RuleId::OomReturnsNull);
        }
        self.check_failure_errno(at, reply)
    }

    /// Whether an allocator may call these arguments invalid without that being about memory: documents differ on sizes
    /// that are no multiple of the alignment, and which alignments beyond the fundamental there are is up to each.
    fn is_contested(&self, op: &Op) -> bool {
        let supported = MAX_ALIGN.max(self.ledger.largest_alignment());
        !op.b.is_multiple_of(op.a.max(1)) || op.a < 8 || op.a > supported
    }

    fn check_failure_errno(&mut self, at: At, reply: &Reply) -> Checked {
        let invalid = at.op.call.takes_alignment() && !at.op.a.is_power_of_two();
        let rule = match at.op.call {
            // Its errno is unspecified, see `settle_posix_memalign`.
            Call::PosixMemalign => return Ok(()),
            // An exception says it all, and of errno C++ says nothing.
            call if call.is_new() => return Ok(()),
            Call::Memalign if invalid && reply.errno != ERRNO_BEFORE => return Ok(()),
            // What else an alignment that is refused does to errno is up to the implementation.
            Call::AlignedAlloc if invalid => return Ok(()),
            Call::AlignedAlloc | Call::Memalign
                if reply.errno == libc::EINVAL && self.is_contested(at.op) =>
            {
                return Ok(());
            }
            Call::Memalign | Call::Valloc | Call::Pvalloc => RuleId::MemalignErrno,
            Call::Reallocarray if at.op.size().is_none() => RuleId::ReallocarrayOverflow,
            Call::Recallocarray if at.op.size().is_none() => RuleId::RecallocarrayOverflow,
            _ => RuleId::MallocErrno,
        };
        self.ledger.count(rule);
        let overflow = matches!(
            rule,
            RuleId::ReallocarrayOverflow | RuleId::RecallocarrayOverflow
        );
        let lenient = !overflow && reply.errno == libc::EAGAIN;
        if reply.errno != libc::ENOMEM && !lenient {
            let wanted = if invalid { libc::EINVAL } else { libc::ENOMEM };
            self.broken(
                at,
                rule,
                Evidence::Errno {
                    before: ERRNO_BEFORE,
                    after: reply.errno,
                    wanted: Some(wanted),
                },
            )?;
        }
        Ok(())
    }

    /// The size of the block, or `None` if no allocator can have it and that was reported before.
    #[inline(always)]
    pub(super) fn check_possible(
        &mut self,
        at: At,
        address: u64,
    ) -> Result<Option<u64>, super::Stop> {
        let rules = impossible(at.op);
        if rules.is_empty() {
            // What is beyond all sizes here has an alignment that is none, and its own rule said so.
            return Ok(at.op.size().filter(|&size| size <= ADDRESS_SPACE));
        }
        let rule = self.first_checked(rules);
        self.ledger.count(rule);
        self.broken(at, rule, Evidence::UnexpectedPointer { address })?;
        Ok(None)
    }

    /// `errno` after success. What a system call that failed left in it says nothing of calls that go well, nor does what
    /// waiting for another thread left.
    #[inline(always)]
    pub(super) fn check_errno_kept(&mut self, at: At, reply: &Reply) -> Checked {
        if reply.hampered || self.thread != 0 || at.op.call.is_new() {
            return Ok(());
        }
        self.ledger.count(RuleId::ErrnoSuccess);
        if reply.errno != ERRNO_BEFORE && reply.errno != 0 {
            self.broken(
                at,
                RuleId::ErrnoSuccess,
                Evidence::Errno {
                    before: ERRNO_BEFORE,
                    after: reply.errno,
                    wanted: Some(ERRNO_BEFORE),
                },
            )?;
        }
        Ok(())
    }

    /// The array that `calloc` returned.
    #[inline(always)]
    fn check_zero(&mut self, at: At, block: &Block) -> Checked {
        let rule = match self.purpose {
            Some(rule @ (RuleId::CallocArgsSym | RuleId::CallocZeroAfterOom)) => rule,
            _ if self.starved => RuleId::CallocZeroAfterOom,
            _ => RuleId::CallocZero,
        };
        self.verify_zero(at, block, 0, rule)
    }

    /// The bytes of a block from offset `from` on must be zero.
    #[inline(always)]
    pub(super) fn verify_zero(&self, at: At, block: &Block, from: u64, rule: RuleId) -> Checked {
        self.ledger.count(rule);
        self.ledger.enter(super::Moment::Touch);
        // SAFETY: the subject says that these bytes belong to the block; a fault here is its own.
        let result = unsafe {
            let start = block.pointer().add(from as usize);
            contents::verify_zero(start, block.size - from)
        };
        self.ledger.enter(super::Moment::Idle);
        if let Err(mismatch) = result {
            self.broken(
                at,
                rule,
                Evidence::NotZero {
                    address: block.address,
                    size: block.size,
                    offset: from + mismatch.offset,
                    found: mismatch.found,
                },
            )?;
        }
        Ok(())
    }

    /// Notes what a call does with a size of zero.
    #[cold]
    pub(super) fn note_zero(&mut self, at: At, pointer: bool) {
        // An alignment or a limit may be the reason for NULL then.
        let alignment = at.op.a;
        let usual = (8..=PAGE).contains(&alignment) && alignment.is_power_of_two();
        let other_reason =
            self.is_short() || self.live() > FEW || (at.op.call.takes_alignment() && !usual);
        if !pointer && other_reason {
            return;
        }
        let rule = zero_rule(at.op.call);
        self.ledger
            .count(self.first_checked(&[RuleId::ZeroMallocDistinct, rule]));
        let (null, block) = match at.op.call {
            // There is no choice.
            call if call.is_new() => return,
            Call::Malloc => (Choice::MallocZeroNull, Choice::MallocZeroPointer),
            Call::Calloc => (Choice::CallocZeroNull, Choice::CallocZeroPointer),
            Call::PosixMemalign => (Choice::PmaZeroNull, Choice::PmaZeroPointer),
            call if call.reallocates() => {
                (Choice::ReallocNullZeroNull, Choice::ReallocNullZeroPointer)
            }
            _ => (Choice::AlignedZeroNull, Choice::AlignedZeroPointer),
        };
        self.ledger.note(if pointer { block } else { null });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::shadow::{Conduct, Ledger, Muted};

    /// What is wrong about the size, too, follows from the alignment that was taken.
    #[test]
    fn a_block_for_an_alignment_that_is_none_is_told_once() {
        let op = Op::new(Call::AlignedAlloc, 0, 3, u64::MAX);
        let program = Program {
            ops: vec![op],
            ..Program::default()
        };
        let memory = [0_u64; 8];
        let reply = Reply {
            value: memory.as_ptr().addr() as u64,
            errno: ERRNO_BEFORE,
            ..Reply::default()
        };
        let settled = |muted: Muted| {
            let ledger = Ledger::new();
            let conduct = Conduct {
                rules: RuleId::ALL.iter().copied().collect(),
                muted,
                stores: false,
                closely: false,
            };
            let mut shadow = Shadow::new(&ledger, conduct).expect("address space for the tables");
            shadow.begin(&program);
            let request = shadow.request(&op);
            let checked = shadow.settle(0, &op, &request, &reply);
            (checked, shadow.take_finding().map(|finding| finding.rule))
        };
        let mut muted = Muted::NONE;
        let (_, rule) = settled(muted);
        assert_eq!(rule, Some(RuleId::AlignedAllocInvalid));
        muted.mute(RuleId::AlignedAllocInvalid, Call::AlignedAlloc);
        assert_eq!(settled(muted), (Ok(()), None));
    }
}
