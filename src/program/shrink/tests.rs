use super::*;
use crate::program::op::{Expect, Slot};
use crate::program::seeded::SplitMix;
use quickcheck::QuickCheck;

fn parse(lines: &str) -> Program {
    Program::parse(&format!("# allocspec trace 1\n{lines}")).unwrap()
}

/// A random program with expectations, repetitions and limits strewn in.
fn decorated(seed: u64, ops: usize) -> Program {
    let mut random = SplitMix::new(seed);
    let mut program = Program::default();
    for op in Program::random(seed, &Vocabulary::default(), ops).ops {
        program.ops.push(op);
        match random.below(12) {
            0 => {
                let expect = Expect::ALL[random.below(Expect::ALL.len() as u64) as usize];
                let last = program.ops.len() - 1;
                program.ops[last].expect = expect;
            }
            1 => {
                let length = 1 + random.below(3);
                program
                    .ops
                    .push(Op::new(Call::Repeat, NO_SLOT, 1 + random.below(9), length));
            }
            2 if seed.is_multiple_of(3) => {
                let bytes = random.below(2) * (64 << 20);
                program.ops.push(Op::new(Call::Limit, NO_SLOT, bytes, 0));
            }
            3 => {
                // A slot used again, which random repetitions hardly ever surround.
                let slot = 1000 + random.below(2) as Slot;
                program.ops.push(Op::new(Call::Malloc, slot, 64, 0));
                program.ops.push(Op::new(Call::Free, slot, 0, 0));
                program.ops.push(Op::new(Call::Repeat, NO_SLOT, 3, 2));
            }
            _ => {}
        }
    }
    if seed.is_multiple_of(2) {
        program
            .ops
            .retain(|op| !matches!(op.call, Call::FailRaw | Call::FailArena | Call::ShiftArena));
    }
    program.legalise();
    program
}

/// Accepts every proposal for which `breaks`; the result and the number of proposals.
fn reduce(program: &Program, breaks: impl Fn(&Program) -> bool) -> (Program, usize) {
    assert!(breaks(program));
    let mut reducer = Reducer::new(program);
    let mut proposals = 0;
    while let Some(candidate) = reducer.next() {
        proposals += 1;
        if breaks(&candidate) {
            reducer.accept(candidate);
        }
    }
    (reducer.into_best(), proposals)
}

fn holds_of_every_proposal(program: &Program) {
    for candidate in program.shrink() {
        assert_eq!(candidate.check(), Ok(()), "{program}");
        assert!(
            candidate.measure() < program.measure(),
            "{program}\n{candidate}"
        );
        assert_eq!(candidate.rule, program.rule);
    }
}

#[test]
fn proposals_are_legal_and_smaller() {
    fn property(program: Program) -> bool {
        holds_of_every_proposal(&program);
        true
    }
    QuickCheck::new()
        .tests(20)
        .quickcheck(property as fn(Program) -> bool);
    for seed in 0..60 {
        holds_of_every_proposal(&decorated(seed, 60));
    }
}

#[test]
fn what_is_legal_is_left_as_it_is() {
    for seed in 0..60 {
        for program in [
            decorated(seed, 200),
            Program::random(seed, &Vocabulary::default(), 200),
        ] {
            let mut legalised = program.clone();
            legalised.legalise();
            assert_eq!(legalised, program);
            assert_eq!(Program::parse(&program.to_string()), Ok(program));
        }
    }
}

#[test]
fn shrinking_ends_at_nothing_when_everything_breaks() {
    for seed in 0..40 {
        let (least, proposals) = reduce(&decorated(seed, 300), |_| true);
        assert!(least.ops.is_empty(), "{least}");
        assert!(proposals < 2000, "{proposals}");
    }
}

#[test]
fn renaming_changes_nothing_but_names() {
    for seed in 0..60 {
        let program = decorated(seed, 200);
        for renamed in [slots::separated(&program), slots::numbered(&program)] {
            assert_eq!(renamed.check(), Ok(()));
            let nameless = |program: &Program| {
                program
                    .ops
                    .iter()
                    .map(|op| Op {
                        slot: NO_SLOT,
                        ..*op
                    })
                    .collect::<Vec<_>>()
            };
            assert_eq!(nameless(&renamed), nameless(&program));
            assert_eq!(slots::numbered(&renamed), renamed);
        }
    }
}

