//! The order of the programs of a plan.

use super::item::Item;
use super::random::random_cost;
use crate::program::Call;
use crate::spec::RuleId;

/// While there are others, random programs cost one part, and the others so many.
const OTHERS: u64 = 3;
/// What a program costs at most that is not put off.
const CHEAP: u64 = 20_000;
/// What a program costs at most that does not have to wait for others, however many there are of its rule: starting its
/// process takes longer than running it.
const TRIVIAL: u64 = 64;
/// Programs about one rule that do not have to wait for cheaper ones about others.
const FIRST: usize = 2;

/// Whose turn it is.
pub enum Turn {
    /// One of the items.
    Item(usize),
    /// The random program of this number.
    Random(usize),
}

/// The items in their order, and among them random programs, so that there are some however slow the subject or the
/// machine is.
pub fn order(items: &[Item], with_random: bool) -> Vec<Turn> {
    let mut order = Vec::new();
    let (mut cost, mut number, mut of_random) = (0, 0, 0);
    for (index, item) in items.iter().enumerate() {
        order.push(Turn::Item(index));
        cost += item.cost;
        while with_random && OTHERS * (of_random + random_cost(number)) <= cost {
            order.push(Turn::Random(number));
            of_random += random_cost(number);
            number += 1;
        }
    }
    order
}

/// When a program comes: all of one round before those of the next, and in each the cheap ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    /// The first few about each rule if they are cheap, and all that are trivial.
    Cheap,
    /// The first about a rule for which all are dear.
    Dear,
    /// The first to measure growth, and the first few with threads: what is done often there is what shows a race.
    GrowthAndThreads,
    /// One more of what is dear, if it needs no process of its own: it does much, and shows what little does not. And the
    /// first few with others beside them, and one more of what measures growth: what is lost of one kind of blocks shows
    /// with no other.
    Second,
    /// What is cheap, beyond the first few.
    OtherCheap,
    /// What is dear.
    OtherDear,
    /// The rest of growth: other faults show in one program alone.
    OtherGrowth,
}

/// How many programs about one rule came so far.
#[derive(Clone, Copy, Default)]
struct Seen {
    all: usize,
    /// Dear ones that measure growth.
    growth: usize,
    /// Other dear ones.
    dear: usize,
}

impl Seen {
    /// When the next one comes.
    fn next(&mut self, item: &Item) -> Round {
        let dear = item.cost > CHEAP;
        let growth = item.program.makes(Call::Steady);
        let threads = item.program.has_threads();
        let alike = match growth {
            true => &mut self.growth,
            false => &mut self.dear,
        };
        self.all += 1;
        *alike += usize::from(dear);
        let few = *alike <= FIRST;
        match (dear, growth) {
            (false, _) if self.all > FIRST && (item.once || item.cost > TRIVIAL) => {
                Round::OtherCheap
            }
            (false, _) => Round::Cheap,
            (true, _) if self.all == 1 => Round::Dear,
            (true, _) if threads && few => Round::GrowthAndThreads,
            (true, true) if *alike == 1 => Round::GrowthAndThreads,
            (true, true) if *alike <= FIRST + usize::from(threads) => Round::Second,
            (true, true) => Round::OtherGrowth,
            (true, false) if *alike == 1 && !item.once => Round::Second,
            (true, false) if item.program.is_among_threads() && few => Round::Second,
            (true, false) => Round::OtherDear,
        }
    }
}

/// A rule is exercised early, however many there are for others and whatever they take: see [`Round`].
pub fn by_rounds(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by_key(|item| item.cost);
    // What is seen where system calls fail one by one nothing else shows, whatever rule that is about.
    let mut seen = [[Seen::default(); RuleId::ALL.len() + 1]; 2];
    let mut rounds: Vec<(Round, Item)> = Vec::with_capacity(items.len());
    for item in items {
        let about = item.program.rule.map_or(RuleId::ALL.len(), RuleId::index);
        let round = seen[usize::from(item.is_sweep())][about].next(&item);
        rounds.push((round, item));
    }
    rounds.sort_by_key(|(round, _)| *round);
    rounds.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Vocabulary;
    use crate::run::plan::Plan;

    #[test]
    fn what_is_dear_waits_for_what_is_trivial() {
        let vocabulary = Vocabulary::default();
        let plan = Plan::new(&vocabulary, &RuleId::ALL.iter().copied().collect(), 1);
        let dear = |item: &Item| item.cost > CHEAP;
        let first = plan.items.iter().position(dear).expect("dear programs");
        let trivial = |item: &Item| !item.once && item.cost <= TRIVIAL;
        assert!(first > 300 && !plan.items[first..].iter().any(trivial));
    }

    #[test]
    fn what_measures_growth_again_waits_for_all_else() {
        let vocabulary = Vocabulary::default();
        let plan = Plan::new(&vocabulary, &RuleId::ALL.iter().copied().collect(), 1);
        let measures = |item: &Item| item.program.makes(Call::Steady);
        let last = plan.items.iter().rposition(|item| !measures(item));
        let last = last.expect("others");
        let (before, after) = plan.items.split_at(last);
        let dear = |item: &&Item| item.cost > CHEAP && !measures(item);
        assert!(before.iter().filter(dear).count() > 100);
        for rule in [RuleId::BoundedSteady, RuleId::BoundedAligned] {
            let of_rule = |items: &[Item]| {
                let of_rule = |item: &&Item| item.program.rule == Some(rule);
                items.iter().filter(of_rule).count()
            };
            assert!(of_rule(before) >= 2 && of_rule(after) >= 1, "{rule}");
        }
    }
}
