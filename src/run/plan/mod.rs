//! The programs of a check, in the order in which they are run.
//!
//! Vectors and directed programs come first, the cheapest first: a rule is exercised early, however slow the subject
//! is. Random programs come among them and fill the rest of the time.

mod first_calls;
mod item;
mod order;
mod random;

pub use item::{Item, is_fresh};

use crate::program::{Vocabulary, directed, vectors};
use crate::run::phase::Phase;
use crate::spec::{RuleId, RuleSet};
use first_calls::first_calls;
use item::Share;
use order::{Turn, by_rounds, order};
use random::Random;
use std::time::Duration;

/// Programs about one rule that can be brought forward.
const ABOUT: usize = 4;
/// The share that a random program may take while there are others.
const SHARE_OF_RANDOM: u32 = 40;

/// The programs of a check.
pub struct Plan<'a> {
    items: Vec<Item>,
    order: Vec<Turn>,
    random: Option<Random<'a>>,
}

impl<'a> Plan<'a> {
    fn with(items: Vec<Item>, random: Option<Random<'a>>) -> Plan<'a> {
        Plan {
            order: order(&items, random.is_some()),
            items,
            random,
        }
    }

    /// The plan for a subject that is spoken to in `vocabulary` about `rules`.
    pub fn new(vocabulary: &'a Vocabulary, rules: &RuleSet, seed: u64) -> Plan<'a> {
        let mut items: Vec<Item> = vectors()
            .map(|(name, program)| Item::planned(program, format!("vector {name}")))
            .collect();
        if rules.contains(RuleId::FirstCallAny) {
            items.extend(first_calls(vocabulary));
        }
        items.retain(|item| vocabulary.permits(&item.program));
        items.extend(directed(vocabulary, seed).into_iter().map(|program| {
            let rule = program.rule.map_or("programs", RuleId::as_str);
            let kind = match program.has_threads() {
                true => Phase::Threads,
                false => Phase::Directed,
            };
            Item::planned(program, format!("{} {rule}", kind.as_str()))
        }));
        items.retain(|item| item.program.rule.is_none_or(|rule| rules.contains(rule)));
        let random = Random::all(vocabulary, seed).only(true, rules.contains(RuleId::ThreadSafe));
        Plan::with(by_rounds(items), random)
    }

    /// What of it is of these phases; all if none is named.
    #[must_use]
    pub fn only(mut self, phases: &[Phase]) -> Plan<'a> {
        if phases.is_empty() {
            return self;
        }
        let has = |phase| phases.contains(&phase);
        self.items.retain(|item| item.phase().is_some_and(has));
        let of = |random: Random<'a>| random.only(has(Phase::Random), has(Phase::Threads));
        let random = self.random.and_then(of);
        Plan::with(self.items, random)
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.random.is_none()
    }

    /// What was made for this rule, and what was made for others; neither with random programs.
    pub fn divided(self, rule: RuleId) -> [Plan<'a>; 2] {
        let made_for_it = |item: &Item| item.program.rule == Some(rule);
        let (own, others) = self.items.into_iter().partition(made_for_it);
        [own, others].map(|items| Plan::with(items, None))
    }

    /// Random programs alone.
    pub fn random(vocabulary: &'a Vocabulary, seed: u64) -> Plan<'a> {
        Plan::with(Vec::new(), Some(Random::all(vocabulary, seed)))
    }

    /// A plan of one program.
    pub fn of(item: Item) -> Plan<'static> {
        Plan::with(vec![item], None)
    }

    /// A plan of one program, to be run so many times as long as nothing is found.
    pub fn again(item: Item, times: u32) -> Plan<'static> {
        Plan {
            order: (0..times).map(|_| Turn::Item(0)).collect(),
            items: vec![item],
            random: None,
        }
    }

    /// Whether it is a program given by the user.
    pub fn is_given(&self) -> bool {
        self.items.iter().any(|item| item.given)
    }

    /// How many runs there are in it, beside random programs that fill the time.
    pub fn runs(&self) -> usize {
        self.order.len()
    }

    /// The numbers of the first few items that were made for this rule.
    pub fn about(&self, rule: RuleId) -> Vec<usize> {
        let made_for_it = |turn: &Turn| match turn {
            Turn::Item(item) => self.items[*item].program.rule == Some(rule),
            Turn::Random(_) => false,
        };
        let numbers = (0..self.order.len()).filter(|&number| made_for_it(&self.order[number]));
        numbers.take(ABOUT).collect()
    }

    /// The item of this number; `None` beyond the last.
    pub fn item(&self, index: usize) -> Option<Item> {
        match self.order.get(index) {
            Some(Turn::Item(item)) => self.items.get(*item).cloned(),
            Some(Turn::Random(number)) => Some(Item {
                share: Share::Part(SHARE_OF_RANDOM, Duration::ZERO),
                ..self.random?.item(*number)
            }),
            None => Some(self.random?.item(index - self.items.len())),
        }
    }
}
