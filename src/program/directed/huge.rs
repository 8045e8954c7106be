//! Requests that cannot be met: sizes beyond any address space and products beyond any size, on an empty heap, on one
//! with freed blocks in its caches, and again after a failure; and that nothing is the worse for it afterwards.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, Program, Slot};
use crate::spec::RuleId;

/// `PTRDIFF_MAX`.
const SIGNED_MAX: u64 = i64::MAX as u64;

/// Sizes that wrap when a header, a page or an alignment is added.
const WRAPPING: [u64; 14] = [0, 1, 7, 8, 15, 16, 17, 31, 32, 63, 64, 100, 4095, 4096];

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for make in makers(kit) {
        wrapping(kit, make, out);
        said(make, out);
        signed(make, out);
    }
    regrown(out);
    powers(kit, out);
    aligned(kit, out);
    products(kit, out);
    resized(kit, out);
    nothing_stale(kit, out);
    boundaries(kit, out);
}

/// A live block resized to sizes that wrap, in place or not.
fn regrown(out: &mut Vec<Program>) {
    for old in [24, 1000, 100_000] {
        let mut script = Script::new(RuleId::HugeMustFail);
        let block = script.malloc(old);
        for k in WRAPPING {
            script.realloc(block, u64::MAX - k);
        }
        script.free(block);
        out.push(script.finish());
    }
}

type Make = fn(u64) -> Request;

/// The ways to ask for one size, of those there are.
fn makers(kit: &Kit<'_>) -> impl Iterator<Item = Make> {
    const MAKERS: [Make; 9] = [
        Request::malloc,
        |size| Request::new(Call::Calloc, 1, size),
        |size| Request::new(Call::Realloc, size, 0),
        |size| Request::new(Call::Reallocarray, size.div_ceil(1024), 1024),
        |size| Request::new(Call::AlignedAlloc, 16, size - size % 16),
        |size| Request::new(Call::PosixMemalign, 16, size),
        |size| Request::new(Call::Memalign, 16, size),
        |size| Request::new(Call::Valloc, size, 0),
        |size| Request::new(Call::Pvalloc, size, 0),
    ];
    MAKERS.into_iter().filter(|make| kit.has(make(0).call))
}

fn wrapping(kit: &Kit<'_>, make: Make, out: &mut Vec<Program>) {
    let mut cold = Script::new(RuleId::HugeMustFail);
    cold.make(make(u64::MAX));
    out.push(cold.finish());

    let mut script = Script::new(RuleId::HugeMustFail);
    script.warm(kit, 8);
    for k in WRAPPING {
        script.make(make(u64::MAX - k));
    }
    // Once more after so many failures, among blocks that can be had.
    for k in WRAPPING {
        let small = script.malloc(24);
        script.make(make(u64::MAX - k));
        script.free(small);
    }
    out.push(script.finish());
}

/// The rule about what a failure of a call says of itself.
fn rule_of_failure(call: Call) -> RuleId {
    match call {
        Call::Memalign | Call::Valloc | Call::Pvalloc => RuleId::MemalignErrno,
        Call::PosixMemalign => RuleId::PmaReturnsError,
        _ => RuleId::MallocErrno,
    }
}

/// What a failure says of itself, whatever makes it fail: an alignment that every allocator has, and no caches.
fn said(make: Make, out: &mut Vec<Program>) {
    let rule = rule_of_failure(make(0).call);
    for size in [u64::MAX, SIGNED_MAX + 1, SIGNED_MAX, 1 << 57] {
        let mut script = Script::new(rule);
        script.make(make(size));
        script.malloc(100);
        out.push(script.finish());
    }
    // Sizes between what there may be and what is absurd.
    let mut script = Script::new(RuleId::HugeMustFail);
    for power in [48, 49, 50, 52, 55] {
        script.make(make((1 << power) + 100));
    }
    out.push(script.finish());
}

fn signed(make: Make, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::PtrdiffMax);
    for size in [
        SIGNED_MAX + 1,
        SIGNED_MAX + 2,
        SIGNED_MAX + 101,
        SIGNED_MAX + 4097,
    ] {
        script.make(make(size));
        script.malloc(100);
    }
    out.push(script.finish());
}

fn powers(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for make in makers(kit) {
        let mut script = Script::new(RuleId::HugeMustFail);
        script.warm(kit, 2);
        for power in 48..64 {
            for offset in [0u64.wrapping_sub(16), 0, 1, 100, 4096] {
                let size = (1u64 << power).wrapping_add(offset);
                script.make(make(size));
            }
        }
        script.make(make(SIGNED_MAX));
        out.push(script.finish());
    }
}

