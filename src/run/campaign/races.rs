//! From a finding in a program with threads to a case.
//!
//! First it is asked what the threads have to do with it. If one thread shows it as well, it is a finding like any other;
//! if it shows where one operation follows the other, it shows every time. What is left is a race, which shows in some
//! runs only: a program is then run again and again, and shrunk as long as it still shows.

use super::investigate::{self, Hunt, LEAST, PATIENCE, SHARE, Sighting};
use super::kind::Kind;
use super::seat::Seat;
use crate::program::{Call, Op, Program};
use crate::run::CheckError;
use crate::run::plan::Item;
use crate::shadow::{Case, Death, Evidence, Finding, Moment, Shown, attribute_threads};
use crate::spec::RuleId;
use std::time::{Duration, Instant};

/// Runs from which it is told how often a program shows a race.
pub const RUNS: u32 = 100;
/// Of these so many are made though the time for the finding is over, as long as there is time for the check.
const FEWEST_RUNS: u32 = 20;
/// Unless it has shown so often by then: a run that hangs takes seconds.
const SEEN: u32 = 3;
/// Runs after which a race that has not shown again is given up.
const PATIENT: u32 = 60;
/// A candidate is run until it has had this many times as many runs as it takes on average.
const SURE: u32 = 3;
/// But at least, and at most, so often.
const FEWEST: u32 = 2;
const MOST: u32 = 30;
/// What a program may take to show it without the others, in times of how long a call may take.
const ALONE: u32 = 2;
/// Programs of more operations than this are not looked at closely: it would keep threads apart.
pub(super) const CLOSE: u64 = 512;
/// The part of the time in which it is found out how often it shows, and again at the end: one in so many.
const COUNTING: u32 = 5;

/// Makes a case of a finding in a program with threads.
///
/// # Errors
///
/// When no worker can be had.
pub fn investigate(seat: &mut Seat<'_>, item: &Item, finding: Finding) -> Result<Case, CheckError> {
    let started = Instant::now();
    let budget = seat.budget();
    let time = (budget.time / SHARE).max(LEAST);
    let until = (started + time).min(budget.latest().max(started + LEAST));
    let harm = finding.evidence.is_harm();
    let mut hunt = Hunt {
        once: false,
        kind: if harm {
            Kind::Harm {
                hangs: is_hang(&finding),
            }
        } else {
            Kind::of(&finding, &item.program)
        },
        until,
        tries: 1,
        patience: patience(seat, &finding),
        close: CLOSE,
    };
    if let Some(case) = hunt.case_alone(seat, item, item.program.without_threads())? {
        return Ok(case);
    }

    let mut best = Sighting {
        program: item.program.clone(),
        finding,
        run: None,
    };
    hunt.tries = FEWEST;
    let in_order = hunt.accept(seat, &mut best, item.program.in_order())?;
    let counting = Instant::now();
    let first = if in_order {
        hunt.kind = kind_in_order(&best.finding, &best.program, hunt.kind);
        hunt.count(seat, &best.program, 1, until)?
    } else {
        hunt.until = started + time / COUNTING;
        hunt.count(seat, &best.program, PATIENT, started + time / 2)?
    };
    let each = counting.elapsed() / first.of;
    let mut reproduced = in_order || first.times > 0;
    let mut shown = first;
    if reproduced {
        if !in_order {
            hunt.tries = tries(first);
        }
        let pinned = (best.program.clone(), best.finding.clone());
        hunt.until = until - reserve(time, each).min(until.saturating_duration_since(started));
        hunt.patience = PATIENCE;
        hunt.shrink(seat, &mut best)?;
        hunt.patience = patience(seat, &best.finding);
        // One list may show it that was not the first when all were put into one.
        if !best.program.has_threads()
            && let Some(case) = hunt.case_alone(seat, item, best.program.clone())?
        {
            return Ok(case);
        }
        hunt.until = until.max(Instant::now() + LEAST / 2);
        // What threads show while they are at work is not about their end. Shrinking may have had no time to find out.
        if let Some(plain) = best.program.without_destructors() {
            hunt.accept(seat, &mut best, plain)?;
        }
        let latest = hunt.until.max(budget.latest());
        shown = hunt.count(seat, &best.program, RUNS, latest)?;
        if shown.times == 0 {
            // What was accepted may have been luck, or slow in the case of a call that hangs.
            let is_same = best.program == pinned.0;
            (best.program, best.finding) = pinned;
            best.run = None;
            hunt.patience = patience(seat, &best.finding);
            shown = match is_same {
                true => first.and(shown),
                false => first.and(hunt.count(seat, &best.program, FEWEST_RUNS, latest)?),
            };
            reproduced = shown.times > 0;
        }
    }
    if harm {
        hunt.until = hunt.until.max(Instant::now() + LEAST / 2);
        best.finding.rule = match reproduced {
            true => hunt.attribute_threads(seat, &best)?,
            // Nothing is known of it but that threads were at work at once.
            false => attribute_threads(&best.finding, &best.program, false, &seat.rules()),
        };
    }
    Ok(best.into_case(item, reproduced, Some(shown)))
}

