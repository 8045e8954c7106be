//! What an allocator says a block can hold, and whether it can.

use super::script::{Kit, Script};
use crate::program::op::{Call, Program, Slot};
use crate::spec::RuleId;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if kit.has(Call::UsableSize) {
        at_least(kit, out);
        stable(kit, out);
    }
    if kit.has(Call::Stretch) {
        stretched(kit, out);
    }
}

fn at_least(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for sizes in (1..=512).collect::<Vec<u64>>().chunks(128) {
        let mut script = Script::new(RuleId::UsableGe);
        for &size in sizes {
            let block = script.malloc(size);
            script.on(Call::UsableSize, block);
        }
        out.push(script.finish());
    }
    for size in [0, 1, 17, 100, 1000, 4096, 5000, 33_000, 300_001, 3 << 20] {
        let mut script = Script::new(RuleId::UsableGe);
        for request in kit.requests(size) {
            let block = script.make(request);
            script.on(Call::UsableSize, block);
            for to in [size + 1, size + 100, size / 2 + 1, 2 * size + 1] {
                script.realloc(block, to);
                script.on(Call::UsableSize, block);
            }
        }
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::UsableGe);
    for &class in &kit.classes {
        for size in [class - 1, class, class + 1] {
            let block = script.malloc(size);
            script.on(Call::UsableSize, block);
        }
    }
    out.push(script.finish());
}

/// Asked again after others have come and gone.
fn stable(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in [1, 24, 100, 1000, 5000, 300_000] {
        let mut script = Script::new(RuleId::UsableStable);
        let slots: Vec<Slot> = kit
            .requests(size)
            .into_iter()
            .map(|request| script.make(request))
            .collect();
        for _ in 0..3 {
            for &slot in &slots {
                script.on(Call::UsableSize, slot);
            }
            let others = script.mallocs(20, size);
            script.free_all(&others);
        }
        out.push(script.finish());
    }
}

/// Blocks written to the last byte they are said to have, side by side.
fn stretched(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let sizes = kit
        .classes
        .iter()
        .flat_map(|&class| [class, class.saturating_sub(8).max(1), class - class / 8])
        .step_by(2);
    for size in sizes.chain([100, 70_000, 300_001]) {
        for rule in [RuleId::UsableDisjoint, RuleId::UsableWritable] {
            let mut script = Script::new(rule);
            let slots = script.mallocs(10, size);
            for &slot in &slots {
                script.on(Call::Stretch, slot);
            }
            script.sweep();
            script.free_all(&[slots[2], slots[5]]);
            let block = script.malloc(size);
            script.on(Call::Stretch, slots[3]);
            script.malloc(size);
            script.realloc(block, size + 1);
            script.realloc(slots[3], 2 * size);
            script.realloc(slots[4], size / 2 + 1);
            script.on(Call::Stretch, slots[4]);
            script.malloc(size);
            script.sweep();
            script.free_all(&[slots[1], slots[6]]);
            script.sweep();
            out.push(script.finish());
        }
    }
    let mut script = Script::new(RuleId::UsableWritable);
    for size in [1, 17, 100, 1000, 5000] {
        for request in kit.requests(size) {
            let block = script.make(request);
            script.on(Call::Stretch, block);
            script.make(request);
        }
    }
    script.sweep();
    out.push(script.finish());
}
