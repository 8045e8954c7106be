//! Resizing: between all orders of size both ways, in place and not, between live neighbours, of NULL.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, Program};
use crate::spec::RuleId;

/// Sizes that allocators keep in different ways: tiny, small, a page, large, mapped.
const ORDERS: [u64; 12] = [
    1,
    24,
    100,
    1000,
    4000,
    5000,
    33_000,
    70_000,
    140_000,
    300_000,
    1_500_000,
    2 << 20,
];

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    of_null(out);
    orders(kit, out);
    steps(kit, out);
    ragged(out);
    between_neighbours(kit, out);
    at_the_end(out);
    in_place(kit, out);
    roundtrip(kit, out);
    over_and_over(out);
    very_large(kit, out);
}

/// Sizes for which allocators that have one more way for the largest blocks have it.
fn very_large(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let (from, to) = (64 << 20, 160 << 20);
    if !kit.affords(to) {
        return;
    }
    let mut script = Script::new(RuleId::ReallocContent);
    let block = script.malloc(100);
    script.realloc(block, from);
    script.realloc(block, to);
    script.realloc(block, from + 1);
    script.realloc(block, 100);
    script.free(block);
    out.push(script.finish());
}

fn of_null(out: &mut Vec<Program>) {
    for (rule, call) in [
        (RuleId::ReallocNullIsMalloc, Call::Realloc),
        (RuleId::ReallocarrayNull, Call::Reallocarray),
    ] {
        for size in [1, 16, 24, 100, 1000, 5000, 70_000, 300_000, 2 << 20] {
            let (a, b) = if call == Call::Realloc {
                (size, 0)
            } else {
                (size, 1)
            };
            let mut script = Script::new(rule);
            let block = script.malloc(size);
            script.free(block);
            let block = script.make(Request::new(call, a, b));
            script.expect(Expect::AsBefore);
            let other = script.make(Request::new(call, a, b));
            script.realloc(block, size + 1);
            script.malloc(size);
            script.sweep();
            script.free_all(&[block, other]);
            out.push(script.finish());
        }
        let mut script = Script::new(rule);
        script.make(Request::new(call, 0, 0));
        script.malloc(0);
        script.make(Request::new(call, 0, 0));
        out.push(script.finish());
    }
}

/// From each order of size to each other and back, from blocks of every maker.
fn orders(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for from in ORDERS {
        let mut others = Script::new(RuleId::ReallocContent);
        for request in kit.requests(from) {
            match request.call {
                Call::Malloc => {
                    let mut script = Script::new(RuleId::ReallocContent);
                    there_and_back(&mut script, request, from, u64::MAX);
                    out.push(script.finish());
                }
                // They differ from memalign in nothing that matters here.
                Call::Valloc | Call::Pvalloc => {}
                _ => there_and_back(&mut others, request, from, 200_000),
            }
        }
        out.push(others.finish());
    }
}

fn there_and_back(script: &mut Script, request: Request, from: u64, most: u64) {
    for to in ORDERS.into_iter().filter(|&to| to <= most) {
        let before = script.make(request);
        let block = script.make(request);
        let after = script.make(request);
        script.realloc(block, to);
        script.realloc(block, from);
        script.free_all(&[before, block, after]);
    }
}

/// Large blocks that shrink to sizes that are no multiple of anything, and grow from there.
fn ragged(out: &mut Vec<Program>) {
    for (from, to) in [
        (5000, 4501),
        (20_000, 9001),
        (100_003, 70_001),
        (3 << 20, 300_007),
        (3 << 20, (1 << 20) + 5),
    ] {
        let mut script = Script::new(RuleId::ReallocContent);
        let blocks = script.mallocs(2, from);
        script.realloc(blocks[0], to);
        script.realloc(blocks[1], to);
        let block = script.malloc(to);
        script.realloc(block, from);
        out.push(script.finish());
    }
}

