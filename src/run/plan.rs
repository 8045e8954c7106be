//! The programs of a check, in the order in which they are run.
//!
//! Vectors and directed programs come first, the cheapest first: a rule is exercised early, however slow the subject
//! is. Random programs come among them and fill the rest of the time; each depends on the seed and its number alone.

use super::budget::Budget;
use super::phase::Phase;
use super::process;
use crate::program::{Call, Failing, Op, Program, Vocabulary, Which, directed, vectors};
use crate::spec::{RuleId, RuleSet};
use std::time::{Duration, Instant};

/// The lengths of random programs, in turn.
const LENGTHS: [usize; 12] = [
    64, 256, 2_000, 128, 500, 20_000, 400, 5_000, 64, 1_000, 100_000, 300,
];
/// One in so many random programs is of several threads, and has at least and at most so many operations: in short ones
/// nothing meets.
const EACH_THREADED: usize = 4;
const FEWEST_THREADED: usize = 1000;
const MOST_THREADED: usize = 20_000;
/// While there are others, random programs cost one part, and the others so many.
const OTHERS: u64 = 3;
/// What a program costs at most that is not put off.
const CHEAP: u64 = 20_000;
/// What a program costs at most that does not have to wait for others, however many there are of its rule: starting its
/// process takes longer than running it.
const TRIVIAL: u64 = 64;
/// What a sweep costs, in runs of its program: about as many as there are system calls to fail.
const RUNS: u64 = 8;
/// Programs about one rule that can be brought forward.
const ABOUT: usize = 4;
/// Programs about one rule that do not have to wait for cheaper ones about others.
const FIRST: usize = 2;
/// The share of the time that one program of the plan may take.
const SHARE: u32 = 6;
/// And that it may always take, if there is as much.
const LEAST_SHARE: Duration = Duration::from_secs(1);
/// The share that a random program may take while there are others.
const SHARE_OF_RANDOM: u32 = 40;

/// One program to run.
#[derive(Clone, Debug)]
pub struct Item {
    /// The program.
    pub program: Program,
    /// How it came to be: `vector NAME`, `directed RULE`, `first call`, `random N`, `threads RULE`, `threads N`.
    pub phase: String,
    /// Whether it must be run in a process in which nothing was called before.
    pub once: bool,
    /// Whether it was given by the user, and is run as it is and however long it takes.
    given: bool,
    /// How much of the time it may take.
    share: Share,
    /// What it costs, roughly: see [`Program::cost`].
    cost: u64,
}

/// How much of the time one program may take.
#[derive(Clone, Copy, Debug)]
enum Share {
    /// All that is left.
    Rest,
    /// One in so many parts, but at least so much.
    Part(u32, Duration),
}

impl Item {
    /// A program given by the user.
    pub fn given(program: Program, once: bool) -> Item {
        Item {
            once,
            given: true,
            share: Share::Rest,
            ..Item::planned(program, "replay".into())
        }
    }

    /// A program of the plan, in a fresh process if it needs one.
    fn planned(program: Program, phase: String) -> Item {
        Item {
            cost: cost(&program),
            once: is_fresh(&program),
            program,
            phase,
            given: false,
            share: Share::Part(SHARE, LEAST_SHARE),
        }
    }

    /// The same with another program in its place.
    #[must_use]
    pub fn with(&self, program: Program) -> Item {
        Item {
            program,
            ..self.clone()
        }
    }

    /// Whether its first operation is the first call of a process.
    pub fn is_first_call(&self) -> bool {
        self.once && !is_fresh(&self.program)
    }

    /// Whether the program is run again and again, another system call failing each time, until none is left to fail.
    pub fn is_sweep(&self) -> bool {
        !self.given && fails_one_by_one(&self.program)
    }

    /// The same program, in which the system call of this number fails, or those from it on.
    #[must_use]
    pub fn failing(&self, number: u64) -> Item {
        let mut item = self.clone();
        for op in &mut item.program.ops {
            if let Some(failing) = Failing::of(op) {
                *op = Failing { number, ..failing }.op();
            }
        }
        item
    }

