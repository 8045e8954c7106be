//! The same work for ever: the process comes to a size at which it stays.
//!
//! Some allocators let a block wait behind a thousand others before it is used again, which looks like a loss until the queue
//! is full: so every program frees some thousands. What is wanted besides is much memory handed out in little time, for what is lost is a small part of it. Blocks of some 20 KiB
//! are filled in places only, so that a thousand of them take no longer than a hundred full ones.

use super::script::{Kit, Script};
use crate::program::op::{Call, Program};
use crate::spec::RuleId;

/// What the least of the process may rise by from part to part: counters of resident memory are off by about half as much.
const ALLOWED: u64 = 512 << 10;
/// Measurements of one program.
const SAMPLES: u64 = 60;
/// Crowds of one program, each measured when it is gone.
const CROWDS: u64 = 40;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    steady(kit, out);
    sawtooth(kit, out);
    aligned(kit, out);
    realloc(out);
    fifo(kit, out);
}

impl Script {
    /// Does all that was done so far again and again, and judges how the process grows.
    fn for_ever(mut self, times: u64) -> Program {
        self.direct(Call::Sample, (times / SAMPLES).max(1), 0);
        self.repeat_from(0, times);
        self.direct(Call::Steady, ALLOWED, 0);
        self.finish()
    }
}

fn steady(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (sizes, times) in [
        (&[20_000, 30_000][..], 150_000),
        (&[100, 1000, 3000, 9000, 31_000], 50_000),
        (&[140_000, 300_000], 1300),
    ] {
        let mut script = Script::new(RuleId::BoundedSteady);
        for &size in sizes {
            let block = script.malloc(size);
            script.free(block);
        }
        out.push(script.for_ever(times));
    }
    if kit.has(Call::Calloc) {
        let mut script = Script::new(RuleId::BoundedSteady);
        let block = script.calloc(5, 4000);
        script.free(block);
        out.push(script.for_ever(40_000));
    }
}

/// Crowds of blocks. Every other block is freed first, so that memory comes back in pieces.
fn sawtooth(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in [64, 1000, 20_000] {
        let count = ((32 << 20) / size).min(4000);
        if !kit.affords(count * size) {
            continue;
        }
        let mut script = Script::new(RuleId::BoundedSawtooth);
        let slots = script.mallocs(count as usize, size);
        empty(&mut script, &slots);
        out.push(script.for_ever(CROWDS));
    }
    let mut script = Script::new(RuleId::BoundedSawtooth);
    let mut slots = Vec::new();
    for &class in kit.classes.iter().filter(|&&class| class <= 32 << 10) {
        slots.extend(script.mallocs(24, class));
    }
    empty(&mut script, &slots);
    out.push(script.for_ever(CROWDS));
}

fn empty(script: &mut Script, slots: &[crate::program::Slot]) {
    for start in [0, 1] {
        for &slot in slots.iter().skip(start).step_by(2) {
            script.free(slot);
        }
    }
}

fn aligned(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for call in kit.aligning() {
        for (alignment, size, times) in [
            (64, 20_000, 40_000),
            (4096, 60_000, 10_000),
            (1 << 16, 300_000, 2400),
            (2 << 20, 300_000, 2400),
        ] {
            let mut script = Script::new(RuleId::BoundedAligned);
            let block = script.make(kit.aligned(call, alignment, size));
            script.free(block);
            out.push(script.for_ever(times));
        }
    }
}

/// Up and down, in place where there is room and elsewhere where there is none: two blocks are in each other's way. Nothing
/// is freed, so that what is lost was lost by resizing.
fn realloc(out: &mut Vec<Program>) {
    for (sizes, times) in [
        (&[100, 2000, 9000, 30_000, 500][..], 30_000),
        (&[20_000, 300_000, 1 << 20, 150_000], 300),
    ] {
        let mut script = Script::new(RuleId::BoundedRealloc);
        let blocks = script.mallocs(2, 50);
        let start = script.here();
        for &size in sizes {
            for &block in &blocks {
                script.realloc(block, size);
            }
        }
        script.direct(Call::Sample, (times / SAMPLES).max(1), 0);
        script.repeat_from(start, times);
        script.direct(Call::Steady, ALLOWED, 0);
        out.push(script.finish());
    }
}

fn fifo(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (sizes, times) in [
        (&[200_000, 300_000][..], 1200),
        (&[140_000, 500_000, 190_000, 260_000, 70_000], 500),
    ] {
        if !kit.affords(sizes.iter().sum()) {
            continue;
        }
        let mut script = Script::new(RuleId::BoundedFifo);
        let mut queue: Vec<_> = sizes.iter().map(|&size| script.malloc(size)).collect();
        let start = script.here();
        for (place, &size) in sizes.iter().enumerate() {
            let next = script.malloc(size);
            script.free(std::mem::replace(&mut queue[place], next));
        }
        // The slots are to be those that the round began with.
        for (place, &size) in sizes.iter().enumerate() {
            let next = place as u32;
            script.add(crate::program::op::Op::new(Call::Malloc, next, size, 0));
            script.free(std::mem::replace(&mut queue[place], next));
        }
        script.direct(Call::Sample, (times / SAMPLES).max(1), 0);
        script.repeat_from(start, times);
        script.direct(Call::Steady, ALLOWED, 0);
        out.push(script.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Vocabulary;

    /// The parts that measurements are divided into.
    const PARTS: u64 = 5;

    #[test]
    fn what_the_catalogue_says_shows_is_more_than_is_allowed() {
        let vocabulary = Vocabulary::default();
        let mut programs = Vec::new();
        steady(&Kit::new(&vocabulary, 1), &mut programs);
        let losses: Vec<u64> = programs
            .iter()
            .map(|program| {
                let times = program.ops.iter().find(|op| op.call == Call::Repeat);
                let turn: u64 = program.ops.iter().filter_map(|op| op.size()).sum();
                turn * times.expect("a loop").a / PARTS / ALLOWED
            })
            .collect();
        assert!(losses[0] >= 1000, "{losses:?}");
        assert!(losses.iter().all(|&one_in| one_in >= 200), "{losses:?}");
    }
}
