//! System calls that fail: one of them, all from one on, or some at random, while blocks are made, resized and freed.
//!
//! A limit on mapped memory makes what asks for memory fail, all of it and for long. Here a single system call fails
//! among others that do not, and those fail too by which memory is given back. A program says `1`, the first; whoever
//! runs it goes on with the second and so forth, until a run has no failure left in it.

use super::huge::{everything_works, see_what_works};
use super::script::{Kit, Request, Script};
use crate::program::failing::{Failing, Syscall, Which};
use crate::program::op::{Call, Expect, Op, Program, Slot};
use crate::program::under::Condition;
use crate::spec::RuleId;

const MIB: u64 = 1 << 20;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    // Subjects with hooks have their memory from those.
    if kit.vocabulary.hooked {
        return;
    }
    for which in [Which::Nth, Which::From] {
        makes(kit, which, MIB, 2, out);
        makes(kit, which, 40_000, 24, out);
        many(kit, which, out);
        grows_again(kit, which, out);
        resizes(kit, which, out);
        slides(which, out);
        frees(kit, which, out);
        cancelled(kit, which, out);
    }
    zeroes(kit, out);
    at_random(kit, out);
}

impl Script {
    /// From here on system calls fail.
    fn fail(&mut self, syscall: Syscall, which: Which, number: u64) {
        let Op { call, a, b, .. } = Failing {
            syscall,
            which,
            number,
        }
        .op();
        self.direct(call, a, b);
    }

    /// From here on they do not.
    fn pass(&mut self) {
        self.direct(Call::FailSyscall, 0, 0);
    }

    /// What the subject does once for all is done.
    fn start(&mut self) {
        let block = self.malloc(100);
        self.free(block);
    }
}

/// The rule that says that everything works as it did once system calls no longer fail.
fn afterwards(which: Which) -> RuleId {
    match which {
        Which::Nth => RuleId::NoStaleSuccess,
        _ => RuleId::OomRecovers,
    }
}

/// Every way to make a block, and then everything works as it did.
fn makes(kit: &Kit<'_>, which: Which, size: u64, count: usize, out: &mut Vec<Program>) {
    let own = afterwards(which);
    for rule in [own, RuleId::MallocErrno] {
        let mut script = Script::new(rule);
        if rule == own {
            see_what_works(kit, &mut script);
        } else {
            script.start();
        }
        let mut slots = Vec::new();
        for request in kit.requests(size) {
            script.fail(Syscall::Any, which, 1);
            slots.extend((0..count).map(|_| script.make(request)));
        }
        script.pass();
        script.sweep();
        script.free_all(&slots);
        if rule == own {
            everything_works(kit, &mut script);
        }
        out.push(script.finish());
    }
}

/// Small blocks, more than come with one system call.
fn many(kit: &Kit<'_>, which: Which, out: &mut Vec<Program>) {
    let count = match which {
        Which::Nth => 600,
        // Those for which there is no memory any more cost as many system calls each.
        _ => 250,
    };
    for (request, count) in [
        (Request::malloc(1000), count),
        (Request::new(Call::Calloc, 1, 1000), count),
        // Each with an entry of its own in some table, which grows.
        (Request::malloc(50_000), 200),
    ] {
        let mut script = Script::new(afterwards(which));
        see_what_works(kit, &mut script);
        script.fail(Syscall::Any, which, 1);
        let slots: Vec<Slot> = (0..count).map(|_| script.make(request)).collect();
        script.pass();
        script.sweep();
        script.free_all(&slots);
        everything_works(kit, &mut script);
        out.push(script.finish());
    }
}

/// Some blocks of each kind are refused, and then as many are made again while the others live: whoever was refused has to ask
/// for memory again.
fn grows_again(kit: &Kit<'_>, which: Which, out: &mut Vec<Program>) {
    let counts = [(24, 400), (200, 600), (1000, 1500), (28_000, 152)];
    let each_class = kit.classes.iter().map(|&class| (Request::malloc(class), 2));
    let each_request = [100, 5000, 300_000].into_iter();
    let each_request = each_request.flat_map(|size| kit.requests(size));
    let mut kinds: Vec<Vec<(Request, usize)>> = counts
        .map(|(size, count)| vec![(Request::malloc(size), count)])
        .into();
    kinds.push(each_class.collect());
    kinds.push(each_request.map(|request| (request, 3)).collect());
    for kind in kinds {
        let mut script = Script::new(RuleId::OomRecovers);
        script.start();
        for (request, count) in kind {
            script.fail(Syscall::Any, which, 1);
            for _ in 0..count {
                script.make(request);
            }
            script.pass();
            for _ in 0..count {
                script.make(request);
                script.expect(Expect::AsUnhindered);
            }
        }
        out.push(script.finish());
    }
}

/// Sizes of blocks and what they are to become.
const RESIZES: [(u64, u64); 11] = [
    (100, 5000),
    (5000, 100_000),
    (100_000, 300_000),
    (300_000, 2 * MIB),
    (2 * MIB, 8 * MIB),
    (2 * MIB, 3 * MIB + 100),
    (8 * MIB, MIB),
    (2 * MIB, 100),
    (300_000, 20_000),
    (400_000, 250_000),
    (1_200_000, 700_000),
];