/// By one byte and by little, at every class.
fn steps(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for classes in kit.classes.chunks(8) {
        let mut script = Script::new(RuleId::ReallocContent);
        for &class in classes {
            let block = script.malloc(class);
            script.malloc(class);
            for to in [
                class + 1,
                class,
                class - 1,
                class + 2,
                2 * class,
                class / 2,
                class,
            ] {
                script.realloc(block, to.max(1));
            }
            if kit.has(Call::Reallocarray) {
                script.reallocarray(block, 3, class);
                script.reallocarray(block, class, 1);
            }
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Live blocks on both sides, freed ones beyond, so that a resize in place would have to run into them.
fn between_neighbours(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let sizes = kit
        .classes
        .iter()
        .copied()
        .filter(|&class| class <= 4096)
        .step_by(3);
    for size in sizes.chain([5000, 33_000, 140_000, 300_000, 1 << 20]) {
        let mut script = Script::new(RuleId::ReallocBounds);
        let slots = script.mallocs(9, size);
        script.free_all(&[slots[0], slots[4], slots[8]]);
        for (index, to) in [
            (2, size / 2 + 1),
            (6, 2 * size),
            (2, size),
            (6, size / 3 + 1),
            (3, size + 16),
        ] {
            script.realloc(slots[index], to);
            script.sweep();
        }
        // Into a place between two that are live.
        for to in [size / 2 + 1, size / 4 + 1] {
            let places = script.mallocs(3, to);
            let block = script.malloc(size);
            script.free(places[1]);
            script.realloc(block, to);
            script.sweep();
        }
        // Far more than the old block has: whoever copies the new size reads past it.
        script.realloc(slots[1], 100 * size);
        script.sweep();
        out.push(script.finish());
    }
}

/// Blocks that grow by a little where nothing lies behind them, until something does.
fn at_the_end(out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::ReallocBounds);
    for size in [100, 1000, 5000, 9000, 20_000, 70_000, 300_000] {
        let block = script.malloc(size);
        for sixteenths in 1..=4 {
            script.realloc(block, size + sixteenths * size / 16);
            script.malloc(size / 8);
            // Within what the block has beyond what was asked for, if it has that.
            script.realloc(block, size + sixteenths * size / 16 + size / 64);
        }
        script.sweep();
    }
    out.push(script.finish());
}

/// Blocks that may be kept where they are must not be handed out again.
fn in_place(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let sizes = kit.classes.iter().copied().step_by(4);
    for size in sizes.chain([70_000, 300_000]) {
        let mut script = Script::new(RuleId::ReallocOldDead);
        let block = script.malloc(size);
        script.malloc(size);
        for to in [size, size - size / 8, size] {
            script.realloc(block, to.max(1));
            script.mallocs(4, size);
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// To the end of the class, which is the usable size where it was learned.
fn roundtrip(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for classes in kit.classes.chunks(16) {
        let mut script = Script::new(RuleId::ReallocUsableRoundtrip);
        for &class in classes {
            let block = script.malloc(class - 1);
            script.ask(kit, block);
            // Down and up again is nothing to ask of memory that there was none of.
            script.realloc(block, class);
            script.expect(Expect::AsBefore);
            script.realloc(block, class);
            script.expect(Expect::AsBefore);
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Moves in a row must release what they moved away from, where copying by hand and freeing does.
fn over_and_over(out: &mut Vec<Program>) {
    for (small, large, times) in [
        (100, 5000, 32_768),
        (1000, 40_000, 4096),
        (100_000, 700_000, 300),
    ] {
        out.push(around(&[small, large], times));
    }
    let sizes = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
    out.push(around(&sizes, 300));
}

/// A block takes these sizes in turn, again and again: first by making each and freeing the one before, then by realloc.
fn around(sizes: &[u64], times: u64) -> Program {
    let mut script = Script::new(RuleId::ReallocOldDead);
    let start = script.here();
    let mut old = script.malloc(sizes[0]);
    for &size in sizes[1..].iter().chain(&sizes[..1]) {
        let new = script.malloc(size);
        script.free(old);
        old = new;
    }
    script.free(old);
    script.repeat_from(start, times);
    script.bounded(Expect::Any);

    let block = script.malloc(sizes[0]);
    let start = script.here();
    for &size in sizes[1..].iter().chain(&sizes[..1]) {
        script.realloc(block, size);
    }
    script.repeat_from(start, times);
    script.bounded(Expect::AsBefore);
    script.finish()
}
