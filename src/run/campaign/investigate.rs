//! From a finding to a case: the smallest program that shows it, and the rule that it then proves broken.

use super::crowded;
use super::kind::{Kind, is_damage};
use super::races;
use super::seat::{Seat, rules_for};
use crate::program::{Call, Condition, NO_SLOT, Op, Program, Reducer};
use crate::run::CheckError;
use crate::run::plan::Item;
use crate::run::process;
use crate::run::protocol::Ended;
use crate::run::supervisor::{End, Run};
use crate::shadow::{
    Case, Conduct, Evidence, Finding, Moment, Muted, Shown, attribute_shrunk, is_killed,
};
use crate::spec::RuleId;
use std::time::{Duration, Instant};

/// Time to shrink one finding, at most this share of the check's.
pub(super) const SHARE: u32 = 8;
/// The part of it that is kept for finding out which rule the smallest program proves broken: one in so many.
const ATTRIBUTION: u32 = 4;
/// And at least this.
pub(super) const LEAST: Duration = Duration::from_millis(250);
/// What a program may take to show its finding again, however little is left: a program that needs a second to show
/// something needs it twice.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a call may take in a candidate before it counts as hanging.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);
/// How often a candidate is run in which others are at work beside the program.
const AMONG_THREADS: u32 = 20;
/// Bytes that a candidate may always ask for; with more, only if the program before it did: clearing them takes time.
const HEAVY: u64 = 256 << 20;
/// Bytes from which on a request is sure to fail at once.
pub(super) const REAL: u64 = 64 << 40;
/// Rules that a finding is laid to because of what block it shows with.
const OF_THE_BLOCK: [RuleId; 4] = [
    RuleId::StartAddress,
    RuleId::ReallocContent,
    RuleId::AlignReallocFirst,
    RuleId::ZeroBlockOwned,
];
/// Programs of more operations than this are looked at closely only once they have shrunk.
const CLOSE: u64 = 10_000;

/// Makes a case of a finding.
///
/// # Errors
///
/// When no worker can be had.
pub fn investigate(seat: &mut Seat<'_>, item: &Item, finding: Finding) -> Result<Case, CheckError> {
    let grows = matches!(finding.evidence, Evidence::Climb { .. });
    if item.program.has_threads() && !grows {
        return races::investigate(seat, item, finding);
    }
    if item.program.is_among_threads() && finding.evidence.is_harm() {
        return crowded::investigate(seat, item, finding);
    }
    let started = Instant::now();
    let budget = seat.budget();
    let time = (budget.time / SHARE).max(LEAST);
    let until = (started + time).min(budget.latest().max(started + LEAST));
    let kind = if is_damage(&finding) {
        Kind::Damage
    } else {
        Kind::of(&finding, &item.program)
    };
    let mut hunt = Hunt {
        once: item.once,
        kind,
        until: until.checked_sub(time / ATTRIBUTION).unwrap_or(until),
        // What grows does so in every run, each of which takes its time.
        tries: match item.program.is_among_threads() && !grows {
            true => AMONG_THREADS,
            false => 1,
        },
        patience: PATIENCE,
        close: CLOSE,
    };
    let mut best = Sighting {
        program: item.program.clone(),
        finding,
        run: None,
    };
    let shrinking = hunt.until;
    hunt.until = shrinking.max(started + AGAIN);
    let mut reproduced = hunt.pin_down(seat, &mut best)?;
    hunt.until = shrinking;
    // Others of its kind may stand before it, of which each is found once.
    if !reproduced && let Some(program) = alone(&best.program, best.finding.op_index) {
        let mut one = Sighting {
            program,
            finding: best.finding.clone(),
            run: None,
        };
        reproduced = hunt.pin_down(seat, &mut one)?;
        if reproduced {
            best = one;
        }
    }
    if reproduced {
        let pinned = Sighting {
            program: best.program.clone(),
            finding: best.finding.clone(),
            run: None,
        };
        if let Some(shorter) = shortened(&best.program, &best.finding) {
            best.program = shorter;
        }
        if hunt.kind == Kind::Growth(None) {
            let while_there_is_time = (started + 3 * AGAIN).min(seat.budget().latest());
            hunt.until = shrinking.max(started + AGAIN).max(while_there_is_time);
            hunt.part_growth(seat, &mut best)?;
            hunt.until = shrinking;
        }
        hunt.until = hunt.at_least_once(seat, &best, shrinking);
        hunt.spare(seat, &mut best)?;
        hunt.until = shrinking;
        hunt.shrink(seat, &mut best)?;
        // Short now, it can be looked at closely: the guilty operation may be an earlier one.
        if hunt.kind == Kind::Damage && hunt.pin_down(seat, &mut best)? {
            hunt.shrink(seat, &mut best)?;
        }
        hunt.until = until;
        hunt.spare(seat, &mut best)?;
        hunt.until = hunt.at_least_once(seat, &best, until);
        hunt.spare_sizes(seat, &mut best)?;
        hunt.spare_alignments(seat, &mut best)?;
        hunt.until = until;
        hunt.confirm_hang(seat, &mut best, pinned)?;
        hunt.until = hunt.at_least_once(seat, &best, until);
        let telling = hunt.untell(seat, &mut best)?;
        best.finding.rule = hunt.attribute(seat, &best, &telling)?;
        reproduced = hunt.is_told_apart(seat, &best)?;
    }
    Ok(best.into_case(item, reproduced, None))
}

