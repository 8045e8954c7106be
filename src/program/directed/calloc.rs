//! Zeroed memory that was somebody else's before, products that fit, and the order of the factors.

use super::script::{Kit, Script};
use crate::program::op::{Call, Expect, Program};
use crate::spec::RuleId;

/// Bytes that products beyond 32 bits take.
const ROOMY: u64 = 8 << 30;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    recycled_classes(kit, out);
    recycled_mappings(out);
    with_gaps(kit, out);
    fitting_products(kit, out);
    exchanged(out);
}

/// Memory of every class, written to the last byte, freed wholly or in part, and asked for zeroed.
fn recycled_classes(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (index, &class) in kit.classes.iter().enumerate() {
        let other = kit.classes[(index + 1) % kit.classes.len()];
        let mut script = Script::new(RuleId::CallocZero);
        let slots = script.mallocs(12, class);
        if kit.has(Call::Stretch) {
            for &slot in &slots {
                script.on(Call::Stretch, slot);
            }
        }
        // Part of them first: the memory around is still live.
        for slot in slots.iter().step_by(2) {
            script.free(*slot);
        }
        for _ in 0..8 {
            script.calloc(1, class);
        }
        for slot in slots.iter().skip(1).step_by(2) {
            script.free(*slot);
        }
        script.calloc(class, 1);
        script.calloc(1, class - 1);
        script.calloc(1, other);
        script.calloc(1, class / 2 + 1);

        // Memory that a realloc grew into and out of.
        let grown = script.malloc(class / 2 + 1);
        script.realloc(grown, class);
        script.realloc(grown, 2 * class);
        script.free(grown);
        script.calloc(2, class);
        script.calloc(1, class / 2 + 1);
        script.calloc(1, class);
        script.calloc(1, class);
        script.sweep();
        out.push(script.finish());
    }
}

/// The same where blocks are mapped one by one, or cut from what was.
fn recycled_mappings(out: &mut Vec<Program>) {
    for size in [
        33_000,
        70_000,
        140_000,
        300_000,
        600_000,
        1 << 20,
        (1 << 20) + 1,
        3 << 20,
    ] {
        let mut script = Script::new(RuleId::CallocZero);
        let blocks = [script.malloc(size), script.malloc(size)];
        script.free_all(&blocks);
        let zeroed = script.calloc(1, size);
        let halves = script.calloc(2, size / 2);
        script.free_all(&[zeroed, halves]);
        // Dirty again, by the harness, and cut into smaller pieces.
        for piece in [2, 16, 100] {
            script.calloc(1, size / piece);
            script.calloc(piece, 50);
        }
        let grown = script.malloc(size / 2);
        script.realloc(grown, 2 * size);
        script.realloc(grown, size);
        script.free(grown);
        script.calloc(1, 2 * size);
        script.calloc(1, size);
        out.push(script.finish());
    }
}

/// An aligned block is freed, which is one place then with the gap before it, where nobody stored anything.
fn with_gaps(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let Some(call) = kit.aligning().next() else {
        return;
    };
    for (alignment, size, zeroed) in [
        (256, 200, 700),
        (4096, 3000, 9000),
        (64 << 10, 40_000, 100_000),
        (256 << 10, 100_000, 400_000),
    ] {
        let mut script = Script::new(RuleId::CallocZero);
        for _ in 0..8 {
            let block = script.make(kit.aligned(call, alignment, size));
            script.free(block);
            script.calloc(1, zeroed);
        }
        out.push(script.finish());
    }
}

/// Products that fit in 64 bits but not in 32: what malloc can supply, calloc must not take for an overflow.
fn fitting_products(kit: &Kit<'_>, out: &mut Vec<Program>) {
    // Those beyond 32 bits first: they are what a narrow product gets wrong.
    const PAIRS: [(u64, u64); 10] = [
        (1 << 16, (1 << 16) + 1),
        (5, 1 << 30),
        (1000, 1000),
        (1 << 16, 255),
        (255, 1 << 16),
        (1 << 16, 257),
        (70_000, 1000),
        (1 << 28, 1),
        (1, 1 << 28),
        (1 << 30, 5),
    ];
    // All of it may be written: not every allocator knows which pages the kernel zeroed.
    let room = match kit.vocabulary.lazy_calloc {
        true => kit.vocabulary.max_live.max(ROOMY),
        false => kit.vocabulary.max_live,
    };
    for (count, size) in PAIRS {
        if count * size <= room {
            let mut script = Script::new(RuleId::CallocNoFalseWrap);
            let block = script.malloc(count * size);
            script.free(block);
            let block = script.calloc(count, size);
            script.expect(Expect::AsBefore);
            script.free(block);
            out.push(script.finish());
        }
    }
}

fn exchanged(out: &mut Vec<Program>) {
    for (a, b) in [
        (1, 24),
        (3, 8),
        (7, 13),
        (3, 100),
        (3, 5000),
        (2, 70_000),
        (100, 4096),
        (1000, 1),
    ] {
        let mut script = Script::new(RuleId::CallocArgsSym);
        let dirty = script.mallocs(4, a * b);
        script.free_all(&dirty);
        for (count, size) in [(a, b), (b, a), (a, b)] {
            let block = script.calloc(count, size);
            script.expect(Expect::AsBefore);
            script.free(block);
        }
        out.push(script.finish());
    }
}
