//! What a finding does not need: each thing that has a rule of its own is left out, and what shows all the same is not about
//! it. Shrinking leaves it out as well, if there is time.

use super::investigate::{Hunt, REAL, Sighting};
use super::kind::{Kind, is_lack_under_circumstances};
use super::seat::Seat;
use crate::program::{Call, Op, Program};
use crate::run::CheckError;
use crate::run::protocol::Ended;
use crate::run::supervisor::End;

/// Sizes of a program that are tried one by one for more ordinary ones.
const MOST_SPARED: usize = 8;

impl Hunt {
    /// Takes the plainer program, if there is one and it shows the same.
    fn try_plainer(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
        plainer: Option<Program>,
    ) -> Result<(), CheckError> {
        match plainer.filter(|it| *it != best.program) {
            Some(program) => self.accept(seat, best, program).map(drop),
            None => Ok(()),
        }
    }

    /// What grows as well in one thread, or if blocks stay where they were made, or if one thing happens after another, is
    /// about nothing else; nor is what grows without sizes that are told, or alignments. Which rule is broken depends on it,
    /// so it is not left to chance whether there is time, nor to what the smallest program looks like.
    pub(super) fn part_growth(
        &mut self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
    ) -> Result<(), CheckError> {
        let plainer: [fn(&Program) -> Option<Program>; 5] = [
            |program| Some(program.without_threads().without_others()),
            Program::without_handing_over,
            |program| program.has_threads().then(|| program.in_order()),
            |program| program.untold(|_| true),
            Program::unaligned,
        ];
        for plainer in plainer {
            self.try_plainer(seat, best, plainer(&best.program))?;
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
            plain.retain(|op| op.call != unneeded);
            self.try_plainer(seat, best, Some(plain))?;
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
        self.try_plainer(seat, best, best.program.unaligned())
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

    /// What plain frees show as well is not about those that are told the size. Shrinking may have had no time to find out, so
    /// it is tried once more. Answers with the program that tells what is about them: nothing is where that took too long.
    pub(super) fn untell(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
    ) -> Result<Program, CheckError> {
        let Some(plain) = best.program.untold(|_| true) else {
            return Ok(best.program.clone());
        };
        let (found, run) = self.attempt(seat, &plain, true, self.patience)?;
        match found {
            Some(finding) if self.kind.is_it(&finding, &plain) => {
                *best = Sighting {
                    program: plain.clone(),
                    finding,
                    run: Some(run),
                };
                Ok(plain)
            }
            _ if matches!(run.end, End::Told(Ended::OutOfTime)) => Ok(plain),
            _ => Ok(best.program.clone()),
        }
    }
}
