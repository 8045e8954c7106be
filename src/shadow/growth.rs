//! Whether a process grows on and on while it does the same work again and again.
//!
//! One threshold cannot tell: caches fill up, arenas are mapped in advance, pages are given back late and all at once.
//! What grows without end goes on growing. So measurements are taken all along, the first of them left out, the others
//! divided into parts, and of each part only the least counts: that is what is left when everything has been given back
//! that will be. If the least rises from every part to the next, each time by more than is allowed, and the last time not
//! much less than the first, and goes on rising within the last part, then nothing suggests that it will ever stop.

use super::model::{At, Checked, Shadow};
use super::{Evidence, is_about_threads};
use crate::program::Op;
use crate::spec::RuleId;
use serde::{Deserialize, Serialize};

/// Parts that measurements are divided into, the first of which is left out.
const PARTS: usize = 5;
/// Measurements that a judgement takes at least.
pub const LEAST: usize = 4 * PARTS;
/// Measurements that are kept at most.
pub const MOST: usize = 4096;
/// If more than one in so many of all bytes handed out are lost, free does not make them available at all.
const GROSS: u64 = 16;
/// If more than one in so many of them stay, all do: they are lost, or wait until others have been freed.
const MOST_STAY: u64 = 2;
/// As many times as many bytes as a process may grow by are handed out before it counts that it did not.
const TELLING: u64 = 256;
/// Bytes handed out before it is known that they do not wait: what looks for the use of freed memory keeps up to half as
/// many back.
const PATIENT: u64 = 512 << 20;
/// What rises from part to part by so many times as much as is allowed is plain before all work is done.
const PLAIN: u64 = 16;

/// One measurement of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Bytes resident, without those of the harness.
    pub resident: u64,
    /// Bytes mapped.
    pub mapped: u64,
    /// Bytes handed out since the program began.
    pub handed_out: u64,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// Resident bytes.
    Resident,
    /// Mapped bytes.
    Mapped,
}

impl Measured {
    /// Both, the one that costs memory first.
    pub const ALL: [Measured; 2] = [Measured::Resident, Measured::Mapped];

    /// This of a sample.
    pub const fn of(self, sample: &Sample) -> u64 {
        match self {
            Measured::Resident => sample.resident,
            Measured::Mapped => sample.mapped,
        }
    }
}

/// Growth that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climb {
    /// What grows.
    pub what: Measured,
    /// By how much the least of the last part is above that of the first that counts.
    pub bytes: u64,
    /// Whether that is a large part of all that was handed out meanwhile, and was used.
    pub gross: bool,
    /// Whether it may end yet: all that was freed may be waiting for more to be freed.
    pub may_end: bool,
}

/// What grows on and on in these measurements by more than `allowed` bytes from part to part; `None` if nothing does,
/// or if they are too few.
pub fn climb(samples: &[Sample], allowed: u64) -> Option<Climb> {
    if samples.len() < LEAST {
        return None;
    }
    let part = |number: usize, of: usize| {
        &samples[samples.len() * number / of..samples.len() * (number + 1) / of]
    };
    let least = |what: Measured, number, of| {
        let measured = part(number, of).iter().map(|sample| what.of(sample));
        measured.min().unwrap_or(0)
    };
    let rises = |what| {
        let floors = [1, 2, 3, 4].map(|number| least(what, number, PARTS));
        [0, 1, 2].map(|at| floors[at + 1].saturating_sub(floors[at]))
    };
    let handed_out = |number| part(number, PARTS).first().map(|sample| sample.handed_out);
    let meanwhile = handed_out(PARTS - 1)?.saturating_sub(handed_out(1)?);
    let all_stay = Measured::ALL
        .into_iter()
        .any(|what| rises(what).iter().sum::<u64>() > meanwhile / MOST_STAY);
    let in_all = samples.last()?.handed_out;
    Measured::ALL.into_iter().find_map(|what| {
        let rises = rises(what);
        let [before, after] =
            [2 * PARTS - 2, 2 * PARTS - 1].map(|half| least(what, half, 2 * PARTS));
        let goes_on = rises.iter().all(|&rise| rise > allowed)
            && 2 * rises[2] >= rises[0]
            && after > before + allowed / 4;
        let bytes = rises.iter().sum();
        goes_on.then_some(Climb {
            what,
            bytes,
            gross: what == Measured::Resident && bytes > meanwhile / GROSS,
            may_end: all_stay && in_all < PATIENT,
        })
    })
}