/// What a program does to one slot up to the operation at `index`, and what it does to none. `None` if there is nothing
/// else to leave out, or if what it repeats would be something else then.
fn alone(program: &Program, index: usize) -> Option<Program> {
    let before = program.ops.get(..=index)?;
    let slot = before.last()?.slot;
    let ops: Vec<Op> = before
        .iter()
        .filter(|op| op.slot == slot || op.slot == NO_SLOT)
        .copied()
        .collect();
    let repeats = ops.iter().any(|op| op.call == Call::Repeat);
    (ops.len() < before.len() && !repeats).then_some(Program { ops, ..*program })
}

/// The program of a climb that was plain before its loop came to its end, with fewer turns: a program that is to show the
/// same as plainly needs no more than twice as many. `None` if it has no more.
fn shortened(program: &Program, finding: &Finding) -> Option<Program> {
    let Evidence::Climb { samples, .. } = &finding.evidence else {
        return None;
    };
    let at = finding.op_index.checked_sub(1)?;
    let repeat = program.ops.get(at).filter(|op| op.call == Call::Repeat)?;
    let turn = &program.ops[at.checked_sub(repeat.b as usize)?..at];
    let every = turn.iter().find(|op| op.call == Call::Sample)?.a.max(1);
    let turns = 2 * every * samples.len() as u64;
    (turns < repeat.a).then(|| {
        let mut shorter = program.clone();
        shorter.ops[at].a = turns;
        shorter
    })
}

/// The most bytes that one operation of a program may clear or copy.
fn heaviest(program: &Program) -> u64 {
    let bytes = program
        .ops
        .iter()
        .filter_map(Op::size)
        .filter(|&bytes| bytes <= REAL);
    bytes.max().unwrap_or(0)
}

/// A program and the finding it gave.
pub(super) struct Sighting {
    pub program: Program,
    pub finding: Finding,
    pub run: Option<Run>,
}

impl Sighting {
    /// What is told of it.
    pub(super) fn into_case(self, item: &Item, reproduced: bool, shown: Option<Shown>) -> Case {
        let (outcomes, live) = self
            .run
            .map(|run| (run.outcomes, run.live))
            .unwrap_or_default();
        Case {
            finding: self.finding,
            program: self.program,
            outcomes,
            live,
            phase: item.phase.clone(),
            reproduced,
            shown,
        }
    }

    fn op_is(&self, call: Call) -> bool {
        let op = self.program.ops.get(self.finding.op_index);
        op.is_some_and(|op| op.call == call)
    }
}

/// The search for a smaller program.
pub(super) struct Hunt {
    pub once: bool,
    pub kind: Kind,
    pub until: Instant,
    /// How often a candidate is run before it is given up: more than once where it does not show the finding every time.
    pub tries: u32,
    /// How long a call may take in a candidate.
    pub patience: Duration,
    /// Programs of at most so many operations are looked at closely.
    pub close: u64,
}

impl Hunt {
    /// Runs the program once more: the finding must show again. A close look may lay it to an earlier operation.
    fn pin_down(&mut self, seat: &mut Seat<'_>, best: &mut Sighting) -> Result<bool, CheckError> {
        let patience = seat.patience();
        let (found, run) = self.attempt(seat, &best.program, true, patience)?;
        let Some(finding) = found.filter(|found| self.kind.is_it(found, &best.program)) else {
            return Ok(false);
        };
        if !is_damage(&finding) || self.is_close(&best.program) {
            self.kind = Kind::of(&finding, &best.program);
        }
        *best = Sighting {
            program: best.program.clone(),
            finding,
            run: Some(run),
        };
        Ok(true)
    }