    /// The number after this one in a sweep. Where all fail from one on, the runs differ less and less.
    pub fn next_to_fail(&self, number: u64) -> u64 {
        let mut failing = self.program.ops.iter().filter_map(Failing::of);
        match failing.all(|failing| failing.which == Which::From) {
            true => 2 * number,
            false => number + 1,
        }
    }

    /// Keeps at most so many operations of the program, if it has no repetitions.
    pub fn cut_short(&mut self, ops: u64) {
        if self.program.steps() > ops && self.program.ops.iter().all(|op| op.call != Call::Repeat) {
            self.program.ops.truncate(ops as usize);
        }
    }

    /// The phase that it is of; `None` if it was given by the user.
    pub fn phase(&self) -> Option<Phase> {
        Some(match self.phase.split(' ').next()? {
            "vector" => Phase::Vectors,
            "directed" => Phase::Directed,
            "first" => Phase::FirstCalls,
            "random" => Phase::Random,
            "threads" => Phase::Threads,
            _ => return None,
        })
    }

    /// When a run of the program is to stop, in nanoseconds of the monotonic clock: one program must not take the time
    /// of all others.
    pub fn deadline(&self, budget: &Budget) -> u64 {
        let left = budget.latest().saturating_duration_since(Instant::now());
        let share = match self.share {
            Share::Rest => left,
            Share::Part(part, least) => left.min((budget.time / part).max(least)),
        };
        process::now() + share.as_nanos() as u64
    }
}

/// The programs of a check.
pub struct Plan<'a> {
    items: Vec<Item>,
    order: Vec<Turn>,
    random: Option<Random<'a>>,
}

/// Which random programs there are.
#[derive(Clone, Copy)]
struct Random<'a> {
    vocabulary: &'a Vocabulary,
    seed: u64,
    /// Whether there are some of one thread, and some of several.
    kinds: (bool, bool),
}

impl<'a> Random<'a> {
    /// Those that the vocabulary has words for.
    fn all(vocabulary: &'a Vocabulary, seed: u64) -> Random<'a> {
        Random {
            vocabulary,
            seed,
            kinds: (true, vocabulary.threads),
        }
    }

    fn item(self, number: usize) -> Item {
        let seed = self
            .seed
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(number as u64);
        let threaded = match self.kinds {
            (true, true) => number % EACH_THREADED == EACH_THREADED - 1,
            (_, threaded) => threaded,
        };
        let (program, phase) = if threaded {
            let length = length(number).clamp(FEWEST_THREADED, MOST_THREADED);
            (
                Program::random_threads(seed, self.vocabulary, length),
                Phase::Threads,
            )
        } else {
            (
                Program::random(seed, self.vocabulary, length(number)),
                Phase::Random,
            )
        };
        Item {
            once: false,
            share: Share::Rest,
            ..Item::planned(program, format!("{} {number}", phase.as_str()))
        }
    }
}

/// Whether a program begins in circumstances of its own: everything is to be done in them for the first time.
pub(super) fn is_fresh(program: &Program) -> bool {
    program.ops.first().is_some_and(|op| op.call == Call::Under)
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
        items.sort_by_key(|item| item.cost);
        let mut random = Random::all(vocabulary, seed);
        random.kinds.1 &= rules.contains(RuleId::ThreadSafe);
        Plan::with(first_of_each(items), Some(random))
    }