/// Whether memory is lost so fast that more of the same work would only take more: [`Shadow::steady`] finds the climb in
/// these measurements already. Mapped bytes alone cost nothing, and are waited for.
pub fn is_plain(samples: &[Sample], allowed: u64) -> bool {
    climb(samples, allowed.saturating_mul(PLAIN))
        .is_some_and(|climb| climb.what == Measured::Resident && !climb.may_end)
}

impl Shadow<'_> {
    /// Judges what was measured while the same work was done again and again.
    ///
    /// Where much of what is freed is never used again, that is what is wrong, whatever the program was made for: the
    /// rules about a long life are about the little that adds up, and are not kept for that. A program that frees nothing
    /// loses what it resizes, and what takes threads has to do with these, however much it is.
    ///
    /// # Errors
    ///
    /// When the process grows on and on.
    pub fn steady(&mut self, index: usize, op: &Op, samples: &[Sample]) -> Checked {
        if samples.len() < LEAST {
            return Ok(());
        }
        let purpose = self.purpose.unwrap_or(RuleId::BoundedSteady);
        let Some(climb) = climb(samples, op.a) else {
            // Little that was handed out has little to lose.
            if samples
                .last()
                .is_some_and(|last| last.handed_out / TELLING >= op.a)
            {
                self.ledger.count(purpose);
            }
            return Ok(());
        };
        if climb.may_end {
            return Ok(());
        }
        let rule = match (climb.gross, purpose) {
            (false, _) => purpose,
            (true, _) if is_about_threads(purpose) => purpose,
            // The old block may have been released, and be of no use to those that come later.
            (true, RuleId::BoundedRealloc) => purpose,
            (true, _) => self.first_checked(&[RuleId::FreeMakesAvailable, purpose]),
        };
        if rule == purpose {
            self.ledger.count(purpose);
        }
        let evidence = Evidence::Climb {
            what: climb.what,
            bytes: climb.bytes,
            allowed: op.a,
            samples: samples.to_vec(),
        };
        self.broken(At { index, op }, rule, evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn samples(resident: impl Fn(u64) -> u64) -> Vec<Sample> {
        (0..100)
            .map(|turn| Sample {
                resident: resident(turn),
                mapped: 64 * MIB,
                handed_out: turn * 1000 * MIB,
            })
            .collect()
    }

    fn climbs(resident: impl Fn(u64) -> u64) -> bool {
        climb(&samples(resident), MIB / 2).is_some()
    }

    #[test]
    fn what_grows_on_and_on_is_found() {
        assert!(climbs(|turn| turn * MIB / 10));
        assert!(climbs(|turn| turn / 5 * MIB), "in steps");
        assert!(
            climbs(|turn| turn * MIB / 10 + turn % 7 * MIB),
            "beneath peaks"
        );
        let slow = |turn| turn * MIB / 100;
        assert!(!climbs(slow), "by less than is allowed");
    }

    #[test]
    fn what_comes_to_rest_is_not() {
        assert!(!climbs(|_| 5 * MIB));
        assert!(!climbs(|turn| turn.min(70) * MIB), "a cache that fills up");
        assert!(
            !climbs(|turn| 40 * MIB - 40 * MIB / (turn + 1)),
            "slower and slower"
        );
        assert!(
            !climbs(|turn| turn % 33 * 10 * MIB),
            "given back late, and all at once"
        );
        assert!(!climbs(|turn| if turn < 50 { 0 } else { 50 * MIB }), "once");
        assert!(climb(&samples(|turn| turn * MIB)[..LEAST - 1], 0).is_none());
    }

    #[test]
    fn mapped_bytes_count_as_well() {
        let mapped: Vec<Sample> = samples(|_| 0)
            .into_iter()
            .zip(0..)
            .map(|(sample, turn)| Sample {
                mapped: turn * MIB,
                ..sample
            })
            .collect();
        let found = climb(&mapped, MIB).expect("it grows");
        assert_eq!((found.what, found.bytes), (Measured::Mapped, 60 * MIB));
        assert!(!found.gross);
    }

    #[test]
    fn a_large_part_of_all_is_told_from_little_that_adds_up() {
        let found = |share: u64| climb(&samples(|turn| turn * 1000 * MIB / share), MIB);
        assert!(found(8).expect("it grows").gross);
        assert!(!found(1024).expect("it grows").gross);
    }

    #[test]
    fn all_that_stays_may_wait_and_be_used_later() {
        let found = |per_turn: u64, stays: u64| {
            let samples: Vec<Sample> = (0..100)
                .map(|turn| Sample {
                    resident: turn * per_turn / 8,
                    mapped: turn * stays,
                    handed_out: turn * per_turn,
                })
                .collect();
            climb(&samples, MIB / 16).expect("it grows").may_end
        };
        assert!(found(4 * MIB, 4 * MIB), "blocks that are not filled wait");
        assert!(!found(8 * MIB, 8 * MIB), "for long enough");
        assert!(!found(4 * MIB, MIB), "not all");
    }

    #[test]
    fn what_is_plain_is_found_as_well_and_has_cost_memory() {
        let fast = samples(|turn| turn * MIB);
        assert!(is_plain(&fast, MIB / 2));
        assert!(is_plain(&fast[..50], MIB / 2), "long before the end");
        assert!(!is_plain(&fast[..LEAST - 1], MIB / 2));
        assert!(climb(&fast[..50], MIB / 2).is_some());
        assert!(!is_plain(&samples(|turn| turn * MIB / 10), MIB / 2));
        assert!(!is_plain(&samples(|turn| turn.min(70) * MIB), MIB / 2));
        let mapped: Vec<Sample> = fast
            .iter()
            .map(|sample| Sample {
                resident: 0,
                mapped: sample.resident,
                ..*sample
            })
            .collect();
        assert!(climb(&mapped, MIB / 2).is_some() && !is_plain(&mapped, MIB / 2));
    }

    #[test]
    fn a_gross_loss_is_no_exercise_of_a_rule_about_little() {
        use crate::program::Call;
        use crate::shadow::{Conduct, Ledger, Muted};
        let judged = |rules: &[RuleId], muted: Muted, per_turn: u64| {
            let ledger = Ledger::new();
            let conduct = Conduct {
                rules: rules.iter().copied().collect(),
                muted,
                stores: true,
                closely: false,
            };
            let mut shadow = Shadow::new(&ledger, conduct).expect("address space");
            let op = Op::new(Call::Steady, crate::program::NO_SLOT, MIB, 0);
            let _ = shadow.steady(0, &op, &samples(|turn| turn * per_turn));
            let found = shadow.take_finding().map(|finding| finding.rule);
            (found, ledger.checks(RuleId::BoundedSteady))
        };
        let (steady, available) = (RuleId::BoundedSteady, RuleId::FreeMakesAvailable);
        let gross = 1000 * MIB;
        let mut muted = Muted::NONE;
        muted.mute(available, Call::Steady);
        assert_eq!(judged(&[steady], Muted::NONE, 0), (None, 1));
        assert_eq!(judged(&[steady], Muted::NONE, gross), (Some(steady), 1));
        let both = [steady, available];
        assert_eq!(judged(&both, Muted::NONE, gross), (Some(available), 0));
        assert_eq!(judged(&both, muted, gross), (None, 0));
    }
}
