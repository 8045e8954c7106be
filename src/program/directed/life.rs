//! What a process may meet with: children, signals, small stacks, closed descriptors.

use super::script::{Kit, Script};
use crate::program::op::{Call, Expect, Op, Program, Slot};
use crate::program::under::Condition;
use crate::spec::RuleId;

/// Sizes of blocks, of every kind that allocators treat in a way of its own.
const SIZES: [u64; 8] = [16, 100, 1000, 5000, 40_000, 60_000, 300_000, 2 << 20];
/// Blocks up to so many bytes can be had wherever there is memory at all.
const ORDINARY: u64 = 40_000;
/// Blocks from so many bytes on take their time: of these there are few.
const FILLED_SLOWLY: u64 = 1 << 20;
/// Random operations that a child makes.
const OPERATIONS: usize = 400;
const MANY_OPERATIONS: usize = 1400;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in SIZES {
        children(kit, size, out);
    }
    random_child(kit, out);
    children_among_threads(kit, out);
    circumstances(kit, out);
    started_among_threads(kit, out);
}

/// Microseconds from the end of one program that is started to the start of the next.
const SPAWNS: u64 = 200;

/// How many children a process of several threads has, and how many if there is time.
const CHILDREN: u64 = 40;
const MANY_CHILDREN: u64 = 500;

/// While other threads are at work, one child after another makes blocks of every size, and then does anything: three quarters
/// of the operations. Where there is no time for all children, those that there were have been put to the test.
fn children_among_threads(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (number, rule, children, operations) in [
        (1, RuleId::ForkMtChild, CHILDREN, OPERATIONS),
        (2, RuleId::ForkMtChild, CHILDREN, OPERATIONS),
        (3, RuleId::ForkMtParent, CHILDREN, OPERATIONS),
        (4, RuleId::ForkMtParent, CHILDREN, OPERATIONS),
        (5, RuleId::ForkMtChild, MANY_CHILDREN, MANY_OPERATIONS),
        (6, RuleId::ForkMtParent, MANY_CHILDREN, MANY_OPERATIONS),
    ] {
        let seed = kit.seed.wrapping_mul(31).wrapping_add(number << 32);
        let random = Program::random(seed, kit.vocabulary, operations).ops;
        let (before, child) = random.split_at(operations / 4);
        let mut script = Script::new(rule);
        before.iter().for_each(|&op| script.add(op));
        script.under(Condition::Threads, 4);
        let start = script.here();
        script.direct(Call::Fork, 0, 0);
        // Few random blocks are so large that they come from what all threads share.
        let shared = SIZES.map(|size| script.malloc(size));
        script.free_all(&shared);
        child.iter().for_each(|&op| script.add(op));
        script.direct(Call::Wait, 0, 0);
        let own = script.mallocs(8, 100 * number);
        script.free_all(&own);
        script.repeat_from(start, children - 1);
        script.sweep();
        out.push(script.finish());
    }
}

/// Every call, with blocks of every size, in circumstances that change nothing about it.
fn circumstances(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (condition, number, rule) in [
        (Condition::Signals, 100, RuleId::SignalInterrupt),
        (Condition::Cancellation, 0, RuleId::NotCancellationPoint),
        (Condition::Stack, 64 << 10, RuleId::StackSmall),
        (Condition::ClosedDescriptors, 0, RuleId::ClosedDescriptors),
        (Condition::NoProc, 0, RuleId::NoProc),
        (Condition::Exit, 0, RuleId::AtexitUse),
        (Condition::Destructors, 0, RuleId::AtexitUse),
        (Condition::Spawns, SPAWNS, RuleId::VforkSpawn),
        (Condition::Constructor, 0, RuleId::CtorUse),
    ] {
        let mut script = Script::new(rule);
        // In a fresh process, in which everything is done for the first time.
        script.under(condition, number);
        every_call(kit, &mut script, |size| match size <= ORDINARY {
            true => Expect::Pointer,
            false => Expect::Any,
        });
        out.push(script.finish());
        if matches!(condition, Condition::Stack | Condition::Constructor) {
            continue;
        }
        let mut script = Script::new(rule);
        every_call(kit, &mut script, |_| Expect::Any);
        script.under(condition, number);
        let start = script.here();
        every_call(kit, &mut script, |_| Expect::AsEarlier);
        script.repeat_from(
            start,
            match condition {
                Condition::Signals | Condition::Spawns => 24,
                _ => 4,
            },
        );
        out.push(script.finish());
    }
}

/// While other threads are at work, programs are started, and the process goes on with its blocks.
fn started_among_threads(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let seed = kit.seed.wrapping_mul(31).wrapping_add(7 << 32);
    let random = Program::random(seed, kit.vocabulary, OPERATIONS).ops;
    let mut script = Script::new(RuleId::VforkSpawn);
    for (condition, number) in [(Condition::Threads, 4), (Condition::Spawns, SPAWNS)] {
        script.under(condition, number);
    }
    let start = script.here();
    let kept = script.mallocs(8, 1000);
    script.sweep();
    script.free_all(&kept);
    script.repeat_from(start, 1000);
    random.iter().for_each(|&op| script.add(op));
    script.sweep();
    out.push(script.finish());
}

fn every_call(kit: &Kit<'_>, script: &mut Script, expect: impl Fn(u64) -> Expect) {
    for size in SIZES {
        let mut made = Vec::new();
        for request in kit.requests(size) {
            made.push(script.make(request));
            script.expect(expect(size));
        }
        for &slot in &made {
            script.realloc(slot, size + size / 2);
            script.ask(kit, slot);
        }
        script.free_all(&made);
    }
    if kit.has(Call::Trim) {
        script.direct(Call::Trim, 0, 0);
    }
}

/// A child frees some of its parent's blocks, resizes others and makes its own in their place. Then the parent does the
/// same.
fn children(kit: &Kit<'_>, size: u64, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::ForkSt);
    let count = match size {
        FILLED_SLOWLY.. => 2,
        100_001.. => 4,
        _ => 24,
    };
    let slots = script.mallocs(count, size);
    let freed = script.mallocs(count, size);
    script.free_all(&freed);
    script.direct(Call::Fork, 0, 0);
    use_blocks(kit, &mut script, &slots, size);
    script.direct(Call::Wait, 0, 0);
    use_blocks(kit, &mut script, &slots, size);
    script.sweep();
    out.push(script.finish());
}

fn use_blocks(kit: &Kit<'_>, script: &mut Script, slots: &[Slot], size: u64) {
    let (freed, kept) = slots.split_at(slots.len() / 2);
    script.free_all(freed);
    for &slot in kept.iter().step_by(2) {
        script.realloc(slot, size + size / 2);
    }
    let mut made = script.mallocs(slots.len(), size);
    if size < FILLED_SLOWLY {
        made.extend(
            kit.requests(size)
                .into_iter()
                .map(|request| script.make(request)),
        );
    }
    script.sweep();
    script.free_all(&made);
}

/// A child does anything.
fn random_child(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for number in 0..4 {
        let seed = kit.seed.wrapping_mul(31).wrapping_add(number);
        let random = Program::random(seed, kit.vocabulary, OPERATIONS).ops;
        let (before, child) = random.split_at(OPERATIONS / 2);
        let mut script = Script::new(RuleId::ForkSt);
        let add = |script: &mut Script, ops: &[Op]| ops.iter().for_each(|&op| script.add(op));
        add(&mut script, before);
        script.direct(Call::Fork, 0, 0);
        add(&mut script, child);
        script.direct(Call::Wait, 0, 0);
        add(&mut script, child);
        script.sweep();
        out.push(script.finish());
    }
}
