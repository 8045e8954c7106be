//! The functions that BSD adds: `reallocf`, `recallocarray` and `freezero`.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, NO_SLOT, Op, Program};
use crate::spec::RuleId;

/// Sizes that allocators keep in different ways, all even: tiny, small, a page, large, mapped.
const SIZES: [u64; 10] = [
    16,
    48,
    100,
    1000,
    4000,
    5000,
    33_000,
    140_000,
    300_000,
    2 << 20,
];
/// Sizes that no address space holds.
const HUGE: [u64; 3] = [u64::MAX, 1 << 63, 1 << 57];

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    freed_on_failure(out);
    arrays_of_null(out);
    grown(kit, out);
    overflowing(out);
    discarded(kit, out);
    of_null(out);
}

/// Blocks made and freed by hand, then as many that `reallocf` frees because it fails.
fn freed_on_failure(out: &mut Vec<Program>) {
    for (size, times) in [(4096, 32_768), (70_000, 2000), (1 << 20, 200)] {
        let mut script = Script::new(RuleId::ReallocfFrees);
        let block = script.malloc(size);
        script.free(block);
        script.repeat_from(0, times);
        script.bounded(Expect::Any);
        let start = script.here();
        let block = script.malloc(size);
        script.add(Op::new(Call::Reallocf, block, u64::MAX, 0));
        // Nothing is left to be freed: the operation gives the slot back.
        script.free(block);
        script.repeat_from(start, times);
        script.bounded(Expect::AsBefore);
        out.push(script.finish());
    }
    // The same for little: few blocks, each of which is seen.
    let mut script = Script::new(RuleId::ReallocfFrees);
    let block = script.malloc(1 << 20);
    script.free(block);
    script.repeat_from(0, 99);
    script.bounded(Expect::Any);
    let start = script.here();
    let block = script.malloc(1 << 20);
    script.add(Op::new(Call::Reallocf, block, u64::MAX, 0));
    script.free(block);
    script.repeat_from(start, 149);
    script.bounded(Expect::AsBefore);
    out.push(script.finish());
    // Whether these are freed cannot be seen, but what comes after them can.
    for huge in HUGE {
        let mut script = Script::new(RuleId::HugeMustFail);
        let blocks: Vec<_> = SIZES.iter().map(|&size| script.malloc(size)).collect();
        let other = script.malloc(100);
        for &block in &blocks {
            script.add(Op::new(Call::Reallocf, block, huge, 0));
            script.free(block);
            script.malloc(100);
        }
        script.add(Op::new(Call::Reallocf, other, 5000, 0));
        script.add(Op::new(Call::Reallocf, other, 50, 0));
        script.sweep();
        out.push(script.finish());
    }
}

fn arrays_of_null(out: &mut Vec<Program>) {
    for size in SIZES {
        let mut script = Script::new(RuleId::RecallocarrayNull);
        let block = script.malloc(size);
        script.free(block);
        for (count, each) in [(1, size), (size, 1), (size / 2, 2)] {
            let block = script.make(Request::new(Call::Recallocarray, count, each));
            script.expect(Expect::AsBefore);
            script.malloc(size);
            script.free(block);
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Into memory that was used before, and back.
fn grown(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let classes = kit.classes.iter().map(|&class| class.next_multiple_of(8));
    for size in SIZES.into_iter().chain(classes.step_by(4)) {
        let mut script = Script::new(RuleId::RecallocarrayZero);
        let used = script.mallocs(6, 3 * size);
        script.free_all(&used);
        let block = script.malloc(size);
        for to in [
            size + 8,
            2 * size,
            3 * size,
            size,
            size + size / 8,
            5 * size,
            8,
        ] {
            // In elements of 8 bytes where the block is a whole number of them.
            let (count, each) = if size.is_multiple_of(8) && to.is_multiple_of(8) {
                (to / 8, 8)
            } else {
                (to, 1)
            };
            script.add(Op::new(Call::Recallocarray, block, count, each));
        }
        script.sweep();
        out.push(script.finish());
    }
}

fn overflowing(out: &mut Vec<Program>) {
    for (count, size) in [
        (1 << 32, 1 << 32),
        ((1 << 33) + 1, 1 << 31),
        (1 << 63, 2),
        ((u64::MAX >> 4) + 2, 16),
        (u64::MAX, u64::MAX),
    ] {
        let mut script = Script::new(RuleId::RecallocarrayOverflow);
        for (a, b) in [(count, size), (size, count)] {
            script.make(Request::new(Call::Recallocarray, a, b));
            let block = script.malloc(160);
            script.add(Op::new(Call::Recallocarray, block, a, b));
            script.malloc(160);
        }
        script.sweep();
        out.push(script.finish());
    }
}

fn discarded(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let classes = kit.classes.iter().map(|&class| class.next_multiple_of(2));
    for size in SIZES.into_iter().chain(classes.step_by(4)) {
        let mut script = Script::new(RuleId::RecallocarrayClears);
        // A live block behind it, so that growing moves it.
        for to in [2 * size, 40 * size + 2, size - 1, size / 2, 2] {
            let block = script.malloc(size);
            script.malloc(size);
            script.add(Op::new(Call::Recallocarray, block, to, 1));
        }
        script.sweep();
        out.push(script.finish());

        let mut script = Script::new(RuleId::FreezeroClears);
        for request in kit.requests(size) {
            let block = script.make(request);
            script.make(request);
            script.on(Call::Freezero, block);
        }
        script.sweep();
        out.push(script.finish());
    }
}

fn of_null(out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::FreezeroNull);
    for size in [0, 1, 100, 1 << 20, u64::MAX] {
        script.add(Op::new(Call::Freezero, NO_SLOT, size, 0));
        script.malloc(100);
    }
    script.sweep();
    out.push(script.finish());
}
