//! Several threads: calls that meet, blocks that pass from one to another, threads that begin and end.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, Program, Slot};
use crate::program::threads::Schedule;
use crate::program::under::Condition;
use crate::spec::RuleId;

const MIB: u64 = 1 << 20;
/// Sizes of different kinds: from a cache, from a page of their own, from the kernel.
const SIZES: [u64; 5] = [24, 100, 1000, 20_000, 300_000];
/// How often what several threads do at once is repeated.
const OFTEN: u64 = 150;
/// Threads beside the one that is watched, and how many there are at most.
const OTHERS: u64 = 3;
const MANY_OTHERS: u64 = 130;
/// Blocks up to so many bytes can be had.
const ORDINARY: u64 = 3000;
/// Threads that live one after another.
const SHORT_LIVES: u64 = 10_000;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if !kit.vocabulary.threads {
        return;
    }
    crowded(kit, out);
    alike(kit, out);
    aligned_beside_plain(kit, out);
    mixed(kit, out);
    taken_again(out);
    zeroed_beside(kit, out);
    reused(kit, out);
    foreign(kit, out);
    pipeline(kit, out);
    first_calls(kit, out);
    resized(kit, out);
    left_behind(kit, out);
    short_lives(out);
    at_exit(kit, out);
    adopted(out);
    after_failure(kit, out);
}

/// One thread is watched while others make and free blocks without a pause, which leaves no moment in which they would
/// not meet.
fn crowded(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (sizes, times) in [
        (&[16, 24, 100, 200][..], 2 * OFTEN),
        (&[64, 600, 1000, 3000], OFTEN),
        (&[20_000, 300_000], OFTEN / 15),
    ] {
        let requests = sizes.iter().flat_map(|&size| kit.requests(size));
        out.push(among(OTHERS, requests, times));
    }
    // More than there are places for in some table. Large blocks give them the time to meet.
    let requests = [64, 300_000, 1000, 300_000].map(Request::malloc);
    out.push(among(MANY_OTHERS, requests, 1));
}

/// Makes blocks, resizes some of them and frees them, so many times over, while so many others are at work.
fn among(number: u64, requests: impl IntoIterator<Item = Request>, times: u64) -> Program {
    let mut script = Script::new(RuleId::ThreadSafe);
    script.under(Condition::Threads, number);
    let start = script.here();
    let mut blocks = Vec::new();
    for request in requests {
        blocks.push(script.make(request));
        if is_sure(request) {
            script.expect(Expect::Pointer);
        }
    }
    for &block in blocks.iter().step_by(3) {
        script.realloc(block, 200);
    }
    script.sweep();
    script.free_all(&blocks);
    script.repeat_from(start, times);
    script.finish()
}

/// Whether a block can be had whatever others do: some refuse sizes that are no multiples of the alignment.
fn is_sure(request: Request) -> bool {
    let is_multiple = request.call != Call::AlignedAlloc || request.b.is_multiple_of(request.a);
    is_multiple && request.a.max(request.b) <= ORDINARY
}

impl Script {
    /// From here on threads pause between operations.
    fn shake(&mut self, kit: &Kit<'_>) {
        let number = self.here() as u64 + kit.seed.wrapping_mul(1000) % 1_000_000;
        self.schedule(Schedule::Shaken(number + 1));
    }

    /// Makes a few blocks and frees them, many times over.
    fn churn(&mut self, requests: &[Request], times: u64) {
        let start = self.here();
        let slots: Vec<Slot> = requests.iter().map(|&request| self.make(request)).collect();
        self.free_all(&slots);
        self.repeat_from(start, times);
    }
}

/// How often, for blocks of this size: large ones take the time that they take.
fn often(size: u64) -> u64 {
    (OFTEN * 1000 / (1000 + size / 20)).max(4)
}

