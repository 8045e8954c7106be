//! Memory that runs out: under a limit on what the process may map, calls fail as they should, and when something is
//! freed they succeed again.
//!
//! What is freed may be held back for a while, or for ever. So a request is expected to succeed only when the limit is
//! gone, the blocks that took all memory are freed, and the same request succeeded before; a block that shrinks needs
//! nothing but what it has.

use super::huge::{everything_works, see_what_works};
use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, Program};
use crate::spec::RuleId;

const MIB: u64 = 1 << 20;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for request in kit.requests(MIB) {
        returns_null(kit, request, out);
    }
    small_blocks(out);
    recovers(out);
    recovers_for_others(kit, out);
    forgets_failures(kit, out);
    keeps_old(kit, out);
    shrinks(out);
    still_zero(kit, out);
}

/// The limit under which large blocks run out.
const LIMIT: u64 = 24 * MIB;

fn returns_null(kit: &Kit<'_>, request: Request, out: &mut Vec<Program>) {
    for rule in [RuleId::OomReturnsNull, RuleId::MallocErrno] {
        let mut script = Script::new(rule);
        let block = script.malloc(100);
        script.limit(LIMIT);
        script.make(enlarged(request));
        for _ in 0..36 {
            script.make(request);
        }
        // Nothing large is left; here the small ones and the resizing ones find out.
        for &class in kit.classes.iter().step_by(5) {
            script.malloc(class);
        }
        script.realloc(block, 8 * MIB);
        script.sweep();
        script.unlimit();
        out.push(script.finish());
    }
}

/// The same call for 8 GiB.
fn enlarged(request: Request) -> Request {
    let Request { call, a, b } = request;
    let factor = 8 << 10;
    match call {
        Call::Calloc | Call::Reallocarray if b == 1 => Request::new(call, a * factor, b),
        Call::Malloc | Call::Realloc | Call::Valloc | Call::Pvalloc => {
            Request::new(call, a * factor, b)
        }
        _ => Request::new(call, a, b * factor),
    }
}

/// Small blocks until there are no more, which takes a path of its own.
fn small_blocks(out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::OomReturnsNull);
    script.limit(4 * MIB);
    script.mallocs(28_000, 200);
    script.unlimit();
    out.push(script.finish());

    let mut script = Script::new(RuleId::OomReturnsNull);
    script.limit(4 * MIB);
    for _ in 0..5000 {
        script.calloc(1, 1000);
    }
    script.unlimit();
    out.push(script.finish());
}

/// Blocks of one size fill all memory and are freed; when the limit is gone, one of that size must be had again. More
/// at once were perhaps never to be had.
fn recovers(out: &mut Vec<Program>) {
    for (size, before, filling) in [
        (16 * MIB, 4, 12),
        (MIB, 16, 24),
        (300_000, 48, 80),
        (5000, 512, 1000),
        (200, 4096, 28_000),
    ] {
        let mut script = Script::new(RuleId::OomRecovers);
        script.pass_through();
        let slots = script.mallocs(before, size);
        script.limit(if size > MIB { LIMIT } else { 4 * MIB });
        let filling = script.mallocs(filling, size);
        script.free_all(&slots);
        script.free_all(&filling);
        script.unlimit();
        script.malloc(size);
        script.expect(Expect::AsEarlier);
        script.sweep();
        out.push(script.finish());
    }
}

/// When the limit is gone, so is everything that came of it.
fn recovers_for_others(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for request in kit.requests(MIB) {
        for rule in [RuleId::OomRecovers, RuleId::NoStaleSuccess] {
            let mut script = Script::new(rule);
            see_what_works(kit, &mut script);
            every_class(kit, &mut script, Expect::Any);
            let mut slots = script.mallocs(64, 100);
            script.limit(4 * MIB);
            for _ in 0..12 {
                slots.push(script.make(request));
            }
            // Every class meets the lack of memory, too.
            for &class in &kit.classes {
                let count = (256 << 10) / class.max(2048);
                slots.extend(script.mallocs(count as usize, class));
            }
            script.free_all(&slots);
            script.unlimit();
            everything_works(kit, &mut script);
            every_class(kit, &mut script, Expect::AsEarlier);
            out.push(script.finish());
        }
    }
}