/// How long a call may take where it decides what becomes of the finding. That a call hangs is believed after all the time
/// that a call has, or every slow one would be taken for one; other harm does not need it.
pub(super) fn patience(seat: &Seat<'_>, finding: &Finding) -> Duration {
    match is_hang(finding) {
        true => seat.patience(),
        false => PATIENCE,
    }
}

/// What a candidate must show where one operation follows the other. Which rule it breaks is not known yet, so nothing is
/// told apart by that.
fn kind_in_order(finding: &Finding, program: &Program, harm: Kind) -> Kind {
    match finding.evidence {
        Evidence::Contents { .. } => Kind::Damage,
        Evidence::Overlap { .. } => Kind::Overlap,
        Evidence::Died {
            moment: Moment::Call,
            ..
        } if !is_hang(finding) => Kind::of(finding, program),
        _ => harm,
    }
}

/// How often a candidate is run before it is given up, where the program before it showed what it shows so often.
fn tries(shown: Shown) -> u32 {
    match shown.times {
        0 => MOST,
        times => (SURE * shown.of / times).clamp(FEWEST, MOST),
    }
}

/// The part of the time for a finding that is kept for counting how often it shows, where a run takes `each`.
fn reserve(time: Duration, each: Duration) -> Duration {
    (each * FEWEST_RUNS).clamp(time / COUNTING, time / 2)
}

/// Whether a call did not return: on a busy machine that may be for want of time, and is no other harm's sign.
pub(super) fn is_hang(finding: &Finding) -> bool {
    matches!(
        finding.evidence,
        Evidence::Died {
            death: Death::Hang { .. },
            ..
        }
    )
}

impl Hunt {
    /// The case of what a program shows without the others at work beside it; `None` if it shows nothing then.
    pub(super) fn case_alone(
        &self,
        seat: &mut Seat<'_>,
        item: &Item,
        alone: Program,
    ) -> Result<Option<Case>, CheckError> {
        // What shows alone must not be laid to the others because a call that hangs had no time to be found hanging.
        let patient = Hunt {
            until: self.until.max(Instant::now() + ALONE * self.patience),
            ..*self
        };
        let Some(finding) = patient.finds(seat, &alone)? else {
            return Ok(None);
        };
        if !seat.is_asked(finding.rule) {
            // Nobody asks about it, and for what was asked it is enough that the others have no part in it.
            let alone = Sighting {
                program: alone,
                finding,
                run: None,
            };
            return Ok(Some(alone.into_case(item, true, None)));
        }
        let mut item = item.clone();
        item.program = alone;
        investigate::investigate(seat, &item, finding).map(Some)
    }

    /// What the program shows, if it is what is looked for.
    pub(super) fn finds(
        &self,
        seat: &mut Seat<'_>,
        program: &Program,
    ) -> Result<Option<Finding>, CheckError> {
        let (found, _) = self.attempt(seat, program, true, self.patience)?;
        Ok(found.filter(|found| self.kind.is_it(found, program)))
    }