/// The same call in several threads.
fn alike(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in SIZES {
        for request in kit.requests(size) {
            let mut script = Script::new(RuleId::ThreadSafe);
            script.shake(kit);
            for thread in 1..=2 {
                script.thread(thread);
                script.churn(&[request; 3], often(size));
            }
            script.join();
            out.push(script.finish());
        }
    }
    // The smallest alignments that need nothing special.
    for call in kit.aligning() {
        for size in [48, 256] {
            let mut script = Script::new(RuleId::ThreadSafe);
            script.shake(kit);
            for thread in 1..=2 {
                script.thread(thread);
                script.churn(&[kit.aligned(call, 16, size); 3], OFTEN);
            }
            script.join();
            out.push(script.finish());
        }
    }
}

/// Blocks whose alignment is all their size against plain ones that are as large: they may be of one class.
fn aligned_beside_plain(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for call in kit.aligning() {
        let mut script = Script::new(RuleId::ThreadSafe);
        script.shake(kit);
        for alignment in [64, 256, 1024, 4096] {
            script.thread(1);
            script.churn(&[kit.aligned(call, alignment, 24); 2], OFTEN / 2);
            script.thread(2);
            script.churn(&[Request::malloc(alignment); 2], OFTEN / 2);
            script.join();
        }
        out.push(script.finish());
    }
}

/// Every call against every other, in more and more threads.
fn mixed(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for threads in [2, 4, 8] {
        for size in SIZES {
            let requests = kit.requests(size);
            let mut script = Script::new(RuleId::ThreadSafe);
            script.shake(kit);
            for thread in 1..=threads {
                script.thread(thread);
                let mut own = requests.clone();
                own.rotate_left(thread as usize % requests.len());
                script.churn(&own, often(size * requests.len() as u64) / threads + 2);
            }
            script.join();
            script.sweep();
            out.push(script.finish());
        }
    }
}

/// Blocks that are freed and made again while others are in the middle of the same: so often, and without a pause, that
/// steps of a few instructions meet.
fn taken_again(out: &mut Vec<Program>) {
    for (rule, size, times) in [
        (RuleId::HappensBefore, 100, 20_000),
        (RuleId::ThreadSafe, 3000, 4000),
    ] {
        let mut script = Script::new(rule);
        for thread in 1..=4 {
            script.thread(thread);
            let start = script.here();
            let (first, second) = (script.malloc(size), script.malloc(size));
            script.free(first);
            let again = script.malloc(size);
            script.free(second);
            script.free(again);
            script.repeat_from(start, times);
        }
        script.join();
        out.push(script.finish());
    }
}

/// Zeroed blocks where others were, while other threads are given memory that nobody had.
fn zeroed_beside(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if !kit.has(Call::Calloc) {
        return;
    }
    let mut script = Script::new(RuleId::HappensBefore);
    script.thread(1);
    let start = script.here();
    let block = script.calloc(1, 64);
    script.free(block);
    script.repeat_from(start, 15_000);
    for thread in 2..=3 {
        script.thread(thread);
        script.mallocs(3000, 32);
    }
    script.join();
    out.push(script.finish());
}

/// Blocks that are freed here and made there.
fn reused(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in [16, 64, 200, 1000, 5000, 40_000] {
        for threads in [2, 3] {
            let mut script = Script::new(RuleId::HappensBefore);
            script.shake(kit);
            for thread in 1..=threads {
                script.thread(thread);
                script.churn(&[Request::malloc(size); 5], often(size));
            }
            script.join();
            out.push(script.finish());
        }
    }
}

