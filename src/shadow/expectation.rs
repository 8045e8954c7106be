//! What a program itself expects of its calls, beside what every rule says.

use super::Evidence;
use super::model::{At, Checked, Shadow};
use crate::program::{Expect, Op};
use crate::spec::RuleId;

impl Shadow<'_> {
    /// Checks the growth of the process against what the program allows.
    ///
    /// That memory is lost where blocks are only made and freed is no fault of what the program was made for, so a bound
    /// is blamed on that only where one before it held.
    ///
    /// # Errors
    ///
    /// When it is more.
    pub fn bounded(&mut self, index: usize, op: &Op, growth: u64) -> Checked {
        let rule = match (op.expect, self.purpose) {
            (Expect::AsBefore, Some(_)) if !self.bound_held => return Ok(()),
            (Expect::AsBefore, Some(purpose)) => purpose,
            _ => RuleId::FreeMakesAvailable,
        };
        self.ledger.count(rule);
        self.bound_held = growth <= op.a;
        if !self.bound_held {
            let evidence = Evidence::Growth {
                bytes: growth,
                allowed: op.a,
            };
            self.broken(At { index, op }, rule, evidence)?;
        }
        Ok(())
    }

    /// Whether the same request gave a block when it was last made without a limit.
    fn gave_earlier(&self, op: &Op) -> bool {
        let request = (op.call, op.a, op.b);
        let found = self
            .earlier
            .binary_search_by_key(&request, |&(request, _)| request);
        found.is_ok_and(|index| self.earlier[index].1)
    }

    /// Remembers what came of a request that is expected to do as well later.
    fn remember(&mut self, op: &Op, gave: bool) {
        if self.is_short() {
            return;
        }
        let request = (op.call, op.a, op.b);
        let found = self
            .earlier
            .binary_search_by_key(&request, |&(request, _)| request);
        if let Ok(index) = found {
            self.earlier[index].1 = gave;
        }
    }

    /// Checks what the program itself expects of a call that returns a block: in most programs nothing.
    #[inline(always)]
    pub(super) fn check_expectation(&mut self, at: At, before: u64, address: u64) -> Checked {
        if at.op.expect != Expect::Any || !self.earlier.is_empty() {
            return self.check_expected(at, before, address);
        }
        self.last_gave = address != 0;
        Ok(())
    }

    #[cold]
    fn check_expected(&mut self, at: At, before: u64, address: u64) -> Checked {
        let expect = at.op.expect;
        let as_before = match expect {
            Expect::AsBefore => self.last_gave,
            Expect::AsEarlier => self.gave_earlier(at.op),
            _ => false,
        };
        let evidence = match (expect, address) {
            (Expect::Null, 1..) => Some(Evidence::UnexpectedPointer { address }),
            (Expect::Pointer | Expect::AsUnhindered, 0) => Some(Evidence::UnexpectedNull),
            (Expect::AsBefore | Expect::AsEarlier, 0) if as_before => {
                Some(Evidence::UnexpectedNull)
            }
            (Expect::SamePointer, _) if address != before => Some(Evidence::Moved {
                from: before,
                to: address,
            }),
            (Expect::OtherPointer, _) if address == before => Some(Evidence::Moved {
                from: before,
                to: address,
            }),
            _ => None,
        };
        let rule = self.purpose.unwrap_or(RuleId::AllocNonnullUsable);
        let vacuous = match expect {
            Expect::AsBefore | Expect::AsEarlier => !as_before,
            // Whether there is one where nothing fails is not known here.
            Expect::AsUnhindered => address == 0,
            _ => false,
        };
        if expect != Expect::Any && !vacuous {
            self.ledger.count(rule);
        }
        self.last_gave = address != 0;
        self.remember(at.op, address != 0);
        match evidence {
            Some(evidence) => self.broken(at, rule, evidence),
            None => Ok(()),
        }
    }
}