/// A block that cannot be resized is as it was.
fn resizes(kit: &Kit<'_>, which: Which, out: &mut Vec<Program>) {
    for (from, to) in RESIZES {
        let mut script = Script::new(RuleId::ReallocFailKeeps);
        script.start();
        let neighbours = script.mallocs(2, from);
        let block = script.malloc(from);
        script.fail(Syscall::Any, which, 1);
        script.realloc(block, to);
        if kit.has(Call::Reallocarray) {
            script.fail(Syscall::Any, which, 1);
            script.reallocarray(neighbours[1], 2, to / 2);
        }
        script.pass();
        script.sweep();
        let small = script.malloc(100);
        script.free(small);
        // Filling large ones takes its time.
        let others = script.mallocs(if from > 200_000 { 1 } else { 6 }, from);
        script.sweep();
        script.realloc(block, 2 * from);
        script.free(block);
        script.free_all(&neighbours);
        script.free_all(&others);
        out.push(script.finish());
    }
}

/// Blocks grow where the place before each is free and less and less room is left behind it: who moves a block forward and
/// then finds that it cannot grow there either has lost it.
fn slides(which: Which, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::ReallocFailKeeps);
    script.start();
    for number in 0..14 {
        // Too large for the places that were free before.
        let before = script.malloc(9000 + 1000 * number);
        let block = script.malloc(30_000);
        script.free(before);
        script.fail(Syscall::Any, which, 1);
        script.realloc(block, 110_000);
        script.pass();
    }
    script.sweep();
    out.push(script.finish());
}

/// What is freed is freed, though the kernel does not take it back.
fn frees(kit: &Kit<'_>, which: Which, out: &mut Vec<Program>) {
    for syscall in [Syscall::Any, Syscall::Munmap, Syscall::Madvise] {
        for size in [140_000, MIB, 5 * MIB, 33 * MIB] {
            let mut requests = kit.requests(size);
            // Filling them takes its time.
            requests.truncate(if size > MIB { 1 } else { requests.len() });
            let mut script = Script::new(RuleId::FreeErrno);
            script.start();
            for request in requests {
                let blocks = [script.make(request), script.make(request)];
                script.fail(syscall, which, 1);
                script.free_all(&blocks);
            }
            script.pass();
            script.malloc(size);
            // What is too small for these may be taken apart for each of them.
            script.mallocs(2, size + size / 4);
            out.push(script.finish());
        }
        let mut script = Script::new(RuleId::FreeErrno);
        script.start();
        // Many small ones, which go back together.
        for size in [100, 2000, 20_000] {
            let blocks = script.mallocs(4 * MIB as usize / size, size as u64);
            script.fail(syscall, which, 1);
            script.free_all(&blocks);
            if kit.has(Call::Trim) {
                script.fail(syscall, which, 1);
                script.direct(Call::Trim, 0, 0);
            }
            script.pass();
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// What comes after a failure is no cancellation point either.
fn cancelled(kit: &Kit<'_>, which: Which, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::NotCancellationPoint);
    script.start();
    script.fail(Syscall::Any, which, 1);
    script.under(Condition::Cancellation, 0);
    for size in [100, 40_000, MIB] {
        let mut requests = vec![Request::malloc(size), Request::new(Call::Calloc, 1, size)];
        requests.extend(
            kit.aligning()
                .next()
                .map(|call| kit.aligned(call, 64, size)),
        );
        let slots: Vec<Slot> = requests.into_iter().map(|it| script.make(it)).collect();
        script.realloc(slots[0], 2 * size);
        script.free_all(&slots);
    }
    out.push(script.finish());
}

/// Memory that was not given back, though that was tried, is zeroed when it is used again.
fn zeroes(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for which in [Which::Nth, Which::From] {
        for (size, count) in [(MIB, 6), (200_000, 12), (30_000, 120), (500, 400)] {
            let mut script = Script::new(RuleId::CallocZeroAfterOom);
            script.start();
            let slots = script.mallocs(count, size);
            script.fail(Syscall::Any, which, 1);
            script.free_all(&slots);
            if kit.has(Call::Trim) {
                script.direct(Call::Trim, 0, 0);
            }
            for _ in 0..count {
                script.calloc(1, size);
            }
            script.pass();
            for _ in 0..count {
                script.calloc(size, 1);
            }
            out.push(script.finish());
        }
    }
}

/// How many programs meet random failures, and how long they are.
const RANDOM: u64 = 12;
const LENGTH: usize = 240;

/// Random programs, whose system calls fail at random now and then.
fn at_random(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for number in 0..RANDOM {
        let seed = kit.seed.wrapping_mul(RANDOM).wrapping_add(number);
        let random = Program::random(seed, kit.vocabulary, LENGTH);
        let mut script = Script::new(RuleId::OomReturnsNull);
        script.start();
        for (index, op) in random.ops.into_iter().enumerate() {
            match index % (LENGTH / 4) {
                0 => script.fail(Syscall::Any, Which::Some, 1 + seed % 1000 + index as u64),
                point if point == LENGTH / 8 => script.pass(),
                _ => {}
            }
            script.add(op);
        }
        script.pass();
        script.sweep();
        out.push(script.finish());
    }
}