/// Alignments that many allocators see to in a way of its own, and what a failure says there. Then size and alignment
/// that wrap together, though each alone does not.
fn aligned(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for call in kit.aligning() {
        for alignment in [32, 256, 4096] {
            let mut script = Script::new(rule_of_failure(call));
            script.make(kit.aligned(call, alignment, SIGNED_MAX + 1 + alignment));
            out.push(script.finish());
        }
        let mut script = Script::new(RuleId::HugeMustFail);
        script.warm(kit, 2);
        for power in [3, 4, 6, 12, 16, 20, 30, 46, 62, 63] {
            let alignment = 1u64 << power;
            // The multiples of the alignment next to where the sum wraps, so that they are defined everywhere.
            for size in [
                0u64.wrapping_sub(alignment),
                0u64.wrapping_sub(2 * (alignment & SIGNED_MAX)),
            ] {
                if size > 1 << 56 {
                    script.make(Request::new(call, alignment, size));
                }
            }
            if kit.vocabulary.nonmultiple_sizes || call != Call::AlignedAlloc {
                script.make(Request::new(call, alignment, u64::MAX - alignment / 2));
                script.make(Request::new(call, alignment, SIGNED_MAX - 100));
            }
        }
        out.push(script.finish());
    }
}

/// Factors whose product wraps to something small, or to 0.
const OVERFLOWING: [(u64, u64); 9] = [
    (1 << 32, 1 << 32),
    ((1 << 33) + 1, 1 << 31),
    (1 << 63, 2),
    ((1 << 63) + 1, 2),
    (u64::MAX / 16 + 2, 16),
    (u64::MAX / 3 + 2, 3),
    (u64::MAX / 100 + 1, 100),
    (u64::MAX, 2),
    (u64::MAX, u64::MAX),
];

fn products(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for swapped in [false, true] {
        let pairs = OVERFLOWING.map(|(a, b)| if swapped { (b, a) } else { (a, b) });
        let mut calloc = Script::new(RuleId::CallocWrap);
        calloc.warm(kit, 4);
        let mut array = Script::new(RuleId::ReallocarrayOverflow);
        array.warm(kit, 4);
        let mut grown = Script::new(RuleId::ReallocarrayOverflow);
        for (a, b) in pairs {
            calloc.calloc(a, b);
            array.make(Request::new(Call::Reallocarray, a, b));
            let block = grown.malloc(100);
            grown.reallocarray(block, a, b);
            grown.malloc(100);
            grown.free(block);
        }
        grown.sweep();
        out.extend([calloc.finish(), array.finish(), grown.finish()]);
    }
}

/// A failed resize, then enough blocks of the same size that a block freed by mistake would be among them.
fn resized(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut old = vec![
        Request::malloc(0),
        Request::malloc(24),
        Request::malloc(100),
        Request::malloc(1000),
        Request::malloc(5000),
        Request::malloc(300_000),
    ];
    old.extend(kit.aligning().map(|call| kit.aligned(call, 256, 512)));
    for request in old {
        for size in [SIGNED_MAX, u64::MAX, (1 << 57) + 1] {
            let mut script = Script::new(RuleId::ReallocFailKeeps);
            script.warm(kit, 1);
            let before = script.make(request);
            let block = script.make(request);
            script.realloc(block, size);
            for _ in 0..300 {
                script.make(request);
            }
            script.sweep();
            script.realloc(block, 200);
            script.free(block);
            script.free(before);
            out.push(script.finish());
        }
    }
    let mut script = Script::new(RuleId::ReallocarrayOverflow);
    let block = script.malloc(100);
    script.reallocarray(block, 1 << 33, 1 << 33);
    script.mallocs(200, 100);
    script.sweep();
    out.push(script.finish());
}

/// Whatever failed, everything works afterwards.
fn nothing_stale(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut failures: Vec<Request> = makers(kit)
        .flat_map(|make| [make(u64::MAX - 15), make(1 << 58)])
        .collect();
    failures.push(Request::new(Call::Calloc, 1 << 33, 1 << 33));
    failures.push(Request::new(Call::Reallocarray, 1 << 33, 1 << 33));
    for call in kit.aligning() {
        failures.extend([3, 24].map(|alignment| Request::new(call, alignment, 96)));
        failures.push(Request::new(call, 1 << 62, 1 << 62));
    }
    for failure in failures {
        let mut script = Script::new(RuleId::NoStaleSuccess);
        see_what_works(kit, &mut script);
        let witness = script.malloc(64);
        script.make(failure);
        script.make(failure);
        everything_works(kit, &mut script);
        script.free(witness);
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::NoStaleSuccess);
    see_what_works(kit, &mut script);
    let block = script.malloc(64);
    script.realloc(block, u64::MAX - 100);
    everything_works(kit, &mut script);
    out.push(script.finish());
}

