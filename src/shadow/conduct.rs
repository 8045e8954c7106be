//! How to look at a run.

use crate::program::Call;
use crate::spec::{RuleId, RuleSet};

/// Rules already found broken, by the call that broke them: found once is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Muted([u64; RuleId::ALL.len()]);

impl Muted {
    /// Nothing found yet.
    pub const NONE: Muted = Muted([0; RuleId::ALL.len()]);

    /// Mutes a rule for a call.
    pub fn mute(&mut self, rule: RuleId, call: Call) {
        self.0[rule.index()] |= 1 << call as u8;
    }

    /// Takes a mute back.
    pub fn unmute(&mut self, rule: RuleId, call: Call) {
        self.0[rule.index()] &= !(1 << call as u8);
    }

    /// The muted pairs, by the numbers of rule and call.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, u8)> {
        let calls = |(rule, &calls): (usize, &u64)| {
            (0..u64::BITS as u8)
                .filter(move |call| calls >> call & 1 == 1)
                .map(move |call| (rule as u16, call))
        };
        self.0.iter().enumerate().flat_map(calls)
    }

    /// The set of these pairs; numbers that name nothing are ignored.
    pub fn from_pairs(pairs: &[(u16, u8)]) -> Muted {
        let mut muted = Muted::NONE;
        for &(rule, call) in pairs {
            if let (Some(rule), Some(call)) = (RuleId::from_index(rule.into()), Call::from_u8(call))
            {
                muted.mute(rule, call);
            }
        }
        muted
    }

    /// Whether the rule is muted for the call.
    pub fn contains(&self, rule: RuleId, call: Call) -> bool {
        self.0[rule.index()] >> call as u8 & 1 == 1
    }
}

/// How to look at a run.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// The rules to check.
    pub rules: RuleSet,
    /// Those of them that are known to be broken.
    pub muted: Muted,
    /// Whether to write into blocks and verify what they hold.
    pub stores: bool,
    /// Whether to verify the other blocks around every call, so that the guilty operation is known.
    pub closely: bool,
}
