//! Where CPython's small-object allocator gets its memory: arenas filled and emptied, arenas that begin anywhere, and
//! sources that fail. For subjects whose requests to their sources can be seen.
//!
//! Numbers are those of 64-bit CPython 3.10 and later: pools of 16 KiB with a header of 48 bytes, arenas of 1 MiB.

use super::script::{Kit, Script};
use crate::program::op::{Call, Expect, Program};
use crate::spec::RuleId;

/// The largest size that pools serve.
const THRESHOLD: u64 = 512;
const POOL: u64 = 16 << 10;
const POOL_HEADER: u64 = 48;
const POOLS: u64 = 64;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if kit.vocabulary.hooked {
        failing(out);
        arenas(out);
        displaced(out);
    }
}

/// Blocks of `class` in an aligned arena whose first `lost` pools cannot be used.
fn blocks_in_arena(class: u64, lost: u64) -> usize {
    ((POOLS - lost) * ((POOL - POOL_HEADER) / class)) as usize
}

/// Sources that fail once, and what becomes of the request and of the block.
fn failing(out: &mut Vec<Program>) {
    for size in [1, 100, 512] {
        let mut script = Script::new(RuleId::CrossUpFail);
        let neighbour = script.malloc(size);
        let block = script.malloc(size);
        script.direct(Call::FailRaw, 1, 0);
        script.realloc(block, 600);
        script.expect(Expect::Null);
        script.sweep();
        script.mallocs(40, size);
        script.realloc(block, 600);
        script.realloc(neighbour, size.div_ceil(2));
        script.sweep();
        script.free_all(&[block, neighbour]);
        out.push(script.finish());
    }
    for size in [0, 16, 512, 513, 5000] {
        let mut script = Script::new(RuleId::ReallocZeroFail);
        let block = script.malloc(size);
        script.direct(Call::FailRaw, 1, 0);
        script.realloc(block, 0);
        script.expect(Expect::Null);
        script.sweep();
        script.realloc(block, 0);
        script.malloc(size);
        script.free(block);
        out.push(script.finish());
    }
    for size in [0, 513, 5000] {
        let mut script = Script::new(RuleId::ReallocFailKeeps);
        let block = script.malloc(600);
        for nth in 1..3 {
            script.direct(Call::FailRaw, nth, 0);
            script.malloc(size);
            script.realloc(block, 1000 * nth);
            script.calloc(3, 200);
        }
        script.sweep();
        out.push(script.finish());
    }
    for nth in 1..4 {
        let mut script = Script::new(RuleId::ArenaFailFallback);
        script.direct(Call::FailArena, nth, 0);
        let slots = script.mallocs(blocks_in_arena(THRESHOLD, 0) * nth as usize, THRESHOLD);
        script.calloc(1, 100);
        let block = script.malloc(16);
        script.realloc(block, 200);
        script.sweep();
        script.free_all(&slots);
        script.mallocs(50, THRESHOLD);
        out.push(script.finish());
    }
    // A small request that no arena serves, one that nothing serves, and again one that is served.
    let mut script = Script::new(RuleId::ArenaFailFallback);
    for size in [1, 100, 512] {
        script.direct(Call::FailArena, 1, 0);
        let block = script.malloc(size);
        script.realloc(block, size + 50);
        script.direct(Call::FailArena, 1, 0);
        script.calloc(1, size);
        script.direct(Call::FailArena, 1, 0);
        script.direct(Call::FailRaw, 1, 0);
        script.malloc(size);
        script.free(block);
    }
    script.malloc(100);
    script.malloc(100);
    out.push(script.finish());
}

/// Arenas filled to the last block, emptied in different orders, and filled again.
fn arenas(out: &mut Vec<Program>) {
    for class in [512, 256, 48, 16] {
        let mut script = Script::new(RuleId::ArenaOnDemand);
        let slots = script.mallocs(blocks_in_arena(class, 0) + 1, class);
        script.free_all(&slots);
        out.push(script.finish());
    }
    for rule in [RuleId::ArenaSizeExact, RuleId::ArenaFreeSamePtr] {
        let mut script = Script::new(rule);
        let count = 3 * blocks_in_arena(THRESHOLD, 0) + 1;
        let slots = script.mallocs(count, THRESHOLD);
        script.free_all(&slots);
        let slots = script.mallocs(count, 500);
        for &slot in slots.iter().rev() {
            script.free(slot);
        }
        let slots = script.mallocs(count, 400);
        for start in 0..7 {
            for slot in slots.iter().skip(start).step_by(7) {
                script.free(*slot);
            }
        }
        script.mallocs(100, THRESHOLD);
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::ArenaDefaultBackend);
    let slots = script.mallocs(3 * blocks_in_arena(THRESHOLD, 0), THRESHOLD);
    script.free_all(&slots);
    script.repeat_from(0, 40);
    script.direct(Call::Bounded, 32 << 20, 0);
    out.push(script.finish());
}

/// Arenas that begin anywhere: the first pool begins at the next pool boundary, and one fewer fits.
fn displaced(out: &mut Vec<Program>) {
    for shift in [16, 48, 4096, 4112, 8192, POOL - 16, POOL] {
        for rule in [RuleId::ArenaAnyAlignment, RuleId::ArenaFreeSamePtr] {
            let mut script = Script::new(rule);
            script.direct(Call::ShiftArena, shift, 0);
            let lost = u64::from(shift % POOL != 0);
            let slots = script.mallocs(blocks_in_arena(THRESHOLD, lost) + 1, THRESHOLD);
            script.sweep();
            script.free_all(&slots);
            script.direct(Call::ShiftArena, 0, 0);
            let slots = script.mallocs(blocks_in_arena(THRESHOLD, 0) + 1, THRESHOLD);
            script.free_all(&slots);
            out.push(script.finish());
        }
    }
}
