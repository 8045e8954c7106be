//! What a finding does not need: each thing that has a rule of its own is left out, and what shows all the same is not about
//! it. Shrinking leaves it out as well, if there is time.

use super::investigate::{Hunt, REAL, Sighting};
use super::kind::{Kind, is_lack_under_circumstances, plain};
use super::seat::Seat;
use crate::program::{Call, Op, Program};
use crate::run::CheckError;
use crate::run::protocol::Ended;
use crate::run::supervisor::End;
use crate::shadow::rule_of_told;
use crate::spec::RuleId;
use std::time::Instant;

/// Sizes of a program that are tried one by one for more ordinary ones.
const MOST_SPARED: usize = 8;

/// The program with plain frees in the place of those that are told the size and that these rules are about; `None` if it
/// has none.
pub(super) fn untold(program: &Program, is_meant: impl Fn(RuleId) -> bool) -> Option<Program> {
    let told = |op: &Op| rule_of_told(op).is_some_and(&is_meant);
    program.ops.iter().any(told).then(|| {
        let mut plain_one = program.clone();
        for op in plain_one.ops.iter_mut().filter(|op| told(op)) {
            *op = Op::new(plain(op.call), op.slot, 0, 0);
        }
        plain_one
    })
}

/// The program with plain mallocs in the place of C's aligned ones; `None` if it has none, or frees that are told the
/// alignment.
fn unaligned(program: &Program) -> Option<Program> {
    let is_aligned = |op: &Op| op.call.takes_alignment() && op.call.operator().is_none();
    let is_told = |op: &Op| rule_of_told(op).is_some();
    if program.ops.iter().any(is_told) || !program.ops.iter().any(is_aligned) {
        return None;
    }
    let mut plain = program.clone();
    for op in plain.ops.iter_mut().filter(|op| is_aligned(op)) {
        *op = Op::new(Call::Malloc, op.slot, op.b, 0);
    }
    Some(plain)
}

impl Hunt {
    /// What grows as well in one thread, or if blocks stay where they were made, or if one thing happens after another, is
    /// about nothing else. Which rule is broken depends on it, so it is not left to chance whether there is time, nor to what
    /// the smallest program looks like.
    pub(super) fn part_threads(
        &mut self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
    ) -> Result<(), CheckError> {
        let plainer: [fn(&Program) -> Option<Program>; 3] = [
            |program| Some(program.without_threads().without_others()),
            Program::without_handing_over,
            |program| program.has_threads().then(|| program.in_order()),
        ];
        for plainer in plainer {
            if let Some(program) = plainer(&best.program).filter(|it| *it != best.program) {
                self.accept(seat, best, program)?;
            }
        }
        self.kind = Kind::Growth(Some(best.finding.rule));
        Ok(())
    }

    /// What a program shows without using more of its blocks than it asked for is not about usable sizes, and what it
    /// shows without a limit is not about scarce memory.
    pub(super) fn spare(&self, seat: &mut Seat<'_>, best: &mut Sighting) -> Result<(), CheckError> {
        for unneeded in [
            Call::Stretch,
            Call::Limit,
            Call::FailSyscall,
            Call::Under,
            Call::Fork,
        ] {
            let mut plain = best.program.clone();
            plain.ops.retain(|op| op.call != unneeded);
            if plain != best.program {
                plain.legalise();
                self.accept(seat, best, plain)?;
            }
        }
        Ok(())
    }

    /// Sizes of 0 are the simplest there are, and sizes that nobody can have the most striking, but what ordinary sizes
    /// show as well is about neither.
    pub(super) fn spare_sizes(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
    ) -> Result<(), CheckError> {
        let deadly = matches!(self.kind, Kind::Death(_));
        let is_special = |op: &Op| match op.size() {
            Some(size) => size == 0 || (deadly && size > REAL),
            None => deadly,
        };
        let makes = |op: &Op| op.call.allocates() || op.call.reallocates();
        let special: Vec<usize> = (0..best.program.ops.len())
            .filter(|&index| {
                makes(&best.program.ops[index]) && is_special(&best.program.ops[index])
            })
            .take(MOST_SPARED)
            .collect();
        for index in special {
            let mut ordinary = best.program.clone();
            let op = &mut ordinary.ops[index];
            match op.call {
                call if call.takes_count() => (op.a, op.b) = (1, 16),
                // Not every document defines a size that is no multiple of the alignment.
                Call::AlignedAlloc => op.b = 16_u64.next_multiple_of(op.a.max(1)),
                call if call.takes_alignment() => op.b = 16,
                _ => op.a = 16,
            }
            self.accept(seat, best, ordinary)?;
        }
        Ok(())
    }

    /// What blocks of no particular alignment show as well is not about alignment.
    pub(super) fn spare_alignments(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
    ) -> Result<(), CheckError> {
        match unaligned(&best.program) {
            Some(ordinary) => self.accept(seat, best, ordinary).map(drop),
            None => Ok(()),
        }
    }

    /// Whether it is sure that a block can be had without the circumstances that its lack is laid to; true of all else.
    pub(super) fn is_told_apart(
        &self,
        seat: &mut Seat<'_>,
        best: &Sighting,
    ) -> Result<bool, CheckError> {
        let plain = best.program.without_circumstances();
        if !is_lack_under_circumstances(&best.finding) || plain == best.program {
            return Ok(true);
        }
        let (_, run) = self.attempt(seat, &plain, true, self.patience)?;
        Ok(matches!(run.end, End::Told(Ended::Finished)))
    }

    /// What plain frees show as well is not about those that are told the size. Shrinking may have had no time to find out.
    /// Answers with the program that tells what is about them: without time to try, only harm is.
    pub(super) fn untell(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
    ) -> Result<Program, CheckError> {
        if let Some(plain) = untold(&best.program, |_| true) {
            if Instant::now() >= self.until && !best.finding.evidence.is_harm() {
                return Ok(plain);
            }
            self.accept(seat, best, plain)?;
        }
        Ok(best.program.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::NO_SLOT;

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
        assert_eq!(untold(&told, |_| true), Some(plain.clone()));
        let of_c = untold(&told, |rule| rule == RuleId::FreeSizedEquiv).expect("one of them");
        let left = |op: &Op| op.call == Call::FreeSized && op.slot != NO_SLOT;
        assert!(!of_c.ops.iter().any(left) && of_c != plain);
        assert_eq!(untold(&plain, |_| true), None);
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
        assert_eq!(unaligned(&aligned), Some(plain.clone()));
        assert_eq!(unaligned(&plain), None);
        let told = parse("p0 = aligned_alloc 64 128\nfree_aligned_sized p0");
        assert_eq!(unaligned(&told), None);
    }
}
