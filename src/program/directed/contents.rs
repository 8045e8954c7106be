//! That blocks are there: every size written in full, many at once, large ones, and nothing of them lost while others
//! come and go.

use super::script::{Kit, Script};
use crate::program::op::{Call, Program, Slot};
use crate::program::seeded::SplitMix;
use crate::spec::RuleId;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    every_size(out);
    ends_of_pages(kit, out);
    powers_and_pages(kit, out);
    to_the_last_byte(out);
    crowds(kit, out);
    mappings(out);
    trimmed(kit, out);
    purged_late(out);
    very_many(kit, out);
    large_ones_freed(kit, out);
    calls_return(kit, out);
    no_output(kit, out);
}

fn every_size(out: &mut Vec<Program>) {
    for first in (1..=4096).step_by(512) {
        let mut script = Script::new(RuleId::AllocNonnullUsable);
        let slots: Vec<Slot> = (first..first + 512)
            .map(|size| script.malloc(size))
            .collect();
        script.sweep();
        for slot in slots.iter().step_by(2) {
            script.free(*slot);
        }
        script.sweep();
        out.push(script.finish());
    }
    // Beyond, every eighth, each between one that was there before and one that comes after.
    for first in (4104..=65_536).step_by(4096) {
        let mut script = Script::new(RuleId::AllocNonnullUsable);
        let mut before = script.malloc(first);
        for size in (first..first + 4096).step_by(8) {
            let block = script.malloc(size);
            script.free(before);
            before = block;
        }
        out.push(script.finish());
    }
}

/// Blocks that are mapped one by one and end within a few words of a page, side by side.
fn ends_of_pages(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for pages in [33, 65] {
        let mut script = Script::new(RuleId::AllocNonnullUsable);
        for short in 0..=64 {
            let slots = script.mallocs(3, pages * 4096 - short);
            script.ask(kit, slots[1]);
            script.free(slots[1]);
            script.realloc(slots[0], pages * 4096 + short);
            script.free_all(&[slots[0], slots[2]]);
        }
        out.push(script.finish());
    }
}

fn powers_and_pages(kit: &Kit<'_>, out: &mut Vec<Program>) {
    const OFFSETS: [i64; 7] = [-16, -8, -1, 0, 1, 8, 16];
    for powers in [4..10, 10..16, 16..22, 22..27, 27..31] {
        let mut script = Script::new(RuleId::AllocNonnullUsable);
        for (power, offset) in powers.flat_map(|power| OFFSETS.map(|offset| (power, offset))) {
            let size = ((1i64 << power) + offset) as u64;
            if size > 0 && kit.affords(size) {
                let block = script.malloc(size);
                script.ask(kit, block);
                script.malloc(100);
                script.free(block);
            }
        }
        script.sweep();
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::AllocNonnullUsable);
    for pages in [1, 2, 3, 5, 8, 17, 40, 100] {
        for size in [pages * 4096 - 1, pages * 4096, pages * 4096 + 1] {
            script.malloc(size);
        }
    }
    script.sweep();
    out.push(script.finish());
}

/// An allocator that keeps notes inside a block finds them overwritten when the block is freed.
fn to_the_last_byte(out: &mut Vec<Program>) {
    for first in (0..1024).step_by(128) {
        let mut script = Script::new(RuleId::MetadataInviolate);
        for size in first..first + 128 {
            let slots = script.mallocs(3, size);
            script.free(slots[1]);
            script.realloc(slots[0], size + 24);
            script.malloc(size);
            script.free_all(&[slots[0], slots[2]]);
        }
        out.push(script.finish());
    }
}

/// Many blocks of one class, freed in part and made again.
fn crowds(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (index, &class) in kit.classes.iter().enumerate().step_by(3) {
        let rule = [
            RuleId::Disjoint,
            RuleId::DistinctNonzero,
            RuleId::ContentStable,
        ][index / 3 % 3];
        let mut script = Script::new(rule);
        let mut slots = script.mallocs((1 << 20) / (class as usize).max(256), class);
        let mut random = SplitMix::new(kit.seed ^ class);
        for _ in 0..slots.len() {
            let index = random.below(slots.len() as u64) as usize;
            script.free(slots[index]);
            slots[index] = script.malloc(class);
        }
        script.sweep();
        script.free_all(&slots);
        out.push(script.finish());
    }
}

