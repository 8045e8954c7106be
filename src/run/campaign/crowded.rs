//! From harm that shows while other threads are at work to a case.
//!
//! It may need the threads, or a fork among them, or neither; and it need not show each time.

use super::investigate::{Hunt, LEAST, PATIENCE, SHARE, Sighting};
use super::kind::Kind;
use super::races::{CLOSE, is_hang, patience};
use super::seat::Seat;
use crate::program::{Call, Condition, Op, Program, Under};
use crate::run::CheckError;
use crate::run::plan::Item;
use crate::shadow::{Case, Evidence, Finding, Moment, rule_of_fork};
use crate::spec::RuleId;
use std::time::Instant;

/// How often a program is run that takes something away, before what it takes away counts as needed.
const SURE: u32 = 20;
/// Threads beside a program that are few.
const FEW: u64 = 4;
/// How often a program is run that is to be shorter.
const TRIES: u32 = 6;
/// How often the shortest is run to see how often it shows.
const RUNS: u32 = 20;

/// Makes a case of harm that showed in a program among threads.
///
/// # Errors
///
/// When no worker can be had.
pub(super) fn investigate(
    seat: &mut Seat<'_>,
    item: &Item,
    finding: Finding,
) -> Result<Case, CheckError> {
    let started = Instant::now();
    let budget = seat.budget();
    let time = (budget.time / SHARE).max(LEAST);
    let mut hunt = Hunt {
        once: item.once,
        kind: Kind::Harm {
            hangs: is_hang(&finding),
        },
        until: (started + time).min(budget.latest().max(started + LEAST)),
        tries: TRIES,
        patience: patience(seat, &finding),
        close: CLOSE,
    };
    if let Some(case) = hunt.case_alone(seat, item, item.program.without_others())? {
        return Ok(case);
    }
    let mut best = Sighting {
        program: item.program.clone(),
        finding,
        run: None,
    };
    hunt.tries = SURE;
    let mut reproduced = false;
    let shared = without_forks(&item.program);
    // What a few bring about is easier to look into than what many do.
    let few = (shared.others() > FEW).then(|| shared.with_others(FEW));
    for program in few.into_iter().chain([shared, item.program.clone()]) {
        reproduced = reproduced || hunt.accept(seat, &mut best, program)?;
    }
    let mut shown = None;
    if reproduced {
        let pinned = (best.program.clone(), best.finding.clone());
        hunt.tries = TRIES;
        hunt.patience = PATIENCE;
        hunt.shrink(seat, &mut best)?;
        hunt.patience = patience(seat, &best.finding);
        let latest = budget.latest().max(Instant::now() + LEAST);
        let mut count = |program: &_| hunt.count(seat, program, RUNS, latest);
        let mut counted = count(&best.program)?;
        if counted.times == 0 {
            // What was accepted may have been luck, or slow in the case of a call that hangs.
            (best.program, best.finding) = pinned;
            best.run = None;
            counted = count(&best.program)?;
        }
        reproduced = counted.times > 0;
        best.finding.rule = rule_of(&best.finding, &best.program);
        shown = Some(counted);
    }
    if !reproduced && is_beside(&best.finding) {
        // It could not be seen whether the fork has a part in what a thread came to that goes on as if there were none.
        best.finding.rule = RuleId::ThreadSafe;
    }
    Ok(best.into_case(item, reproduced, shown))
}

/// Whether it came to a thread that has nothing to do with the program.
fn is_beside(finding: &Finding) -> bool {
    let Evidence::Died { moment, .. } = finding.evidence else {
        return false;
    };
    moment == Moment::Beside
}

/// The program with all that children do done by their parent, and without other programs that are started.
fn without_forks(program: &Program) -> Program {
    let is_spawns = |under: Under| under.condition == Condition::Spawns;
    without(program, |op| {
        matches!(op.call, Call::Fork | Call::Wait) || Under::of(op).is_some_and(is_spawns)
    })
}

fn without(program: &Program, is_unneeded: impl Fn(&Op) -> bool) -> Program {
    let mut program = program.clone();
    program.retain(|op| !is_unneeded(op));
    program
}

/// The rule that harm breaks which takes what is left of the program: that about children of a process with threads if it
/// shows in one, or in its parent after it, or in either inside the fork; or else that about threads.
fn rule_of(finding: &Finding, program: &Program) -> RuleId {
    let index = finding.op_index;
    let forked = match finding.evidence {
        Evidence::Died { moment, .. } => rule_of_fork(program, index, moment),
        _ => None,
    };
    let rule = forked.or_else(|| program.circumstance_at(index));
    rule.unwrap_or(RuleId::ThreadSafe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::Death;

    fn program(lines: &str) -> Program {
        Program::parse(&format!("# allocspec trace 1\n{lines}\n")).expect(lines)
    }

    #[test]
    fn what_is_taken_away_leaves_the_rest_as_it_was() {
        let all = program(
            "under signals 100\nunder threads 3\np0 = malloc 100\nfork\nfree p0\nwait\nfree p0",
        );
        assert_eq!(
            all.without_others(),
            program("under signals 100\np0 = malloc 100\nfork\nfree p0\nwait\nfree p0")
        );
        let shared = without_forks(&all);
        assert!(shared.is_among_threads());
        let frees = shared.ops.iter().filter(|op| op.call == Call::Free);
        assert_eq!(
            frees.count(),
            1,
            "the child's own is the parent's now: {shared}"
        );
    }

    #[test]
    fn of_many_threads_a_few_are_left() {
        let many = program("under signals 100\nunder threads 130\np0 = malloc 100");
        let few = program("under signals 100\nunder threads 4\np0 = malloc 100");
        assert_eq!(many.with_others(FEW), few);
        assert_eq!(few.with_others(8), few);
    }

    #[test]
    fn a_program_of_which_nothing_can_be_taken_away_stays() {
        let alone = program("p0 = malloc 100\nfree p0");
        assert_eq!(alone.without_others(), alone);
        assert_eq!(without_forks(&alone), alone);
    }

    #[test]
    fn harm_is_laid_to_the_side_of_the_fork_that_it_shows_on() {
        let forks = program("under threads 3\np0 = malloc 1\nfork\np1 = malloc 1\nwait\nfree p0");
        let at = |index, evidence| Finding {
            rule: RuleId::CallReturns,
            op_index: index,
            evidence,
        };
        let harm = |index| at(index, Evidence::UnexpectedNull);
        let rules = [1, 3, 5].map(|index| rule_of(&harm(index), &forks));
        let expected = [
            RuleId::ThreadSafe,
            RuleId::ForkMtChild,
            RuleId::ForkMtParent,
        ];
        assert_eq!(rules, expected);
        let plain = program("under threads 3\np0 = malloc 1");
        assert_eq!(rule_of(&harm(1), &plain), RuleId::ThreadSafe);
        let rules = [Moment::Fork, Moment::Born].map(|moment| {
            let stuck = Evidence::Died {
                death: Death::Hang { millis: 1 },
                moment,
                said: String::new(),
            };
            rule_of(&at(2, stuck), &forks)
        });
        assert_eq!(
            rules,
            expected[1..].iter().rev().copied().collect::<Vec<_>>()[..]
        );
    }
}
