//! What a check has found so far, and what need not be found again.

use super::followers::is_as_without;
use super::kind::{cause, is_lack_under_circumstances};
use crate::program::{Call, Program};
use crate::run::protocol::Ended;
use crate::run::supervisor::{End, Run};
use crate::shadow::{
    Case, Death, Evidence, Moment, Muted, is_about_threads, is_killed, provisional,
};
use crate::spec::{RuleId, RuleSet};

/// Times that one rule may be found by one call before it turns out to be another rule's.
const ATTEMPTS: u32 = 4;

/// What was found so far.
pub(super) struct Known {
    /// What is not looked for any more.
    pub muted: Muted,
    attempts: Vec<Attempts>,
    /// The rules of which a program among threads came to its end.
    finished: Vec<RuleId>,
    /// The cases, each with the place in the plan of the program that led to it.
    pub cases: Vec<(usize, Case)>,
    /// What broke rules that nobody asked about.
    pub beside: Vec<Case>,
    /// Runs that something outside had a hand in, or may have: see [`is_disturbed`] and [`is_open`].
    pub disturbed: u64,
}

/// How often what looked like a finding of one rule was another's.
struct Attempts {
    raw: (RuleId, Call),
    times: u32,
    /// The rule that it was last.
    other: RuleId,
}

impl Known {
    /// Nothing yet.
    pub const fn new() -> Known {
        Known {
            muted: Muted::NONE,
            attempts: Vec::new(),
            finished: Vec::new(),
            cases: Vec::new(),
            beside: Vec::new(),
            disturbed: 0,
        }
    }

    /// Counts one more finding that was not what it looked like; gives how many there were.
    fn attempt(&mut self, raw: (RuleId, Call), other: RuleId) -> u32 {
        let at = self.attempts.iter().position(|seen| seen.raw == raw);
        let at = at.unwrap_or_else(|| {
            let times = 0;
            self.attempts.push(Attempts { raw, times, other });
            self.attempts.len() - 1
        });
        let seen = &mut self.attempts[at];
        (seen.times, seen.other) = (seen.times + 1, other);
        seen.times
    }

    /// The rules about threads that were not put to the test to the end: none of their programs came there, or those that
    /// did not are no longer looked into. Each with a rule that is broken instead.
    pub fn given_up(&self) -> Vec<(RuleId, RuleId)> {
        let is_given_up = |seen: &&Attempts| {
            let rule = seen.raw.0;
            is_about_threads(rule)
                && seen.other != rule
                && (seen.times >= ATTEMPTS || !self.finished.contains(&rule))
        };
        let given_up = self.attempts.iter().filter(is_given_up);
        given_up.map(|seen| (seen.raw.0, seen.other)).collect()
    }

    fn mute(&mut self, rule: RuleId, call: Call) {
        for &other in Call::ALL
            .iter()
            .filter(|&&other| cause(rule, Some(other)) == call)
        {
            self.muted.mute(rule, other);
        }
    }

    fn unmute(&mut self, rule: RuleId, call: Call) {
        for &other in Call::ALL
            .iter()
            .filter(|&&other| cause(rule, Some(other)) == call)
        {
            self.muted.unmute(rule, other);
        }
    }

    /// Whether a finding of this rule is news. If so it is muted for everybody from here on.
    pub fn claim(&mut self, rule: RuleId, call: Call) -> bool {
        let is_news = !self.muted.contains(rule, call);
        if is_news {
            self.mute(rule, call);
        }
        is_news
    }

    /// Notes that a program among threads came to its end, if it is one and did.
    pub fn note_finished(&mut self, program: &Program, run: &Run) {
        let among_threads = program.has_threads() || program.is_among_threads();
        let rule = provisional(program);
        if among_threads
            && matches!(run.end, End::Told(Ended::Finished))
            && !self.finished.contains(&rule)
        {
            self.finished.push(rule);
        }
    }