/// What [`everything_works`] asks for, to see what of it can be had: not every allocator has all those sizes and
/// alignments.
///
/// In turn, since the first round shapes the heap; and after more than small pools hold, so that one that nothing comes
/// back to has run out by now.
pub fn see_what_works(kit: &Kit<'_>, script: &mut Script) {
    script.pass_through();
    for _ in 0..2 {
        blocks_of_many_kinds(kit, script, Expect::Any);
    }
}

/// Whatever could be had when [`see_what_works`] asked for it can be had again.
pub fn everything_works(kit: &Kit<'_>, script: &mut Script) {
    blocks_of_many_kinds(kit, script, Expect::AsEarlier);
}

/// Blocks of many sizes, made, resized and freed.
fn blocks_of_many_kinds(kit: &Kit<'_>, script: &mut Script, expect: Expect) {
    let mut slots: Vec<Slot> = Vec::new();
    for size in [
        1,
        16,
        24,
        100,
        256,
        513,
        1000,
        4096,
        5000,
        40_000,
        140_000,
        1 << 20,
    ] {
        slots.push(script.malloc(size));
        script.expect(expect);
        slots.push(script.calloc(2, size));
        script.expect(expect);
    }
    for call in kit.aligning() {
        slots.push(script.make(Request::new(call, 64, 128)));
        script.expect(expect);
    }
    for (index, &slot) in slots.iter().enumerate() {
        script.realloc(slot, 50 + 70 * index as u64);
        script.expect(expect);
    }
    script.sweep();
    script.free_all(&slots);
}

/// Sizes around powers of two and at the subject's own classes.
fn boundaries(kit: &Kit<'_>, out: &mut Vec<Program>) {
    const OFFSETS: [i64; 10] = [0, -17, -16, -1, -8, -4095, 1, 8, 16, 4096];
    // Beyond 2^43 bytes some allocators take seconds to mark what they reserved.
    for first in (4..44).step_by(4) {
        let mut script = Script::new(RuleId::SizeBoundaries);
        for power in first..first + 4 {
            // Large ones cost a thousand page faults each.
            let every = if power < 24 { 1 } else { 3 };
            for offset in OFFSETS.into_iter().step_by(every) {
                let size = (1i64 << power) + offset;
                if size > 0 {
                    // One at a time: most are larger than what may be live.
                    let block = script.malloc(size as u64);
                    script.ask(kit, block);
                    script.free(block);
                }
            }
        }
        out.push(script.finish());
    }
    // A length kept in 32 bits shows where its lower half is small.
    for size in [(1 << 32) + 1, (1 << 32) + 100, (1 << 32) + 4096, 1 << 33] {
        let mut script = Script::new(RuleId::SizeBoundaries);
        let neighbour = script.malloc(100);
        let block = script.malloc(size);
        script.malloc(100);
        script.sweep();
        script.realloc(neighbour, size);
        script.free(neighbour);
        script.free(block);
        out.push(script.finish());
    }
    for classes in kit.classes.chunks(20) {
        let mut script = Script::new(RuleId::SizeBoundaries);
        for &class in classes {
            for size in [class - 1, class, class + 1, class, class - 1] {
                let slots = script.mallocs(3, size);
                script.free(slots[1]);
            }
        }
        script.sweep();
        out.push(script.finish());
    }
    // Where twice as much was had a moment ago, a size at a class's end can be had, too.
    let edges = kit.classes.iter().filter(|&&class| class <= 64 << 10);
    let edges = edges.flat_map(|&class| [class - 1, class, class + 1]);
    let sizes: Vec<u64> = edges.chain((8..=8192).step_by(8)).collect();
    for sizes in sizes.chunks(64) {
        let mut script = Script::new(RuleId::SizeBoundaries);
        for &size in sizes {
            let witness = script.malloc(2 * size);
            script.free(witness);
            let block = script.malloc(size);
            script.expect(Expect::AsBefore);
            script.free(block);
        }
        out.push(script.finish());
    }
}