/// Many requests fail that would be had but for the limit, more in all than an allocator may keep account of; when the limit is
/// gone, nothing is left of them.
fn forgets_failures(kit: &Kit<'_>, out: &mut Vec<Program>) {
    const LARGE: u64 = 5 * MIB;
    const TIMES: u64 = 8;
    if !kit.affords(2 * LARGE) {
        return;
    }
    let mut script = Script::new(RuleId::NoStaleSuccess);
    let block = script.malloc(LARGE);
    script.free(block);
    script.limit(2 * LIMIT);
    let aligned = kit
        .aligning()
        .map(|call| kit.aligned(call, 2 * MIB, 2048 * MIB));
    for request in kit.requests(2048 * MIB).into_iter().chain(aligned) {
        for _ in 0..TIMES {
            let none = script.make(request);
            script.free(none);
        }
    }
    script.unlimit();
    script.malloc(LARGE);
    script.expect(Expect::AsEarlier);
    out.push(script.finish());
}

/// A block of every class, all live at once.
fn every_class(kit: &Kit<'_>, script: &mut Script, expect: Expect) {
    let mut slots = Vec::new();
    for &class in &kit.classes {
        slots.push(script.malloc(class));
        script.expect(expect);
    }
    script.sweep();
    script.free_all(&slots);
}

/// A block that cannot grow is still there.
fn keeps_old(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut blocks: Vec<(u64, Request)> = [24, 1000, 5000, 300_000]
        .map(|size| (size, Request::malloc(size)))
        .into();
    blocks.extend(kit.requests(100).into_iter().map(|request| (100, request)));
    for (size, request) in blocks {
        let mut script = Script::new(RuleId::ReallocFailKeeps);
        let block = script.make(request);
        script.limit(8 * MIB);
        script.mallocs(12, MIB);
        script.realloc(block, 32 * MIB);
        if kit.has(Call::Reallocarray) {
            script.reallocarray(block, 32, MIB);
        }
        script.unlimit();
        script.mallocs(300, size);
        script.sweep();
        script.realloc(block, 2 * size);
        script.free(block);
        out.push(script.finish());
    }
}

/// A block becomes smaller though there is no memory for another.
fn shrinks(out: &mut Vec<Program>) {
    for (from, to) in [
        (1000, 900),
        (1000, 100),
        (5000, 600),
        (100_000, 40_000),
        (2 * MIB, MIB),
        (2 * MIB, 100),
    ] {
        let mut script = Script::new(RuleId::ReallocShrinkSucceeds);
        let slots = script.mallocs(4, from);
        script.limit(4 * MIB);
        for size in [MIB, 64 << 10, 4096] {
            script.mallocs((8 * MIB / size) as usize, size);
        }
        script.mallocs(5000, to.min(2000));
        for &slot in &slots {
            script.realloc(slot, to);
            script.expect(Expect::Pointer);
        }
        script.sweep();
        script.unlimit();
        out.push(script.finish());
    }
}

/// Memory found in an emergency is zeroed like any other.
fn still_zero(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for &class in kit
        .classes
        .iter()
        .filter(|&&class| class <= 8192)
        .step_by(2)
    {
        let mut script = Script::new(RuleId::CallocZeroAfterOom);
        let slots = script.mallocs(64, class);
        script.limit(4 * MIB);
        script.mallocs(8, MIB);
        script.free_all(&slots);
        for _ in 0..48 {
            script.calloc(1, class);
        }
        let zeroed = script.calloc(1, 2 * MIB);
        script.free(zeroed);
        for _ in 0..48 {
            script.calloc(class, 1);
        }
        script.unlimit();
        out.push(script.finish());
    }
}