/// Blocks that are mapped one by one, ever smaller ones after larger ones, while many calls are made.
fn mappings(out: &mut Vec<Program>) {
    for rule in [RuleId::Disjoint, RuleId::ContentStable] {
        let mut script = Script::new(rule);
        let mut slots: Vec<Slot> = (0..16)
            .map(|step| script.malloc(1_000_000 - step * 40_000))
            .collect();
        for round in 0..8 {
            let small = script.mallocs(30, 100 + round);
            script.free_all(&small);
            script.free(slots[round as usize]);
            slots[round as usize] = script.malloc(400_000 + round * 4096);
            script.sweep();
        }
        out.push(script.finish());
    }
}

fn trimmed(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in [24, 1000, 5000, 300_000] {
        let mut script = Script::new(RuleId::ContentStable);
        let slots = script.mallocs(60, size);
        for slot in slots.iter().step_by(3) {
            script.free(*slot);
        }
        for pad in [0, 1 << 20, 0] {
            script.direct(Call::Trim, pad, 0);
            script.sweep();
            script.malloc(size);
        }
        // Without malloc_trim the rest is still worth a look.
        let mut program = script.finish();
        program.ops.retain(|op| kit.has(op.call));
        out.push(program);
    }
}

/// What has been freed may be given back to the kernel a while later, unless it is in use again by then. How long a while
/// is, a clock says or a number of calls.
fn purged_late(out: &mut Vec<Program>) {
    /// Each time all that is kept is verified: a tenth of a second in all, or more.
    const WHILE: u64 = 5000;
    let mut script = Script::new(RuleId::ContentStable);
    let sizes = [200, 1500, 6000, 40_000, 300_000];
    let mut kept = Vec::new();
    for size in sizes {
        let count = ((1 << 18) / size).max(3) as usize;
        let slots = script.mallocs(count, size);
        script.free_all(&slots);
        kept.push(script.mallocs(count, size));
    }
    let start = script.here();
    let block = script.malloc(24);
    script.free(block);
    script.sweep();
    script.repeat_from(start, WHILE);
    for (slots, size) in kept.iter().zip(sizes) {
        script.free(slots[0]);
        script.malloc(size);
    }
    script.sweep();
    out.push(script.finish());
}

/// A hundred thousand blocks at once.
fn very_many(kit: &Kit<'_>, out: &mut Vec<Program>) {
    const MANY: usize = 110_000;
    if !kit.affords(128 * MANY as u64) {
        return;
    }
    let mut script = Script::new(RuleId::DistinctNonzero);
    let mut random = SplitMix::new(kit.seed);
    let slots: Vec<Slot> = (0..MANY)
        .map(|_| script.malloc(1 + random.below(100)))
        .collect();
    for slot in slots.iter().step_by(2) {
        script.free(*slot);
    }
    for _ in 0..MANY / 2 {
        script.malloc(1 + random.below(100));
    }
    script.sweep();
    out.push(script.finish());
}

/// Releasing large blocks takes system calls, which must leave `errno` alone.
fn large_ones_freed(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::FreeErrno);
    for size in [
        1,
        100,
        5000,
        100_000,
        300_000,
        1 << 20,
        5 << 20,
        32 << 20,
        200 << 20,
    ] {
        if kit.affords(size) {
            let blocks = script.mallocs(2, size);
            script.free_all(&blocks);
        }
    }
    out.push(script.finish());
}

/// The same few calls so often that counters and tables inside come to their ends.
fn calls_return(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in [24, 5000, 300_000] {
        let mut script = Script::new(RuleId::CallReturns);
        for request in kit.requests(size) {
            let block = script.make(request);
            script.realloc(block, size + 100);
            script.realloc(block, size);
            script.free(block);
        }
        script.repeat_from(0, 300);
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::CallReturns);
    for size in [24, 5000] {
        let block = script.malloc(size);
        script.ask(kit, block);
        script.free(block);
        script.direct(Call::Free, 0, 0);
    }
    if kit.has(Call::Trim) {
        script.direct(Call::Trim, 0, 0);
    }
    script.repeat_from(0, 100);
    out.push(script.finish());
}

/// What may tempt an allocator to say something.
fn no_output(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in [24, 1 << 20, 100 << 20, u64::MAX - 100] {
        if kit.affords(size) || size > 1 << 56 {
            let mut script = Script::new(RuleId::NoOutput);
            let block = script.malloc(size);
            script.realloc(block, 100);
            script.free(block);
            out.push(script.finish());
        }
    }
}