/// A live block of at least 1000 bytes, later grown, and an aligned block in between.
fn grows_past_an_aligned_one(program: &Program) -> bool {
    let mut big = std::collections::BTreeMap::new();
    let mut aligned_seen = 0;
    for op in &program.ops {
        if op.call.frees() {
            big.remove(&op.slot);
        } else if op.call.takes_alignment() && op.a >= 64 {
            aligned_seen += 1;
        } else if let Some(size) = op.size() {
            let grown = big
                .get(&op.slot)
                .is_some_and(|&(old, seen)| old < size && seen < aligned_seen);
            if grown {
                return true;
            }
            if (1000..1 << 40).contains(&size) {
                big.insert(op.slot, (size, aligned_seen));
            }
        }
    }
    false
}

#[test]
fn long_programs_shrink_to_what_matters() {
    for seed in 0..5 {
        let program = Program::random(seed, &Vocabulary::default(), 50_000);
        let (least, proposals) = reduce(&program, grows_past_an_aligned_one);
        let ops = &least.ops;
        assert_eq!(ops.len(), 3, "{least}");
        assert_eq!(ops[0], Op::new(Call::Malloc, 0, 1000, 0));
        assert!(ops[1].call.takes_alignment());
        assert_eq!((ops[1].slot, ops[1].a, ops[1].b), (1, 64, 0));
        assert_eq!(ops[2], Op::new(Call::Realloc, 0, 1001, 0));
        assert!(proposals < 1500, "{proposals}");
    }
}

#[test]
fn repetitions_shrink_in_count_and_body() {
    let program =
        parse("p0 = malloc 8\np1 = malloc 9\nusable p1\nfree p1\nrepeat 1000 x 3\nfree p0");
    let (least, _) = reduce(&program, |program| {
        program
            .ops
            .iter()
            .any(|op| op.call == Call::Repeat && op.a >= 100 && op.b >= 2)
    });
    assert_eq!(
        least
            .lines()
            .map(|line| line.to_string())
            .collect::<Vec<_>>(),
        ["p0 = malloc 0", "free p0", "repeat 100 x 2"]
    );
}

/// Every program reachable by two proposals.
fn reachable(lines: &str) -> Vec<Program> {
    let program = parse(lines);
    let once: Vec<Program> = program.shrink().collect();
    let twice = once.iter().flat_map(|program| program.shrink());
    twice.chain(once.iter().cloned()).collect()
}

#[test]
fn as_before_keeps_what_it_compares_with() {
    let lines = "p0 = malloc 10\np1 = malloc 4900000000\nfree p1\np2 = calloc 70000 70000 expect as before\nfree p2";
    let found = reachable(lines);
    assert!(found.iter().any(|program| {
        program
            .ops
            .iter()
            .all(|op| op.slot == NO_SLOT || op.slot != 2)
    }));
    for program in found {
        let compares = program
            .ops
            .iter()
            .position(|op| op.expect == Expect::AsBefore);
        if let Some(index) = compares {
            let witness = program.ops[..index].iter().rfind(|op| op.call.allocates());
            assert_eq!(witness.and_then(Op::size), Some(4_900_000_000), "{program}");
        }
    }
}

#[test]
fn the_main_thread_is_compared_with_itself_alone() {
    let lines = "p0 = malloc 9223372036854775807\nthread 1\np1 = malloc 10\nfree p1\njoin\nfork\np1 = malloc 10\nwait\n\
                 p2 = malloc 9223372036854775807 expect as before";
    for program in reachable(lines) {
        let mut own = true;
        let mut last = None;
        for op in &program.ops {
            match op.call {
                Call::Thread | Call::Fork => own = false,
                Call::Join | Call::Wait => own = true,
                _ => {}
            }
            if op.expect == Expect::AsBefore {
                assert_eq!(last, Some(u64::MAX / 2), "{program}");
            }
            if own && op.call.allocates() {
                last = op.size();
            }
        }
    }
    // What is compared with another one's allocation, once all are the main thread's, is compared with nothing.
    let alone = parse(lines).without_threads();
    assert!(alone.ops.iter().all(|op| op.expect == Expect::Any));
    let fair =
        parse("thread 1\np1 = malloc 10\njoin\np0 = malloc 1\np2 = malloc 1 expect as before");
    let compared = fair.without_threads();
    assert_eq!(compared.ops[2].expect, Expect::AsBefore);
}

