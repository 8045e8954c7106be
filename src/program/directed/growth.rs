//! The same work for ever: the process comes to a size at which it stays.
//!
//! Some allocators let a block wait behind a thousand others before it is used again, which looks like a loss until the queue
//! is full: so every program frees some thousands. What is wanted besides is much memory handed out in little time, for what is lost is a small part of it. Blocks of some 20 KiB
//! are filled in places only, so that a thousand of them take no longer than a hundred full ones.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Op, Program};
use crate::program::threads::Schedule;
use crate::spec::RuleId;
use std::collections::VecDeque;

/// What the least of the process may rise by from part to part: counters of resident memory are off by about half as much.
const ALLOWED: u64 = 512 << 10;
/// Measurements of one program.
const SAMPLES: u64 = 60;
/// Crowds of one program, each measured when it is gone.
const CROWDS: u64 = 40;

/// Threads of one program that come and go.
const SHORT_LIVES: u64 = 1200;
/// Threads that are at work at once, and how often. Where the processor is wanted by others, each pause of theirs takes long.
const AT_ONCE: u64 = 3;
const MEETINGS: u64 = 80;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if kit.vocabulary.threads {
        threads(out);
        left_behind(out);
        passed_on(out);
        large_passed_on(out);
        at_once(kit, out);
    }
    steady(kit, out);
    sawtooth(kit, out);
    aligned(kit, out);
    aligned_in_turn(kit, out);
    told_sizes(kit, out);
    realloc(out);
    shrunk_by_little(out);
    fifo(kit, out);
}

impl Script {
    /// Does all that was done so far again and again, and judges how the process grows. What is short is written down several
    /// times, so that few of the steps are measurements.
    pub(super) fn for_ever(mut self, times: u64) -> Program {
        const SHORT: usize = 40;
        let once: Vec<Op> = self.ops().to_vec();
        let mut rounds = (SHORT / once.len().max(1)).max(1) as u64;
        if once.iter().any(|op| op.call == Call::Thread) || times < rounds * SAMPLES {
            rounds = 1;
        }
        for &op in (1..rounds).flat_map(|_| &once) {
            self.add(op);
        }
        let times = times / rounds;
        self.direct(Call::Sample, (times / SAMPLES).max(1), 0);
        self.repeat_from(0, times);
        self.direct(Call::Steady, ALLOWED, 0);
        self.finish()
    }
}