    /// Until when to go on with what finds out which rule is broken: to see once more that a call hangs may have taken all the
    /// time there was, and what is laid to the block at hand, or to circumstances, must not be so for want of time to try
    /// without.
    fn at_least_once(&self, seat: &Seat<'_>, best: &Sighting, until: Instant) -> Instant {
        let rule = best.finding.rule;
        let laid = OF_THE_BLOCK.contains(&rule) || Condition::RULES.contains(&rule);
        let now = Instant::now();
        let while_there_is_time = (now + AGAIN).min(seat.budget().latest());
        match races::is_hang(&best.finding) {
            true => until.max(while_there_is_time),
            false if laid => until.max(while_there_is_time).max(now + LEAST),
            false => until,
        }
    }

    /// Whether a program is short enough to be looked at closely.
    fn is_close(&self, program: &Program) -> bool {
        program.steps() <= self.close
    }

    /// Takes smaller programs as long as they give the same finding.
    pub(super) fn shrink(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
    ) -> Result<(), CheckError> {
        self.truncate(seat, best)?;
        let mut reducer = Reducer::new(&best.program);
        while Instant::now() < self.until
            && let Some(candidate) = reducer.next()
        {
            if self.accept(seat, best, candidate.clone())? {
                reducer.accept(candidate);
            }
        }
        Ok(())
    }

    /// Nothing after the guilty operation matters, unless it repeats it.
    fn truncate(&self, seat: &mut Seat<'_>, best: &mut Sighting) -> Result<(), CheckError> {
        let keep = best.finding.op_index + 1;
        if keep < best.program.ops.len() {
            let mut shorter = best.program.clone();
            shorter.ops.truncate(keep);
            self.accept(seat, best, shorter)?;
        }
        Ok(())
    }

