//! A set of rules in a few words of memory, so that it can lie in memory shared with a worker.

use super::RuleId;

/// A set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RuleSet {
    words: [u64; RuleSet::WORDS],
}

impl RuleSet {
    /// The number of words of a set.
    pub const WORDS: usize = RuleId::ALL.len().div_ceil(64);
    /// The set of no rule.
    pub const EMPTY: RuleSet = RuleSet {
        words: [0; RuleSet::WORDS],
    };

    /// Adds a rule; says whether it was new.
    pub fn insert(&mut self, rule: RuleId) -> bool {
        let (word, bit) = place(rule);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Takes a rule out; says whether it was in.
    pub fn remove(&mut self, rule: RuleId) -> bool {
        let (word, bit) = place(rule);
        let old = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        old
    }

    /// Whether the rule is in the set.
    pub fn contains(&self, rule: RuleId) -> bool {
        let (word, bit) = place(rule);
        self.words[word] & bit != 0
    }

    /// The number of rules in the set.
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether no rule is in the set.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The rules of the set in catalogue order.
    pub fn iter(&self) -> impl Iterator<Item = RuleId> + use<> {
        let set = *self;
        RuleId::ALL
            .iter()
            .copied()
            .filter(move |&rule| set.contains(rule))
    }

    /// The set as words; rule `i` is bit `i % 64` of word `i / 64`.
    pub const fn to_words(self) -> [u64; RuleSet::WORDS] {
        self.words
    }

    /// The set of these words. Bits that stand for no rule are dropped: the words may come from memory that a subject
    /// could have written to.
    pub const fn from_words(mut words: [u64; RuleSet::WORDS]) -> RuleSet {
        let used = RuleId::ALL.len() % 64;
        if used != 0 {
            words[RuleSet::WORDS - 1] &= (1 << used) - 1;
        }
        RuleSet { words }
    }
}

/// The word and the bit of a rule.
const fn place(rule: RuleId) -> (usize, u64) {
    (rule.index() / 64, 1 << (rule.index() % 64))
}

impl FromIterator<RuleId> for RuleSet {
    fn from_iter<I: IntoIterator<Item = RuleId>>(rules: I) -> RuleSet {
        let mut set = RuleSet::EMPTY;
        set.extend(rules);
        set
    }
}

impl Extend<RuleId> for RuleSet {
    fn extend<I: IntoIterator<Item = RuleId>>(&mut self, rules: I) {
        for rule in rules {
            self.insert(rule);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_goes_in_and_out_alone() {
        let mut set = RuleSet::EMPTY;
        for &rule in RuleId::ALL {
            assert!(set.insert(rule) && !set.insert(rule), "{rule}");
            assert_eq!(set.iter().collect::<Vec<_>>(), [rule]);
            assert_eq!(set.len(), 1);
            assert!(set.remove(rule) && !set.remove(rule), "{rule}");
            assert!(set.is_empty());
        }
    }

    #[test]
    fn words_carry_the_set_and_nothing_else() {
        let all: RuleSet = RuleId::ALL.iter().copied().collect();
        assert_eq!(RuleSet::from_words([u64::MAX; RuleSet::WORDS]), all);
        assert_eq!(all.len(), RuleId::ALL.len());
        let some: RuleSet = RuleId::ALL.iter().copied().step_by(3).collect();
        assert_eq!(RuleSet::from_words(some.to_words()), some);
    }
}
