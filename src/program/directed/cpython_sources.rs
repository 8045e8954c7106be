//! Where CPython's small-object allocator gets its memory: arenas filled and emptied, arenas that begin anywhere, and
//! sources that fail. For subjects whose requests to their sources can be seen.
//!
//! How many blocks fill a pool and an arena is what the subject's layout says.

use super::script::{Kit, Script};
use crate::program::op::{Call, Expect, Program};
use crate::pymalloc::{Geometry, Nothing};
use crate::spec::RuleId;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if kit.vocabulary.hooked {
        let geometry = &kit.vocabulary.geometry;
        failing(geometry, out);
        arenas(geometry, out);
        displaced(geometry, out);
    }
}

/// Blocks of the largest class, by their number in an aligned arena of which `lost` pools cannot be used.
fn blocks_in_arena(geometry: &Geometry, lost: usize) -> usize {
    (geometry.pools() - lost) * geometry.blocks_per_pool(geometry.threshold)
}

/// Sources that fail once, and what becomes of the request and of the block.
fn failing(geometry: &Geometry, out: &mut Vec<Program>) {
    let most = geometry.threshold as u64;
    for size in [1, 100, most] {
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
    for size in [0, 16, most, most + 1, 5000] {
        let mut script = Script::new(RuleId::ReallocZeroFail);
        let block = script.malloc(size);
        script.direct(Call::FailRaw, 1, 0);
        script.realloc(block, 0);
        let raw = size == 0 || size > most;
        let stays = raw && geometry.nothing != Nothing::AsItIs;
        script.expect(if stays {
            Expect::SamePointer
        } else {
            Expect::Null
        });
        script.sweep();
        script.realloc(block, 0);
        script.malloc(size);
        script.free(block);
        out.push(script.finish());
    }
    for size in [0, most + 1, 5000] {
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
        let slots = script.mallocs(blocks_in_arena(geometry, 0) * nth as usize, most);
        script.calloc(1, 100);
        let block = script.malloc(16);
        script.realloc(block, 200);
        script.sweep();
        script.free_all(&slots);
        script.mallocs(50, most);
        out.push(script.finish());
    }
    // A small request that no arena serves, one that nothing serves, and again one that is served.
    let mut script = Script::new(RuleId::ArenaFailFallback);
    for size in [1, 100, most] {
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
fn arenas(geometry: &Geometry, out: &mut Vec<Program>) {
    let most = geometry.threshold as u64;
    for class in [most, most / 2, 48, 16] {
        let mut script = Script::new(RuleId::ArenaOnDemand);
        let blocks = geometry.pools() * geometry.blocks_per_pool(class as usize);
        let slots = script.mallocs(blocks + 1, class);
        script.free_all(&slots);
        out.push(script.finish());
    }
    for rule in [RuleId::ArenaSizeExact, RuleId::ArenaFreeSamePtr] {
        let mut script = Script::new(rule);
        let count = 3 * blocks_in_arena(geometry, 0) + 1;
        let slots = script.mallocs(count, most);
        script.free_all(&slots);
        let slots = script.mallocs(count, most - 12);
        for &slot in slots.iter().rev() {
            script.free(slot);
        }
        let slots = script.mallocs(count, most / 4 * 3);
        for start in 0..7 {
            for slot in slots.iter().skip(start).step_by(7) {
                script.free(*slot);
            }
        }
        script.mallocs(100, most);
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::ArenaDefaultBackend);
    let slots = script.mallocs(3 * blocks_in_arena(geometry, 0), most);
    script.free_all(&slots);
    script.repeat_from(0, 40);
    script.direct(Call::Bounded, 32 << 20, 0);
    out.push(script.finish());
}

/// Arenas that begin anywhere: the first pool begins at the next pool boundary, and one fewer fits.
fn displaced(geometry: &Geometry, out: &mut Vec<Program>) {
    let most = geometry.threshold as u64;
    let pool = geometry.pool as u64;
    for shift in [16, 48, 4096, 4112, 8192, pool - 16, pool] {
        for rule in [RuleId::ArenaAnyAlignment, RuleId::ArenaFreeSamePtr] {
            let mut script = Script::new(rule);
            script.direct(Call::ShiftArena, shift, 0);
            let lost = usize::from(shift % pool != 0);
            let slots = script.mallocs(blocks_in_arena(geometry, lost) + 1, most);
            script.sweep();
            script.free_all(&slots);
            script.direct(Call::ShiftArena, 0, 0);
            let slots = script.mallocs(blocks_in_arena(geometry, 0) + 1, most);
            script.free_all(&slots);
            out.push(script.finish());
        }
    }
}
