//! The same work over and over must not make the process grow: what is freed becomes available.
//!
//! The bounds are generous, for caches and delayed reuse; the work is enough to pass them when even a thirtieth of what
//! is freed gets lost.

use super::script::{Kit, Script};
use crate::program::op::{Expect, Program};
use crate::spec::RuleId;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    one_size(kit, out);
    two_in_turn(out);
    many_sizes(kit, out);
}

fn one_size(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (size, times) in [
        (4096, 65_536),
        (4096, 1 << 19),
        (100_000, 2000),
        (1 << 20, 500),
    ] {
        let mut script = Script::new(RuleId::FreeMakesAvailable);
        let block = script.malloc(size);
        script.free(block);
        script.repeat_from(0, times);
        script.bounded(Expect::Any);
        out.push(script.finish());
    }
    for request in kit.requests(4096) {
        let mut script = Script::new(RuleId::FreeMakesAvailable);
        let block = script.make(request);
        script.free(block);
        script.repeat_from(0, 32_768);
        script.bounded(Expect::Any);
        out.push(script.finish());
    }
}

/// Large blocks of two sizes, the older freed first.
fn two_in_turn(out: &mut Vec<Program>) {
    for (one, other, times) in [
        (5000, 70_000, 4000),
        (200_000, 300_000, 400),
        (1 << 20, 3 << 20, 100),
    ] {
        let mut script = Script::new(RuleId::FreeMakesAvailable);
        let first = script.malloc(one);
        let second = script.malloc(other);
        script.free(first);
        let third = script.malloc(one);
        script.free(second);
        script.free(third);
        script.repeat_from(0, times);
        script.bounded(Expect::Any);
        out.push(script.finish());
    }
}

/// Sizes up and down, in a different order each round of freeing.
fn many_sizes(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::FreeMakesAvailable);
    let slots: Vec<_> = kit
        .classes
        .iter()
        .map(|&class| script.malloc(class))
        .collect();
    for slot in slots.iter().step_by(2) {
        script.free(*slot);
    }
    let more: Vec<_> = kit
        .classes
        .iter()
        .rev()
        .map(|&class| script.malloc(class / 2 + 1))
        .collect();
    for slot in slots.iter().skip(1).step_by(2) {
        script.free(*slot);
    }
    script.free_all(&more);
    script.repeat_from(0, 1000);
    script.bounded(Expect::Any);
    out.push(script.finish());
}
