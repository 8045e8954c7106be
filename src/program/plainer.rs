//! Programs that do the same by plainer calls: frees that are told nothing, blocks of no particular alignment.

use super::op::{Call, NO_SLOT, Op, Program};
use crate::spec::RuleId;

/// Rules about a free that is told the size: what it damages shows in other blocks, whether or not anybody asks about
/// those.
pub const TOLD: [RuleId; 3] = [
    RuleId::FreeSizedEquiv,
    RuleId::FreeAlignedSizedEquiv,
    RuleId::CxxSizedEquiv,
];

impl Call {
    /// The free that is told nothing, in the place of one that is told the size or more.
    #[must_use]
    pub fn plain(self) -> Call {
        match self.operator() {
            Some(form) if form.deletes => form.plain_delete(),
            None if matches!(self, Call::FreeSized | Call::FreeAlignedSized) => Call::Free,
            _ => self,
        }
    }
}

impl Op {
    /// The rule about frees that are told the size, if it is one.
    pub fn rule_of_told(&self) -> Option<RuleId> {
        match self.call {
            _ if self.slot == NO_SLOT => None,
            Call::FreeSized => Some(RuleId::FreeSizedEquiv),
            Call::FreeAlignedSized => Some(RuleId::FreeAlignedSizedEquiv),
            call if call.operator().is_some_and(|form| form.sized) => Some(RuleId::CxxSizedEquiv),
            _ => None,
        }
    }
}

impl Program {
    /// The program with plain frees in the place of those that are told the size and that these rules are about; `None` if
    /// it has none.
    pub fn untold(&self, is_meant: impl Fn(RuleId) -> bool) -> Option<Program> {
        let told = |op: &Op| op.rule_of_told().is_some_and(&is_meant);
        self.ops.iter().any(told).then(|| {
            let mut plain = self.clone();
            for op in plain.ops.iter_mut().filter(|op| told(op)) {
                *op = Op::new(op.call.plain(), op.slot, 0, 0);
            }
            plain
        })
    }

    /// The program with plain mallocs in the place of C's aligned ones; `None` if it has none, or frees that are told the
    /// alignment.
    pub fn unaligned(&self) -> Option<Program> {
        let is_aligned = |op: &Op| op.call.takes_alignment() && op.call.operator().is_none();
        let is_told = |op: &Op| op.rule_of_told().is_some();
        if self.ops.iter().any(is_told) || !self.ops.iter().any(is_aligned) {
            return None;
        }
        let mut plain = self.clone();
        for op in plain.ops.iter_mut().filter(|op| is_aligned(op)) {
            *op = Op::new(Call::Malloc, op.slot, op.b, 0);
        }
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_free_takes_the_place_of_each_that_is_told_the_size() {
        let program = |calls: &[(Call, u32)]| Program {
            rule: None,
            ops: calls
                .iter()
                .map(|&(call, slot)| Op::new(call, slot, 0, 0))
                .collect(),
        };
        let told = program(&[
            (Call::FreeSized, 0),
            (Call::FreeAlignedSized, 1),
            (Call::DeleteArraySizedAligned, 2),
            (Call::DeleteNothrow, 3),
            (Call::DeleteSized, NO_SLOT),
        ]);
        let plain = program(&[
            (Call::Free, 0),
            (Call::Free, 1),
            (Call::DeleteArrayAligned, 2),
            (Call::DeleteNothrow, 3),
            (Call::DeleteSized, NO_SLOT),
        ]);
        assert_eq!(told.untold(|_| true), Some(plain.clone()));
        let of_c = told
            .untold(|rule| rule == RuleId::FreeSizedEquiv)
            .expect("one of them");
        let left = |op: &Op| op.call == Call::FreeSized && op.slot != NO_SLOT;
        assert!(!of_c.ops.iter().any(left) && of_c != plain);
        assert_eq!(plain.untold(|_| true), None);
    }

    #[test]
    fn a_plain_malloc_takes_the_place_of_each_aligned_one() {
        let parse = |lines: &str| {
            Program::parse(&format!("# allocspec trace 1\n{lines}")).expect("a program")
        };
        let aligned = parse(
            "p0 = aligned_alloc 64 128\np1 = posix_memalign 4096 9\np2 = calloc 1 5\nfree p0",
        );
        let plain = parse("p0 = malloc 128\np1 = malloc 9\np2 = calloc 1 5\nfree p0");
        assert_eq!(aligned.unaligned(), Some(plain.clone()));
        assert_eq!(plain.unaligned(), None);
        let told = parse("p0 = aligned_alloc 64 128\nfree_aligned_sized p0");
        assert_eq!(told.unaligned(), None);
    }
}
