//! The rules of `posix_memalign` alone: its code, its variable, its `errno`.

use super::Evidence;
use super::allocate::PAGE;
use super::ledger::Choice;
use super::model::{At, ERRNO_BEFORE, MEMPTR_BEFORE, Reply, Shadow, Stop};
use crate::program::Op;
use crate::spec::RuleId;

impl Shadow<'_> {
    /// The rules of `posix_memalign` alone; answers with the address of the block, 0 for none.
    #[inline(never)]
    pub(super) fn settle_posix_memalign(&mut self, at: At, reply: &Reply) -> Result<u64, Stop> {
        let Op {
            a: alignment,
            b: size,
            ..
        } = *at.op;
        let Reply {
            value: after,
            code,
            beside,
            errno,
            ..
        } = *reply;
        let memptr = Evidence::Memptr {
            before: MEMPTR_BEFORE,
            after,
        };
        self.ledger.count(RuleId::PmaMemptrSuccess);
        if let Some(&word) = beside.iter().find(|&&word| word != !MEMPTR_BEFORE) {
            self.broken(
                at,
                RuleId::PmaMemptrSuccess,
                Evidence::Memptr {
                    before: !MEMPTR_BEFORE,
                    after: word,
                },
            )?;
        }
        if !alignment.is_power_of_two() || !alignment.is_multiple_of(8) {
            self.ledger.count(RuleId::PmaEinval);
            if code != libc::EINVAL {
                let evidence = Evidence::Code {
                    returned: code,
                    wanted: Some(libc::EINVAL),
                };
                self.broken(at, RuleId::PmaEinval, evidence)?;
            }
        }
        self.ledger.count(RuleId::PmaReturnsError);
        // Of an alignment that is valid and that every allocator has, EINVAL would be untrue.
        let valid = alignment.is_power_of_two() && (8..=PAGE).contains(&alignment);
        let error = code == libc::ENOMEM || (code == libc::EINVAL && !valid);
        let gave_nothing = code == 0 && (after == MEMPTR_BEFORE || (after == 0 && size > 0));
        if gave_nothing {
            self.broken(
                at,
                RuleId::PmaReturnsError,
                Evidence::Memptr {
                    before: MEMPTR_BEFORE,
                    after,
                },
            )?;
            return Ok(0);
        }
        if code == 0 {
            return Ok(after);
        }
        if !error && size > 0 {
            let evidence = Evidence::Code {
                returned: code,
                wanted: valid.then_some(libc::ENOMEM),
            };
            self.broken(at, RuleId::PmaReturnsError, evidence)?;
        }
        if size == 0 {
            self.ledger.note(Choice::PmaZeroError);
        }
        self.ledger.count(RuleId::PmaMemptr);
        self.ledger.count(RuleId::PmaMemptrUntouched);
        match after {
            MEMPTR_BEFORE => {}
            0 => self.broken(at, RuleId::PmaMemptrUntouched, memptr)?,
            _ => self.broken(at, RuleId::PmaMemptr, memptr)?,
        }
        self.ledger.count(RuleId::PmaErrno);
        self.ledger
            .note(match (errno == ERRNO_BEFORE, code == libc::EINVAL) {
                (true, true) => Choice::PmaEinvalErrnoKept,
                (true, false) => Choice::PmaErrnoKept,
                (false, true) => Choice::PmaEinvalErrnoSet,
                (false, false) => Choice::PmaErrnoSet,
            });
        Ok(0)
    }
}