    /// In how many runs the program shows it, of as many as there is time for: once at least, and a few times more if that
    /// can be until `latest`.
    pub(super) fn count(
        &self,
        seat: &mut Seat<'_>,
        program: &Program,
        runs: u32,
        latest: Instant,
    ) -> Result<Shown, CheckError> {
        // Each run has its time, though that for all is over.
        let once = Hunt {
            tries: 1,
            until: latest.max(self.until),
            ..*self
        };
        let mut shown = Shown { times: 0, of: 0 };
        while shown.of < runs {
            let end = match shown.of < FEWEST_RUNS && shown.times < SEEN {
                true => once.until,
                false => self.until,
            };
            if shown.of > 0 && Instant::now() >= end {
                break;
            }
            shown.of += 1;
            shown.times += u32::from(once.finds(seat, program)?.is_some());
        }
        Ok(shown)
    }

    /// The rule that the shrunk program proves broken.
    fn attribute_threads(
        &self,
        seat: &mut Seat<'_>,
        best: &Sighting,
    ) -> Result<RuleId, CheckError> {
        let rules = seat.rules();
        // What was a race in a long program need not be one in a short one, nor the other way round.
        let in_order = self.finds(seat, &best.program.in_order())?.is_some();
        let rule = attribute_threads(&best.finding, &best.program, in_order, &rules);
        if rule == RuleId::ConcurrentRealloc {
            // What shows as well where nothing is resized has nothing to do with that.
            let plain = best.program.without_resizing();
            return Ok(match self.finds(seat, &plain)? {
                Some(finding) => attribute_threads(&finding, &plain, in_order, &rules),
                None => rule,
            });
        }
        if rule != RuleId::XthreadReallocFirst {
            return Ok(rule);
        }
        // What a thread cannot do after another call either has nothing to do with the first one.
        let slot = best.program.slots() as u32;
        let mut later = best.program.clone();
        let before = Op::new(Call::Malloc, slot, 16, 0);
        later.ops.insert(best.finding.op_index, before);
        let later_finding = Finding {
            op_index: best.finding.op_index + 1,
            ..best.finding.clone()
        };
        Ok(match self.finds(seat, &later)? {
            Some(_) => attribute_threads(&later_finding, &later, in_order, &rules),
            None => rule,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::NO_SLOT;

    fn died(death: Death, moment: Moment) -> Finding {
        Finding {
            rule: RuleId::CallReturns,
            op_index: 1,
            evidence: Evidence::Died {
                death,
                moment,
                said: String::new(),
            },
        }
    }

    #[test]
    fn candidates_are_run_the_more_often_the_rarer_it_shows() {
        let tries = |times, of| tries(Shown { times, of });
        assert_eq!(tries(60, 60), SURE);
        assert_eq!(tries(20, 60), 3 * SURE);
        assert_eq!([tries(1, 60), tries(0, 60)], [MOST; 2]);
        assert_eq!(tries(1, 1), SURE);
    }

    #[test]
    fn time_is_kept_for_counting() {
        let millis = Duration::from_millis;
        let time = millis(1000);
        assert_eq!(reserve(time, millis(1)), millis(200));
        assert_eq!(reserve(time, millis(20)), millis(400));
        assert_eq!(reserve(time, millis(100)), millis(500));
    }

    #[test]
    fn a_call_that_hangs_is_told_from_all_other_harm() {
        let ops = [
            Op::new(Call::Thread, NO_SLOT, 1, 0),
            Op::new(Call::Malloc, 0, 1, 0),
        ];
        let program = Program {
            rule: None,
            ops: ops.into(),
        };
        let hang = died(Death::Hang { millis: 400 }, Moment::Call);
        let crash = died(
            Death::Signal {
                signal: libc::SIGSEGV,
                address: None,
            },
            Moment::Call,
        );
        for (harm, shows) in [(&hang, [true, false]), (&crash, [false, true])] {
            let hangs = is_hang(harm);
            let before = Kind::Harm { hangs };
            let kind = kind_in_order(harm, &program, before);
            for kind in [before, kind] {
                let shown = [&hang, &crash].map(|it| kind.is_it(it, &program));
                assert_eq!(shown, shows, "{harm:?}");
            }
        }
    }
}