    pub(super) fn accept(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
        candidate: Program,
    ) -> Result<bool, CheckError> {
        if candidate.ops.is_empty() || Instant::now() >= self.until {
            return Ok(false);
        }
        if heaviest(&candidate) > heaviest(&best.program).max(HEAVY) {
            return Ok(false);
        }
        let (found, run) = self.attempt(seat, &candidate, true, self.patience)?;
        match found {
            Some(finding) if self.kind.is_it(&finding, &candidate) => {
                *best = Sighting {
                    program: candidate,
                    finding,
                    run: Some(run),
                };
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// What was slow for a candidate may have returned in the time that a call has: then only the program before it was
    /// shrunk is known to hang.
    fn confirm_hang(
        &self,
        seat: &mut Seat<'_>,
        best: &mut Sighting,
        pinned: Sighting,
    ) -> Result<(), CheckError> {
        if !races::is_hang(&best.finding) || best.program == pinned.program {
            return Ok(());
        }
        let (found, _) = self.attempt(seat, &best.program, true, seat.patience())?;
        if !found.is_some_and(|found| self.kind.is_it(&found, &best.program)) {
            *best = pinned;
        }
        Ok(())
    }

    /// Runs a program, again if it does not show the finding and may be tried again.
    pub(super) fn attempt(
        &self,
        seat: &mut Seat<'_>,
        program: &Program,
        stores: bool,
        patience: Duration,
    ) -> Result<(Option<Finding>, Run), CheckError> {
        let mut tries = self.tries;
        loop {
            tries -= 1;
            let (found, run) = self.attempt_once(seat, program, stores, patience)?;
            let shows = found
                .as_ref()
                .is_some_and(|it| self.kind.is_it(it, program));
            if shows || tries == 0 || Instant::now() >= self.until {
                return Ok((found, run));
            }
        }
    }

    fn attempt_once(
        &self,
        seat: &mut Seat<'_>,
        program: &Program,
        stores: bool,
        patience: Duration,
    ) -> Result<(Option<Finding>, Run), CheckError> {
        let rules = self.kind.rules(rules_for(program, seat.rules()));
        let conduct = Conduct {
            rules,
            muted: Muted::NONE,
            stores,
            closely: self.is_close(program),
        };
        let left = self
            .until
            .saturating_duration_since(Instant::now())
            .max(LEAST);
        let deadline = process::now() + left.as_nanos() as u64;
        let run = if self.once {
            seat.run_item(&Item::given(program.clone(), true), &conduct, deadline)?
        } else {
            seat.run(program, &conduct, deadline, Some(patience))?
        };
        let found = seat.finding(program, &run)?;
        if let Some(finding) = &found
            && seat.is_missed_anyway(program, self.once, finding, &conduct, deadline)?
        {
            return Ok((None, run));
        }
        Ok((found, run))
    }

    /// The rule that the shrunk program proves broken, of which `telling` is what is sure to matter.
    fn attribute(
        &self,
        seat: &mut Seat<'_>,
        best: &Sighting,
        telling: &Program,
    ) -> Result<RuleId, CheckError> {
        let rules = seat.rules();
        let rule = attribute_shrunk(&best.finding, telling, &rules);
        let Evidence::Died {
            moment: Moment::Call | Moment::Idle,
            death,
            ..
        } = best.finding.evidence
        else {
            return Ok(rule);
        };
        if is_killed(death) || Instant::now() >= self.until {
            return Ok(rule);
        }
        // What is wrong with an over-aligned block, or with one that was resized, has rules of its own.
        let plain = |op: &Op| !op.call.takes_alignment() && !op.call.reallocates();
        let general = rule == RuleId::CallReturns && best.program.ops.iter().all(plain);
        // Of what was stopped before its end it is not known.
        let dies = |hunt: &Hunt, seat: &mut Seat<'_>, program: &Program, stores: bool| {
            let (found, run) = hunt.attempt(seat, program, stores, hunt.patience)?;
            let died = found.is_some_and(|it| matches!(it.evidence, Evidence::Died { .. }));
            let stopped = matches!(run.end, End::Told(Ended::OutOfTime));
            Ok::<_, CheckError>((!stopped).then_some(died))
        };
        if rules.contains(RuleId::NoStaleSuccess)
            && let Some(restored) = restored(&best.program, best.finding.op_index)
            && dies(self, seat, &restored, true)? == Some(true)
        {
            // Memory was short, but that it still is does not matter.
            return Ok(RuleId::NoStaleSuccess);
        }
        if best.finding.op_index == 0 && rules.contains(RuleId::FirstCallAny) {
            let slot = best.program.slots() as u32;
            let mut later = best.program.clone();
            later.ops.insert(0, Op::new(Call::Malloc, slot, 16, 0));
            if best.op_is(Call::Malloc) {
                later.ops.insert(0, Op::new(Call::Calloc, slot + 1, 1, 16));
            }
            if dies(self, seat, &later, true)? == Some(false) {
                return Ok(RuleId::FirstCallAny);
            }
        }
        if matches!(
            rule,
            RuleId::ReallocNullIsMalloc | RuleId::ReallocarrayNull | RuleId::RecallocarrayNull
        ) {
            let mut as_malloc = best.program.clone();
            let op = &mut as_malloc.ops[best.finding.op_index];
            *op = Op::new(Call::Malloc, op.slot, op.size().unwrap_or(0), 0);
            let (found, _) = self.attempt(seat, &as_malloc, true, self.patience)?;
            let died = found.filter(|it| matches!(it.evidence, Evidence::Died { .. }));
            if let Some(died) = died {
                return Ok(died.rule);
            }
        }
        if general
            && rules.contains(RuleId::MetadataInviolate)
            && dies(self, seat, &best.program, false)? == Some(false)
        {
            return Ok(RuleId::MetadataInviolate);
        }
        Ok(rule)
    }
}

/// The same program with memory back before the operation at `index`; `None` if it was never short before.
fn restored(program: &Program, index: usize) -> Option<Program> {
    let before = program.ops.get(..index)?;
    let mut ops = before.to_vec();
    for call in [Call::Limit, Call::FailSyscall] {
        if before.iter().any(|op| op.call == call) {
            ops.push(Op::new(call, NO_SLOT, 0, 0));
        }
    }
    (ops.len() > index).then(|| {
        ops.extend_from_slice(&program.ops[index..]);
        Program { ops, ..*program }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_needed_few_of_its_turns_has_fewer() {
        let program = |turns: u64| {
            let lines = format!(
                "# allocspec trace 1\np0 = malloc 9\nfree p0\nsample 5\nrepeat {turns} x 3\nsteady 1\n"
            );
            Program::parse(&lines).expect("a program")
        };
        let climb = |samples: usize| Finding {
            rule: RuleId::BoundedSteady,
            op_index: 4,
            evidence: Evidence::Climb {
                what: crate::shadow::Measured::Resident,
                bytes: 1,
                allowed: 1,
                samples: vec![crate::shadow::Sample::default(); samples],
            },
        };
        assert_eq!(shortened(&program(1000), &climb(30)), Some(program(300)));
        assert_eq!(shortened(&program(300), &climb(30)), None);
        let other = Finding {
            evidence: Evidence::UnexpectedNull,
            ..climb(30)
        };
        assert_eq!(shortened(&program(1000), &other), None);
    }
}