    /// Keeps a case unless its rule was found by this call before. `raw` is what it looked like at first: if it turned
    /// out to be another rule's, the rule it looked like may still be broken by itself.
    /// Rules that are not among those `asked` about go beside.
    pub fn keep(&mut self, index: usize, case: Case, raw: (RuleId, Call), asked: &RuleSet) {
        if is_disturbed(&case) || is_open(&case) {
            self.disturbed += 1;
            self.unmute(raw.0, raw.1);
            return;
        }
        let rule = case.finding.rule;
        let call = cause(rule, case.op().map(|op| op.call));
        let as_without = is_as_without(raw.0, &case);
        if as_without || (rule, call) != raw {
            let attempts = self.attempt(raw, rule);
            if attempts < ATTEMPTS {
                self.unmute(raw.0, raw.1);
            }
            if !as_without {
                self.mute(rule, call);
            }
        }
        if as_without {
            return;
        }
        if !asked.contains(rule) {
            self.beside.push(case);
            return;
        }
        let same = |other: &Case| {
            other.finding.rule == rule && cause(rule, other.op().map(|op| op.call)) == call
        };
        match self.cases.iter().position(|(_, other)| same(other)) {
            None => self.cases.push((index, case)),
            Some(at) if index < self.cases[at].0 && case.reproduced => {
                self.cases[at] = (index, case)
            }
            Some(_) => {}
        }
    }
}

/// Whether the process was killed, or stood still while nothing of the subject was running, and did not do so again: a
/// machine that is short of memory or of time may do that to it.
fn is_disturbed(case: &Case) -> bool {
    let Evidence::Died { death, moment, .. } = case.finding.evidence else {
        return false;
    };
    let stood_still = matches!(death, Death::Hang { .. })
        && matches!(moment, Moment::Idle | Moment::Touch | Moment::Verify)
        && !case.program.has_threads()
        && !case.program.is_among_threads();
    !case.reproduced && (is_killed(death) || stood_still)
}

/// Whether it is not sure that a block can be had without the circumstances that its lack was laid to.
fn is_open(case: &Case) -> bool {
    !case.reproduced && is_lack_under_circumstances(&case.finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Op;
    use crate::shadow::Finding;

    #[test]
    fn what_comes_from_outside_once_is_not_laid_to_the_subject() {
        let is = |death, moment, reproduced, first: Op| {
            is_disturbed(&Case {
                finding: Finding {
                    rule: RuleId::CallReturns,
                    op_index: 0,
                    evidence: Evidence::Died {
                        death,
                        moment,
                        said: String::new(),
                    },
                },
                program: Program {
                    rule: None,
                    ops: vec![first],
                },
                outcomes: Vec::new(),
                live: Vec::new(),
                phase: String::new(),
                reproduced,
                shown: None,
            })
        };
        let call = Op::new(Call::Malloc, 0, 100, 0);
        let thread = Op::new(Call::Thread, crate::program::NO_SLOT, 1, 0);
        let signal = |signal| Death::Signal {
            signal,
            address: None,
        };
        let (hang, killed) = (Death::Hang { millis: 1 }, signal(libc::SIGKILL));
        assert!(is(killed, Moment::Call, false, call));
        assert!(is(hang, Moment::Verify, false, call));
        assert!(!is(killed, Moment::Call, true, call), "it does so again");
        assert!(!is(hang, Moment::Call, false, call), "in the subject");
        assert!(!is(hang, Moment::Idle, false, thread), "one of them is");
        assert!(!is(signal(libc::SIGSEGV), Moment::Verify, false, call));
    }

    #[test]
    fn threads_are_not_given_up_for_a_lack_that_is_none_of_theirs() {
        let mut known = Known::new();
        let race = (RuleId::ThreadSafe, Call::Sweep);
        for _ in 0..ATTEMPTS {
            known.attempt(race, RuleId::ThreadSafe);
        }
        assert!(known.given_up().is_empty());
        known.attempt(race, RuleId::Disjoint);
        assert_eq!(known.given_up(), [(race.0, RuleId::Disjoint)]);
    }

    #[test]
    fn a_lack_that_was_not_told_apart_is_not_laid_to_circumstances() {
        let is = |rule, evidence, reproduced| {
            is_open(&Case {
                finding: Finding {
                    rule,
                    op_index: 0,
                    evidence,
                },
                program: Program {
                    rule: None,
                    ops: vec![Op::new(Call::Malloc, 0, 100, 0)],
                },
                outcomes: Vec::new(),
                live: Vec::new(),
                phase: String::new(),
                reproduced,
                shown: None,
            })
        };
        let lack = || Evidence::UnexpectedNull;
        assert!(is(RuleId::StackSmall, lack(), false));
        assert!(!is(RuleId::StackSmall, lack(), true), "it was");
        assert!(
            !is(RuleId::OomRecovers, lack(), false),
            "it is not laid to any"
        );
        let death = Evidence::Died {
            death: Death::Exit { status: 1 },
            moment: Moment::Call,
            said: String::new(),
        };
        assert!(!is(RuleId::StackSmall, death, false));
    }
}
