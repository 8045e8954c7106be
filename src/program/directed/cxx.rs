//! The C++ operators: every form of `new` with every form of `delete` that is for it.

use super::growth::used_again;
use super::script::{Kit, Request, Script};
use crate::program::failing::{Failing, Syscall, Which};
use crate::program::op::{Call, Expect, NO_SLOT, Op, Program, Slot};
use crate::program::under::Condition;
use crate::spec::RuleId;

/// Sizes that no address space holds.
const HUGE: [u64; 6] = [
    u64::MAX,
    u64::MAX - 15,
    1 << 63,
    (1 << 63) - 1,
    1 << 57,
    (1 << 57) + 4097,
];
/// Alignments that every compiler has.
/// Alignments up to this are there wherever there is memory.
const PAGE: u64 = 4096;
const ALIGNMENTS: [u64; 11] = [1, 2, 8, 16, 32, 64, 256, 4096, 8192, 1 << 16, 1 << 20];
/// What may be mapped where memory is to run out.
const LIMIT: u64 = 48 << 20;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let news = || {
        Call::ALL
            .iter()
            .copied()
            .filter(|&call| call.is_new() && kit.has(call))
    };
    for new in news() {
        huge(kit, new, out);
        exhausted(new, out);
        failing(new, out);
        zero(new, out);
        handled(kit, new, out);
        match new.takes_alignment() {
            true => aligned(kit, new, out),
            false => sizes(new, out),
        }
    }
    null(kit, out);
    nothing_for_ever(kit, out);
    for delete in Call::ALL
        .iter()
        .copied()
        .filter(|&call| call.is_delete() && kit.has(call))
    {
        if let Some(new) = news().find(|&new| belong(new, delete)) {
            of_every_kind(new, delete, out);
            deleted(kit, new, delete, out);
            over_and_over(new, delete, out);
            if delete.operator().is_some_and(|form| form.sized) {
                between(new, delete, out);
            }
        }
    }
}

fn belong(new: Call, delete: Call) -> bool {
    matches!((new.operator(), delete.operator()), (Some(new), Some(delete)) if delete.undoes(new))
}

/// The plain `delete` for what this `new` makes.
fn delete_of(new: Call) -> Call {
    new.plain_delete().unwrap_or(Call::Free)
}

/// The rule about a `new` that finds no memory.
fn rule_of_failure(new: Call) -> RuleId {
    match new.operator() {
        Some(form) if form.nothrow => RuleId::CxxNothrowNull,
        _ => RuleId::CxxNewThrows,
    }
}

fn request(new: Call, alignment: u64, size: u64) -> Request {
    match new.takes_alignment() {
        true => Request::new(new, alignment, size),
        false => Request::new(new, size, 0),
    }
}