fn steady(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (sizes, times) in [
        (&[20_000, 30_000][..], 125_000),
        (&[100, 1000, 3000, 9000, 31_000], 50_000),
        (&[140_000, 300_000], 1300),
        (&[1_100_000], 800),
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

/// A few at a time, of sizes and alignments that differ, and others between them, so that each lies elsewhere between two
/// multiples of its alignment: what is set aside before it is of few bytes now and then.
fn aligned_in_turn(kit: &Kit<'_>, out: &mut Vec<Program>) {
    const AT_ONCE: usize = 2;
    const NONE: u64 = 0;
    let mut calls = kit.aligning().collect::<Vec<_>>().into_iter().cycle();
    let mut script = Script::new(RuleId::BoundedAligned);
    let mut live = VecDeque::new();
    for (alignment, size) in [
        (32, 3000),
        (64, 3024),
        (NONE, 40),
        (128, 3032),
        (32, 2968),
        (256, 3048),
        (NONE, 24),
        (64, 2984),
        (32, 1976),
        (128, 2952),
    ] {
        let request = match alignment {
            NONE => Request::malloc(size),
            _ => match calls.next() {
                Some(call) => kit.aligned(call, alignment, size),
                None => return,
            },
        };
        live.push_back(script.make(request));
        if live.len() > AT_ONCE
            && let Some(oldest) = live.pop_front()
        {
            script.free(oldest);
        }
    }
    script.free_all(live.make_contiguous());
    used_again(&mut script, [40_000]);
    out.push(script.for_ever(2800));
}

/// What is released by a call that is told its size: resized, and of large alignments.
fn told_sizes(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if kit.has(Call::FreeSized) {
        let mut script = Script::new(RuleId::FreeSizedEquiv);
        for (from, to) in [
            (70_000, 40_000),
            (9000, 2000),
            (1000, 100),
            (100, 1000),
            (20_000, 30_000),
        ] {
            let block = script.malloc(from);
            script.realloc(block, to);
            script.on(Call::FreeSized, block);
        }
        used_again(&mut script, [300_000; 6]);
        out.push(script.for_ever(120));
    }
    if kit.has(Call::FreeAlignedSized) && kit.has(Call::AlignedAlloc) {
        let mut script = Script::new(RuleId::FreeAlignedSizedEquiv);
        for alignment in [64, 4096, 8192, 1 << 16] {
            let block = script.make(kit.aligned(Call::AlignedAlloc, alignment, 100));
            script.on(Call::FreeAlignedSized, block);
        }
        used_again(&mut script, [300_000; 2]);
        out.push(script.for_ever(1000));
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

/// By less than most would make another block of, and between others. All are of one size: holes of others would be filled.
fn shrunk_by_little(out: &mut Vec<Program>) {
    for (from, to) in [(1000, 700), (3000, 2700)] {
        let mut script = Script::new(RuleId::BoundedRealloc);
        let blocks = script.mallocs(2, from);
        script.realloc(blocks[0], to);
        script.free_all(&blocks);
        used_again(&mut script, [30_000]);
        out.push(script.for_ever(6500));
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
            script.add(Op::new(Call::Malloc, next, size, 0));
            script.free(std::mem::replace(&mut queue[place], next));
        }
        script.direct(Call::Sample, (times / SAMPLES).max(1), 0);
        script.repeat_from(start, times);
        script.direct(Call::Steady, ALLOWED, 0);
        out.push(script.finish());
    }
}

/// Threads that each use as much as fills a cache of their own, and end; and use memory once more when that may be gone, in
/// a second round of destructors.
fn threads(out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::BoundedThreads);
    script.thread(1);
    let kept = script.malloc(100);
    for _ in 0..3 {
        let blocks = [100, 1000, 3000, 30_000].map(|size| script.malloc(size));
        script.free_all(&blocks);
    }
    used_again(&mut script, [120_000, 60_000, 60_000, 60_000, 60_000]);
    script.at_exit();
    script.free(kept);
    let more = script.malloc(100);
    script.at_exit();
    script.free(more);
    used_again(&mut script, [200]);
    script.join();
    out.push(script.for_ever(SHORT_LIVES));
}

/// Threads that leave blocks, which are freed when they have ended.
fn left_behind(out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::BoundedThreads);
    script.thread(1);
    let left = [200, 5000, 25_000, 60_000].map(|size| script.malloc(size));
    used_again(&mut script, [60_000; 6]);
    script.join();
    script.free_all(&left);
    out.push(script.for_ever(SHORT_LIVES));
}

/// One thread makes blocks and another frees them: in turns, so that what one has freed is there when the other makes more,
/// and at once.
fn passed_on(out: &mut Vec<Program>) {
    for (sizes, count, times, schedule) in [
        (&[20_000, 30_000][..], 12, 800, Schedule::InOrder),
        (&[20_000, 30_000], 12, 400, Schedule::Free),
        (&[1000, 700, 1000, 300], 48, 480, Schedule::InOrder),
    ] {
        let mut script = Script::new(RuleId::BoundedXthreadFree);
        script.schedule(schedule);
        let start = script.here();
        let some = |count| sizes.iter().copied().cycle().take(count);
        script.thread(1);
        used_again(&mut script, some(2 * count));
        let blocks: Vec<_> = some(count).map(|size| script.malloc(size)).collect();
        script.thread(2);
        script.free_all(&blocks);
        script.join();
        script.direct(Call::Sample, times / SAMPLES, 0);
        script.repeat_from(start, times);
        script.direct(Call::Steady, ALLOWED, 0);
        out.push(script.finish());
    }
}

/// A large block, which many allocators keep in another way, is passed on each time.
fn large_passed_on(out: &mut Vec<Program>) {
    const TIMES: u64 = 130;
    let mut script = Script::new(RuleId::BoundedXthreadFree);
    script.schedule(Schedule::InOrder);
    let start = script.here();
    script.thread(1);
    used_again(&mut script, [1_100_000; 2]);
    let block = script.malloc(1_100_000);
    script.thread(2);
    script.free(block);
    script.join();
    script.direct(Call::Sample, TIMES / SAMPLES, 0);
    script.repeat_from(start, TIMES);
    script.direct(Call::Steady, ALLOWED, 0);
    out.push(script.finish());
}

/// Blocks that a thread makes and frees itself, one after another: much is handed out, and little memory is used for it.
/// What is lost beside them is not all that is freed, and so does not wait until more has been freed.
pub(super) fn used_again(script: &mut Script, sizes: impl IntoIterator<Item = u64>) {
    for size in sizes {
        let block = script.malloc(size);
        script.free(block);
    }
}

/// A few blocks, made and freed by threads that begin together. They are shaken, so that they meet on a single processor as
/// well.
fn at_once(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::BoundedConcurrent);
    script.schedule(Schedule::Shaken(kit.seed % 1_000_000 + 1));
    let start = script.here();
    for number in 1..=AT_ONCE {
        script.thread(number);
        used_again(&mut script, [85_000, 110_000].into_iter().cycle().take(24));
    }
    script.join();
    script.direct(Call::Sample, 1, 0);
    script.repeat_from(start, MEETINGS);
    script.direct(Call::Steady, ALLOWED, 0);
    out.push(script.finish());
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