#[test]
fn threads_that_follow_one_another_go_on_to() {
    let lines = "schedule in order\nthread 1\np0 = malloc 10\nthread 2\nfree p0\np1 = malloc 10\nthread 1\np2 = malloc 10";
    let found = reachable(lines);
    let has = |program: &Program, call| program.ops.iter().any(|op| op.call == call);
    for program in &found {
        let ordered = has(program, Call::Schedule);
        assert!(ordered || !program.has_threads(), "{program}");
    }
    assert!(found.iter().any(|program| program.ops.len() <= 5));
    let shaken = reachable(&lines.replace("in order", "shaken 7"));
    assert!(shaken.iter().any(|program| !has(program, Call::Schedule)));
}

#[test]
fn blocks_are_made_anew_instead_of_resized() {
    let resizing = "thread 1\np0 = malloc 10\np0 = realloc p0 20\np0 = reallocarray p0 3 4\nfree p0\nrepeat 5 x 4\n\
                    p1 = realloc null 7";
    let plain = "thread 1\np0 = malloc 10\nfree p0\np0 = malloc 20\nfree p0\np0 = malloc 12\nfree p0\nrepeat 5 x 6\n\
                 p1 = malloc 7";
    let calls = |program: &Program| -> Vec<_> {
        let ops = program.ops.iter();
        ops.map(|op| (op.call, op.a, op.b)).collect()
    };
    let without = parse(resizing).without_resizing();
    assert_eq!(calls(&without), calls(&parse(plain)), "{without}");
    assert_eq!(without.check(), Ok(()));
}

#[test]
fn what_was_freed_for_an_expectation_stays_freed() {
    let lines = "limit 67108864\np0 = malloc 16777216\np1 = malloc 16777216\np2 = malloc 16777216\np3 = malloc 16777216\n\
                 sweep\nfree p1\np4 = malloc 16777216 expect pointer\nlimit none";
    let found = reachable(lines);
    for program in &found {
        let expects = program
            .ops
            .iter()
            .position(|op| op.expect == Expect::Pointer);
        let limit = program
            .ops
            .iter()
            .position(|op| op.call == Call::Limit && op.a != 0);
        if let (Some(index), Some(limit)) = (expects, limit)
            && limit < index
        {
            assert!(
                program.ops[..index].iter().any(|op| op.call == Call::Free),
                "{program}"
            );
            let sizes = program.ops.iter().filter_map(Op::size);
            assert!(
                sizes.into_iter().all(|size| size == 16_777_216),
                "{program}"
            );
        }
    }
    assert!(
        found.iter().any(|program| program.ops.len() <= 5),
        "the blocks that fill memory may go"
    );
}

#[test]
fn counted_failures_only_lose_their_end() {
    let lines = "p0 = malloc 600\nfail raw 1\np1 = malloc 600 expect NULL\np2 = malloc 600 expect pointer\nfree p2";
    let whole = parse(lines);
    let candidates: Vec<Program> = whole.shrink().collect();
    assert!(!candidates.is_empty());
    for candidate in candidates {
        assert!(whole.ops.starts_with(&candidate.ops), "{candidate}");
    }
}

#[test]
fn compared_addresses_keep_their_history() {
    for program in reachable(
        "p0 = malloc 512\nfree p0\np0 = malloc 512\np0 = realloc p0 385 expect same pointer",
    ) {
        if program
            .ops
            .iter()
            .any(|op| op.expect == Expect::SamePointer)
        {
            let sizes: Vec<_> = program.ops.iter().filter_map(Op::size).collect();
            assert!(sizes.ends_with(&[512, 385]), "{program}");
        }
    }
}