/// Blocks freed and resized by others than their makers, who go on, or have ended.
fn foreign(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in SIZES {
        for request in kit.requests(size) {
            for ended in [false, true] {
                let mut script = Script::new(RuleId::XthreadFree);
                script.schedule(Schedule::InOrder);
                script.thread(1);
                let blocks: Vec<Slot> = (0..6).map(|_| script.make(request)).collect();
                if ended {
                    script.join();
                }
                script.thread(2);
                let mine = script.make(request);
                script.free_all(&blocks[..2]);
                script.realloc(blocks[2], size / 2 + 1);
                script.realloc(blocks[3], size * 3);
                let theirs: Vec<Slot> = (0..3).map(|_| script.make(request)).collect();
                script.free(blocks[4]);
                if !ended {
                    script.thread(1);
                    for _ in 0..3 {
                        script.make(request);
                    }
                }
                script.join();
                script.sweep();
                script.free_all(&theirs);
                script.free_all(&blocks[2..4]);
                script.free(mine);
                for _ in 0..3 {
                    script.make(request);
                }
                out.push(script.finish());
            }
        }
    }
}

/// One thread makes blocks, another frees them, and both make some of their own.
fn pipeline(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (size, count) in [(48, 400), (700, 300), (9000, 100), (200_000, 30)] {
        for consumers in [1, 3] {
            let mut script = Script::new(RuleId::XthreadFree);
            script.shake(kit);
            for step in 0..count {
                script.thread(1);
                let block = script.malloc(size);
                script.thread(2 + step % consumers);
                let mine = script.malloc(size);
                script.free(block);
                if step % 3 == 0 {
                    script.realloc(mine, size * 2);
                }
                script.free(mine);
            }
            script.join();
            out.push(script.finish());
        }
    }
}

/// Each function as the first one that a thread calls.
fn first_calls(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in [100, 5000, 300_000] {
        let firsts: [fn(&mut Script, Slot); 5] = [
            |script, block| script.free(block),
            |script, block| script.realloc(block, 200),
            |script, block| script.realloc(block, 1_000_000),
            |script, block| script.on(Call::UsableSize, block),
            |script, _| script.direct(Call::Free, 0, 0),
        ];
        for (number, first) in firsts.into_iter().enumerate() {
            if number == 3 && !kit.has(Call::UsableSize) {
                continue;
            }
            let mut script = Script::new(RuleId::XthreadReallocFirst);
            script.schedule(Schedule::InOrder);
            let block = script.malloc(size);
            script.thread(1);
            first(&mut script, block);
            let own = script.malloc(size);
            script.free(own);
            script.join();
            script.sweep();
            out.push(script.finish());
        }
        for request in kit.requests(size) {
            let mut script = Script::new(RuleId::XthreadReallocFirst);
            script.schedule(Schedule::InOrder);
            script.thread(1);
            let block = script.make(request);
            script.join();
            script.free(block);
            out.push(script.finish());
        }
    }
}

/// Blocks that grow and shrink at the same time.
fn resized(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let ladders: [&[u64]; 4] = [
        &[24, 100, 1000, 300, 30],
        &[5000, 40_000, 130_000, 20_000],
        &[150_000, 400_000, 2 * MIB, 700_000],
        &[MIB, 5 * MIB, 16 * MIB, 3 * MIB],
    ];
    for ladder in ladders {
        for threads in [2, 4] {
            let top = ladder.iter().copied().max().unwrap_or(0);
            if !kit.affords(top * threads * 2) {
                continue;
            }
            let mut script = Script::new(RuleId::ConcurrentRealloc);
            script.shake(kit);
            for thread in 1..=threads {
                script.thread(thread);
                let start = script.here();
                let block = script.malloc(ladder[0]);
                let mut steps = ladder.to_vec();
                steps.rotate_left(thread as usize % ladder.len());
                for size in steps {
                    script.realloc(block, size);
                }
                script.free(block);
                script.repeat_from(start, often(top) / 2);
            }
            script.join();
            out.push(script.finish());
        }
    }
    // There and back, from both ends.
    let mut script = Script::new(RuleId::ConcurrentRealloc);
    for (thread, sizes) in [(1, [100, 5000, 100]), (2, [5000, 100, 5000])] {
        script.thread(thread);
        let start = script.here();
        let block = script.malloc(sizes[0]);
        script.realloc(block, sizes[1]);
        script.realloc(block, sizes[2]);
        script.free(block);
        script.repeat_from(start, 5000);
    }
    script.join();
    out.push(script.finish());
}