    /// What of it is of these phases; all if none is named.
    #[must_use]
    pub fn only(mut self, phases: &[Phase]) -> Plan<'a> {
        if phases.is_empty() {
            return self;
        }
        let has = |phase| phases.contains(&phase);
        self.items.retain(|item| item.phase().is_some_and(has));
        let random = self.random.and_then(|random| {
            let (alone, threaded) = random.kinds;
            let kinds = (alone && has(Phase::Random), threaded && has(Phase::Threads));
            (kinds != (false, false)).then_some(Random { kinds, ..random })
        });
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

/// Whose turn it is.
enum Turn {
    /// One of the items.
    Item(usize),
    /// The random program of this number.
    Random(usize),
}

/// The items in their order, and among them random programs, so that there are some however slow the subject or the
/// machine is.
fn order(items: &[Item], with_random: bool) -> Vec<Turn> {
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

/// Whether system calls fail in the program, the first alone or all from the first on: one run shows how many there are
/// to fail.
fn fails_one_by_one(program: &Program) -> bool {
    let mut failing = program.ops.iter().filter_map(Failing::of).peekable();
    failing.peek().is_some()
        && failing.all(|failing| failing.which != Which::Some && failing.number == 1)
}

/// What a program of the plan costs, roughly: see [`Program::cost`]. System calls that fail at random wait for those that
/// fail one by one, which show the same in shorter programs.
fn cost(program: &Program) -> u64 {
    let mut failing = program.ops.iter().filter_map(Failing::of);
    let runs = match failing.any(|failing| failing.which == Which::Some) {
        true => 2 * RUNS,
        false if fails_one_by_one(program) => RUNS,
        false => 1,
    };
    program.cost().saturating_mul(runs)
}

fn length(number: usize) -> usize {
    LENGTHS[number % LENGTHS.len()]
}

/// What a random program costs, roughly: see [`Program::cost`].
fn random_cost(number: usize) -> u64 {
    8 * length(number) as u64
}

/// The first few items about each rule and the trivial ones before the others, and of both the cheap ones first; of what is
/// dear only the first, and that before all else that is dear.
/// Of what is dear and has threads the first few all the same: what is done often there is what shows a race. The items come by
/// cost.
/// Of what is dear one more comes when each rule has had its turn, if it needs no process of its own: it does much, and shows
/// what little does not. So do the first of those with others beside them, and one more of what measures growth: what is
/// lost of one kind of blocks shows with no other. The rest of growth comes last, for other faults show in one program alone.
fn first_of_each(items: Vec<Item>) -> Vec<Item> {
    let mut seen = [[(0, [0; 2]); RuleId::ALL.len() + 1]; 2];
    let mut turns: [Vec<Item>; 7] = Default::default();
    for item in items {
        let rule = item.program.rule;
        // What is seen where system calls fail one by one nothing else shows, whatever rule that is about.
        let seen = &mut seen[usize::from(item.is_sweep())];
        let (all, of_dear) = &mut seen[rule.map_or(RuleId::ALL.len(), RuleId::index)];
        let dear = item.cost > CHEAP;
        let growth = item.program.makes(Call::Steady);
        let of_dear = &mut of_dear[usize::from(growth)];
        *all += 1;
        *of_dear += usize::from(dear);
        let threads = item.program.has_threads();
        let beside = item.program.is_among_threads();
        let turn = match dear {
            false if *all > FIRST && (item.once || item.cost > TRIVIAL) => 4,
            false => 0,
            true if *all == 1 => 1,
            true if *of_dear == 1 && growth || threads && *of_dear <= FIRST => 2,
            true if growth && *of_dear <= FIRST + usize::from(threads) => 3,
            true if *of_dear == 1 && !item.once || beside && *of_dear <= FIRST => 3,
            true => 5 + usize::from(growth),
        };
        turns[turn].push(item);
    }
    turns.into_iter().flatten().collect()
}

/// Every entry point as the first call of a process, those that take a size with a small, no and a huge one, and a few
/// ordinary calls after it.
fn first_calls(vocabulary: &Vocabulary) -> impl Iterator<Item = Item> {
    use crate::program::NO_SLOT;
    // Multiples of 64, so that no document leaves them undefined for `aligned_alloc`.
    let sizes = [128, 0, u64::MAX << 6];
    let sized = sizes.into_iter().flat_map(|size| {
        [
            Op::new(Call::Malloc, 0, size, 0),
            Op::new(Call::Calloc, 0, 1, size),
            Op::new(Call::Realloc, 0, size, 0),
            Op::new(Call::Reallocarray, 0, 1, size),
            Op::new(Call::AlignedAlloc, 0, 64, size),
            Op::new(Call::PosixMemalign, 0, 64, size),
            Op::new(Call::Memalign, 0, 4096, size),
            Op::new(Call::Valloc, 0, size, 0),
            Op::new(Call::Pvalloc, 0, size, 0),
            Op::new(Call::Reallocf, 0, size, 0),
            Op::new(Call::Recallocarray, 0, 1, size),
        ]
    });
    let news = Call::ALL.iter().filter(|call| call.is_new());
    let news = news.flat_map(move |&call| {
        sizes.map(|size| match call.takes_alignment() {
            true => Op::new(call, 0, 64, size),
            false => Op::new(call, 0, size, 0),
        })
    });
    let deletes = Call::ALL.iter().filter(|call| call.is_delete());
    let deletes = deletes.map(|&call| Op::new(call, NO_SLOT, 0, 0).with_arguments_of_null(64));
    let others = [
        Op::new(Call::Malloc, 0, 8 << 20, 0),
        Op::new(Call::Free, NO_SLOT, 0, 0),
        Op::new(Call::UsableSize, NO_SLOT, 0, 0),
        Op::new(Call::FreeSized, NO_SLOT, 8, 0),
        Op::new(Call::FreeAlignedSized, NO_SLOT, 8, 8),
        Op::new(Call::Freezero, NO_SLOT, 8, 0),
        Op::new(Call::Trim, NO_SLOT, 0, 0),
    ];
    sized
        .chain(others)
        .chain(news)
        .chain(deletes)
        .filter(|op| vocabulary.has(op.call))
        .map(|first| {
            let ops = vec![
                first,
                Op::new(Call::Malloc, 1, 24, 0),
                Op::new(Call::Malloc, 2, 5000, 0),
                Op::new(Call::Free, 1, 0, 0),
                Op::new(Call::Malloc, 3, 24, 0),
                Op::new(Call::Free, 2, 0, 0),
                Op::new(Call::Free, 3, 0, 0),
            ];
            let program = Program {
                rule: Some(RuleId::FirstCallAny),
                ops,
            };
            Item {
                once: true,
                ..Item::planned(program, "first call".into())
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Syscall;

    /// An item whose system calls fail from the first on, or the first alone.
    fn failing(which: Which, given: bool) -> Item {
        let first = Failing {
            syscall: Syscall::Any,
            which,
            number: 1,
        };
        let ops = vec![
            first.op(),
            Op::new(Call::Malloc, 0, 1 << 20, 0),
            Failing::none(),
        ];
        let program = Program { rule: None, ops };
        Item {
            given,
            ..Item::given(program, false)
        }
    }

    #[test]
    fn a_sweep_goes_from_system_call_to_system_call() {
        let numbers = |which| {
            let mut numbers = vec![1];
            for _ in 0..3 {
                let item = failing(which, false);
                numbers.push(item.next_to_fail(numbers[numbers.len() - 1]));
            }
            numbers
        };
        assert_eq!(numbers(Which::Nth), [1, 2, 3, 4]);
        assert_eq!(numbers(Which::From), [1, 2, 4, 8]);

        let item = failing(Which::Nth, false);
        assert!(item.is_sweep());
        let third = item.failing(3).program;
        let text: Vec<String> = third.lines().map(|line| line.to_string()).collect();
        assert_eq!(
            text,
            [
                "fail syscall any 3",
                "p0 = malloc 1048576",
                "fail syscall none"
            ]
        );
        assert!(!item.failing(3).is_sweep(), "what is in it has been chosen");
        assert!(!failing(Which::Some, false).is_sweep(), "all are at random");
        assert!(
            !failing(Which::Nth, true).is_sweep(),
            "a replay is run as it is"
        );
    }

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

    #[test]
    fn every_function_comes_first_with_every_kind_of_size() {
        let vocabulary = Vocabulary::default();
        let rules = RuleSet::from_iter([RuleId::FirstCallAny]);
        let plan = Plan::new(&vocabulary, &rules, 1);
        let firsts: Vec<Op> = plan.items.iter().map(|item| item.program.ops[0]).collect();
        let is_entry_point = |call: &&Call| call.is_entry_point() && **call != Call::Stretch;
        for &call in Call::ALL.iter().filter(is_entry_point) {
            let sizes: Vec<Option<u64>> = firsts
                .iter()
                .filter(|op| op.call == call)
                .map(Op::size)
                .collect();
            assert!(!sizes.is_empty(), "{call:?}");
            if call.allocates() || call.reallocates() {
                assert!(sizes.contains(&Some(0)), "{call:?}: {sizes:?}");
                assert!(sizes.iter().any(|size| *size > Some(1 << 63)), "{call:?}");
            }
        }
        assert!(plan.items.iter().all(|item| item.once));
    }
}