fn huge(kit: &Kit<'_>, new: Call, out: &mut Vec<Program>) {
    for size in HUGE {
        let mut script = Script::new(rule_of_failure(new));
        script.warm(kit, 1);
        for alignment in [64, 4096] {
            // That no block may come of it is what every profile says of such a size.
            script.make(request(new, alignment, size));
            // The heap is as it was.
            let block = script.make(request(new, alignment, 100));
            script.malloc(100);
            script.on(delete_of(new), block);
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Until there is no more, and then again.
fn exhausted(new: Call, out: &mut Vec<Program>) {
    for (size, count) in [(1 << 20, 64), (100 << 10, 600)] {
        let mut script = Script::new(rule_of_failure(new));
        let witness = script.make(request(new, 64, size));
        script.on(delete_of(new), witness);
        script.limit(LIMIT);
        let blocks: Vec<Slot> = (0..count)
            .map(|_| script.make(request(new, 64, size)))
            .collect();
        for &block in &blocks {
            script.on(delete_of(new), block);
        }
        script.unlimit();
        script.make(request(new, 64, size));
        script.expect(Expect::AsEarlier);
        script.sweep();
        out.push(script.finish());
    }
}

/// Each system call fails, and all from one on.
fn failing(new: Call, out: &mut Vec<Program>) {
    // Most allocators ask the system for blocks of the one or the other size; the largest take long to write.
    const SIZES: [u64; 3] = [1 << 20, 5000, 300_000];
    for (which, sizes) in [
        (Which::Nth, SIZES),
        (Which::From, SIZES),
        (Which::Nth, [4 << 20; 3]),
    ] {
        let mut script = Script::new(rule_of_failure(new));
        let first = Failing {
            syscall: Syscall::Any,
            which,
            number: 1,
        };
        script.add(first.op());
        let blocks = sizes.map(|size| script.make(request(new, 64, size)));
        script.add(Failing::none());
        let other = script.make(request(new, 64, sizes[0]));
        for block in blocks.into_iter().chain([other]) {
            script.on(delete_of(new), block);
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// With a new handler: one that makes room, and one that cannot.
fn handled(kit: &Kit<'_>, new: Call, out: &mut Vec<Program>) {
    const LARGE: u64 = 64 << 20;
    for (limit, size) in [(1 << 20, LARGE), (0, HUGE[4])] {
        if limit > 0 && !kit.affords(2 * LARGE) {
            continue;
        }
        let mut script = Script::new(RuleId::CxxNewHandler);
        script.under(Condition::NewHandler, 2);
        script.limit(limit);
        script.make(request(new, 64, size));
        script.unlimit();
        let block = script.make(request(new, 64, 100));
        script.on(delete_of(new), block);
        script.sweep();
        out.push(script.finish());
    }
}

fn zero(new: Call, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::CxxNewZero);
    let blocks: Vec<Slot> = (0..200).map(|_| script.make(request(new, 16, 0))).collect();
    script.malloc(1);
    for &block in blocks.iter().step_by(2) {
        script.on(delete_of(new), block);
    }
    for _ in 0..50 {
        script.make(request(new, 16, 0));
    }
    script.sweep();
    out.push(script.finish());
}

fn sizes(new: Call, out: &mut Vec<Program>) {
    for sizes in (1..=128).collect::<Vec<u64>>().chunks(32) {
        let mut script = Script::new(RuleId::AlignCxxNew);
        for &size in sizes {
            let blocks: Vec<Slot> = (0..6).map(|_| script.make(request(new, 0, size))).collect();
            for &block in blocks.iter().step_by(2) {
                script.on(delete_of(new), block);
            }
            script.make(request(new, 0, size));
        }
        script.sweep();
        out.push(script.finish());
    }
}

fn aligned(kit: &Kit<'_>, new: Call, out: &mut Vec<Program>) {
    for alignment in ALIGNMENTS {
        let mut script = Script::new(RuleId::CxxAligned);
        for size in [
            1,
            alignment - 1,
            alignment,
            alignment + 1,
            3 * alignment,
            100,
        ] {
            if !kit.affords(16 * size) {
                continue;
            }
            // The first block of a page is aligned by luck.
            let make = |script: &mut Script| {
                let block = script.make(request(new, alignment, size));
                // What must come of no bytes is another rule's, and which alignments beyond a page there are is not said.
                if size > 0 && alignment <= PAGE {
                    script.expect(Expect::Pointer);
                }
                block
            };
            let blocks: Vec<Slot> = (0..5).map(|_| make(&mut script)).collect();
            script.on(delete_of(new), blocks[1]);
            script.on(delete_of(new), blocks[3]);
            script.malloc(size);
            make(&mut script);
        }
        script.sweep();
        out.push(script.finish());
    }
}

fn null(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for delete in Call::ALL
        .iter()
        .copied()
        .filter(|&call| call.is_delete() && kit.has(call))
    {
        let mut script = Script::new(RuleId::CxxDeleteNull);
        for number in [1, 16, 64, 4096, 1 << 20] {
            script.add(Op::new(delete, NO_SLOT, 0, 0).with_arguments_of_null(number));
            script.malloc(100);
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Blocks that allocators keep in different ways, and a null pointer.
fn of_every_kind(new: Call, delete: Call, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::CxxDeleteNothrow);
    for size in [0, 1, 100, 5000, 70_000, 2 << 20] {
        let block = script.make(request(new, 64, size));
        script.on(delete, block);
    }
    script.add(Op::new(delete, NO_SLOT, 0, 0).with_arguments_of_null(64));
    script.sweep();
    out.push(script.finish());
}

/// The rule about a `delete`, the most special one.
fn rule_of_delete(delete: Call) -> RuleId {
    match delete.operator() {
        Some(form) if form.sized => RuleId::CxxSizedEquiv,
        Some(form) if form.aligned => RuleId::CxxAlignedDelete,
        _ => RuleId::CxxDeleteNothrow,
    }
}

/// At the edges of every class, and with every alignment.
fn deleted(kit: &Kit<'_>, new: Call, delete: Call, out: &mut Vec<Program>) {
    let edges = kit
        .classes
        .iter()
        .flat_map(|&class| [class - 1, class, class + 1]);
    let edges: Vec<u64> = [0, 1]
        .into_iter()
        .chain(edges)
        .chain([100_000, 2 << 20])
        .collect();
    for sizes in edges.chunks(48) {
        let mut script = Script::new(rule_of_delete(delete));
        for &size in sizes {
            let block = script.make(request(new, 64, size));
            let other = script.make(request(new, 64, size));
            script.on(delete, block);
            script.make(request(new, 64, size));
            script.on(delete, other);
        }
        script.sweep();
        out.push(script.finish());
    }
    if !new.takes_alignment() {
        return;
    }
    for alignment in ALIGNMENTS {
        let mut script = Script::new(RuleId::CxxAlignedDelete);
        for size in [0, 1, 100, alignment, alignment + 100, 5000] {
            let block = script.make(request(new, alignment, size));
            script.make(request(new, alignment, size));
            script.on(delete, block);
            script.make(request(new, alignment, size));
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Every second of many blocks of few bytes, until no cache has room for more: what belongs to another class would be
/// handed out between those that live on.
fn between(new: Call, delete: Call, out: &mut Vec<Program>) {
    for (alignment, size) in [(64, 0), (512, 0), (64, 1), (64, 8)] {
        if !new.takes_alignment() && alignment > 64 {
            continue;
        }
        let mut script = Script::new(RuleId::CxxSizedEquiv);
        let blocks: Vec<Slot> = (0..500)
            .map(|_| script.make(request(new, alignment, size)))
            .collect();
        for &block in blocks.iter().step_by(2) {
            script.on(delete, block);
        }
        let others = script.mallocs(700, 8);
        let every_second: Vec<Slot> = others.into_iter().step_by(2).collect();
        script.free_all(&every_second);
        for _ in 0..500 {
            script.make(request(new, alignment, alignment));
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Blocks of no bytes, of which each takes some all the same, by every `delete` that is told so.
fn nothing_for_ever(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::CxxSizedEquiv);
    let all = || Call::ALL.iter().copied().filter(|&call| kit.has(call));
    for delete in all().filter(|call| call.operator().is_some_and(|form| form.sized)) {
        let Some(new) = all().find(|&new| new.is_new() && belong(new, delete)) else {
            continue;
        };
        // Those that are aligned take more.
        let count = if new.takes_alignment() { 2 } else { 8 };
        for _ in 0..count {
            let block = script.make(request(new, 64, 0));
            script.on(delete, block);
        }
    }
    if script.here() > 0 {
        used_again(&mut script, [40_000]);
        out.push(script.for_ever(5500));
    }
}

/// What is deleted is there again, as it is by the plain form.
fn over_and_over(new: Call, delete: Call, out: &mut Vec<Program>) {
    for (size, times) in [(8192, 16_384), (1 << 20, 200)] {
        let mut script = Script::new(rule_of_delete(delete));
        let mut rounds = |call, expect| {
            let start = script.here();
            let block = script.make(request(new, 64, size));
            script.on(call, block);
            script.repeat_from(start, times);
            script.bounded(expect);
        };
        if delete != delete_of(new) {
            rounds(delete_of(new), Expect::Any);
            rounds(delete, Expect::AsBefore);
        } else {
            rounds(delete, Expect::Any);
        }
        out.push(script.finish());
    }
}