/// Blocks of threads that have ended.
fn left_behind(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in SIZES {
        let mut script = Script::new(RuleId::ThreadExitLive);
        let mut left = Vec::new();
        for _ in 0..3 {
            for thread in 1..=2 {
                script.thread(thread);
                for request in kit.requests(size) {
                    left.push(script.make(request));
                    let block = script.make(request);
                    script.free(block);
                }
            }
            script.join();
            script.sweep();
        }
        let more: Vec<Slot> = kit
            .requests(size)
            .into_iter()
            .map(|request| script.make(request))
            .collect();
        script.sweep();
        script.free_all(&left);
        script.free_all(&more);
        out.push(script.finish());
    }
}

/// Threads that do little and end, one after another, and two at a time.
fn short_lives(out: &mut Vec<Program>) {
    for times in [300, SHORT_LIVES / 2] {
        let mut script = Script::new(RuleId::ThreadExitLive);
        let kept = script.malloc(100);
        let start = script.here();
        script.thread(1);
        let left = script.malloc(64);
        let own = script.malloc(1000);
        script.free(own);
        script.thread(2);
        let other = script.malloc(64);
        script.free(other);
        script.join();
        script.free(left);
        script.repeat_from(start, times - 1);
        script.sweep();
        script.free(kept);
        out.push(script.finish());
    }
}

/// Destructors of thread-specific data that allocate and free.
fn at_exit(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for size in SIZES {
        for request in kit.requests(size) {
            let mut script = Script::new(RuleId::TsdDestructor);
            let foreign = script.malloc(size);
            script.thread(1);
            let mut block = script.make(request);
            for _ in 0..3 {
                script.at_exit();
                let next = script.make(request);
                script.free(block);
                script.realloc(next, size + 100);
                block = next;
            }
            script.at_exit();
            script.free(foreign);
            let last = script.make(request);
            script.join();
            script.sweep();
            script.free_all(&[block, last]);
            out.push(script.finish());
        }
    }
    // A thread that makes its first call there.
    let mut script = Script::new(RuleId::TsdDestructor);
    script.thread(1);
    script.at_exit();
    let block = script.malloc(100);
    script.join();
    script.free(block);
    out.push(script.finish());
}

/// A thread goes on in a second round of destructors, when what it had may have been handed on, beside another that has its
/// first block then.
fn adopted(out: &mut Vec<Program>) {
    const TIMES: u64 = 1500;
    let sizes = [100, 1000, 48].map(Request::malloc);
    let mut script = Script::new(RuleId::TsdDestructor);
    for _ in 0..3 {
        script.thread(1);
        let first = script.malloc(100);
        script.at_exit();
        script.free(first);
        script.at_exit();
        let handed_over = script.malloc(100);
        script.churn(&sizes, TIMES);
        script.thread(2);
        script.free(handed_over);
        script.churn(&sizes, TIMES);
        script.join();
    }
    out.push(script.finish());
}

/// A request that fails leaves the heap usable for other threads.
fn after_failure(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let huge = u64::MAX / 4;
    for request in kit.requests(huge) {
        for by_thread in [false, true] {
            let mut script = Script::new(RuleId::NoStaleSuccess);
            script.schedule(Schedule::InOrder);
            let block = script.malloc(100);
            if by_thread {
                script.thread(1);
            }
            script.make(request);
            script.thread(2);
            let other = script.malloc(100);
            script.expect(Expect::Pointer);
            script.malloc(5000);
            script.expect(Expect::Pointer);
            script.free(block);
            script.free(other);
            script.join();
            script.malloc(100);
            script.expect(Expect::Pointer);
            out.push(script.finish());
        }
    }
}
