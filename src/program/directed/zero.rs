//! Blocks of no bytes, calls on NULL, and frees that say the size.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, NO_SLOT, Op, Program};
use crate::spec::RuleId;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    distinct(kit, out);
    many(kit, out);
    freeable(kit, out);
    null(out);
    sized(kit, out);
    aligned_sized(out);
    realloc_to_zero(out);
}

/// Every way to ask for nothing, with the rule that says what comes of it.
fn nothing(kit: &Kit<'_>) -> Vec<(RuleId, Request)> {
    let mut requests = vec![
        (RuleId::MallocZeroChoice, Request::malloc(0)),
        (RuleId::MallocZeroChoice, Request::new(Call::Realloc, 0, 0)),
        (RuleId::CallocZeroSize, Request::new(Call::Calloc, 0, 7)),
        (RuleId::CallocZeroSize, Request::new(Call::Calloc, 7, 0)),
        (RuleId::CallocZeroSize, Request::new(Call::Calloc, 0, 0)),
        (RuleId::AlignedZeroSize, Request::new(Call::Valloc, 0, 0)),
        (RuleId::AlignedZeroSize, Request::new(Call::Pvalloc, 0, 0)),
    ];
    for alignment in [8, 16, 64, 4096, 1 << 16] {
        requests.extend([
            (
                RuleId::AlignedZeroSize,
                Request::new(Call::AlignedAlloc, alignment, 0),
            ),
            (
                RuleId::AlignedZeroSize,
                Request::new(Call::Memalign, alignment, 0),
            ),
            (
                RuleId::PmaZeroSize,
                Request::new(Call::PosixMemalign, alignment, 0),
            ),
        ]);
    }
    requests.retain(|(_, request)| kit.has(request.call));
    requests
}

/// A few live at once, for each way on its own, among blocks that have bytes.
fn distinct(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (rule, request) in nothing(kit) {
        let mut script = Script::new(rule);
        let mut slots = Vec::new();
        for _ in 0..12 {
            slots.push(script.make(request));
            slots.push(script.malloc(1));
            slots.push(script.malloc(24));
        }
        script.sweep();
        for slot in slots.iter().step_by(2) {
            script.free(*slot);
        }
        for _ in 0..6 {
            script.make(request);
            script.malloc(16);
        }
        script.sweep();
        out.push(script.finish());
    }
    let mut errno = Script::new(RuleId::MallocZeroErrno);
    errno.malloc(0);
    errno.malloc(1);
    errno.malloc(0);
    out.push(errno.finish());
}

fn many(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::MallocZeroChoice);
    let slots = script.mallocs(10_000, 0);
    let among = script.mallocs(1000, 8);
    script.sweep();
    script.free_all(&slots);
    script.free_all(&among);
    out.push(script.finish());

    let mut script = Script::new(RuleId::MallocZeroChoice);
    for _ in 0..100 {
        for (_, request) in nothing(kit) {
            // A page and more each, at 64 KiB.
            if request.a <= 4096 {
                script.make(request);
            }
        }
    }
    out.push(script.finish());
}

/// A block of no bytes is asked about, resized and freed like any other.
fn freeable(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (_, request) in nothing(kit) {
        let mut script = Script::new(RuleId::ZeroFreeable);
        let freed = script.make(request);
        let grown = script.make(request);
        let far = script.make(request);
        script.ask(kit, freed);
        script.free(freed);
        script.realloc(grown, 1);
        script.realloc(far, 100_000);
        script.realloc(grown, 100);
        script.malloc(16);
        script.free(grown);
        script.free(far);
        out.push(script.finish());
    }
}

fn null(out: &mut Vec<Program>) {
    let script = |rule: RuleId, calls: &[Op]| {
        let mut script = Script::new(rule);
        let small = script.malloc(24);
        let large = script.malloc(300_000);
        for op in calls {
            script.direct(op.call, op.a, op.b);
        }
        script.sweep();
        script.malloc(24);
        script.free_all(&[small, large]);
        script.finish()
    };
    let on_null = |call, a, b| Op::new(call, NO_SLOT, a, b);
    out.push(script(
        RuleId::FreeNull,
        &[on_null(Call::Free, 0, 0), on_null(Call::Repeat, 100_000, 1)],
    ));
    out.push(script(
        RuleId::UsableNull,
        &[on_null(Call::UsableSize, 0, 0)],
    ));
    for size in [0, 1, 24, 5000, 1 << 20, u64::MAX] {
        out.push(script(
            RuleId::SizedFreeNull,
            &[on_null(Call::FreeSized, size, 0)],
        ));
        out.push(script(
            RuleId::SizedFreeNull,
            &[
                on_null(Call::FreeAlignedSized, 16, size),
                on_null(Call::FreeAlignedSized, 1 << 16, size),
            ],
        ));
    }
}

/// `free_sized` of every size, also of blocks that a realloc left larger or smaller than their size says.
fn sized(kit: &Kit<'_>, out: &mut Vec<Program>) {
    let free_sized = |script: &mut Script, slots: &[u32]| {
        for &slot in slots {
            script.on(Call::FreeSized, slot);
        }
    };
    let edges = kit
        .classes
        .iter()
        .flat_map(|&class| [class - 1, class, class + 1]);
    let sizes: Vec<u64> = (0..1025).chain(edges).collect();
    for sizes in sizes.chunks(128) {
        let mut script = Script::new(RuleId::FreeSizedEquiv);
        let slots: Vec<u32> = sizes.iter().map(|&size| script.malloc(size)).collect();
        free_sized(&mut script, &slots);
        // What was freed to a wrong place comes back from there.
        for &size in sizes {
            script.malloc(size);
        }
        script.sweep();
        out.push(script.finish());
    }
    for classes in kit.classes.chunks(4) {
        let mut script = Script::new(RuleId::FreeSizedEquiv);
        for &class in classes {
            for size in [class - 1, class, class + 1] {
                let slots = script.mallocs(8, size);
                free_sized(&mut script, &slots);
                script.mallocs(10, class);
                script.mallocs(10, size);
            }
        }
        script.sweep();
        out.push(script.finish());
    }
    for (from, to) in [
        (1000, 900),
        (1000, 600),
        (1000, 100),
        (100, 112),
        (100, 1000),
        (5000, 4000),
        (33_000, 20_000),
        (300_000, 200_000),
        (200_000, 300_000),
    ] {
        let mut script = Script::new(RuleId::FreeSizedEquiv);
        let slots = script.mallocs(8, from);
        for &slot in &slots {
            script.realloc(slot, to);
        }
        free_sized(&mut script, &slots);
        script.mallocs(12, to);
        script.mallocs(12, from);
        script.sweep();
        out.push(script.finish());
    }
    for size in [24, 4096, 100_000, 300_000] {
        let mut script = Script::new(RuleId::FreeSizedEquiv);
        let array = script.calloc(3, size);
        let block = script.make(Request::new(Call::Realloc, size, 0));
        free_sized(&mut script, &[array, block]);
        script.mallocs(3, size);
        out.push(script.finish());
    }
    out.push(over_and_over(
        RuleId::FreeSizedEquiv,
        Request::malloc(4096),
        Call::FreeSized,
    ));
}

fn aligned_sized(out: &mut Vec<Program>) {
    for power in [3, 4, 5, 6, 8, 10, 12, 14, 16, 20] {
        let alignment = 1u64 << power;
        let mut script = Script::new(RuleId::FreeAlignedSizedEquiv);
        let sizes = [
            0,
            1,
            8,
            100,
            alignment - 1,
            alignment,
            alignment + 1,
            3 * alignment,
        ];
        let sizes: Vec<u64> = sizes
            .into_iter()
            .map(|size: u64| size.next_multiple_of(alignment))
            .chain(sizes)
            .collect();
        let slots: Vec<u32> = sizes
            .iter()
            .map(|&size| script.make(Request::new(Call::AlignedAlloc, alignment, size)))
            .collect();
        for &slot in &slots {
            script.on(Call::FreeAlignedSized, slot);
        }
        for &size in &sizes {
            script.malloc(size);
        }
        script.sweep();
        out.push(script.finish());
    }
    out.push(over_and_over(
        RuleId::FreeAlignedSizedEquiv,
        Request::new(Call::AlignedAlloc, 4096, 4096),
        Call::FreeAlignedSized,
    ));
}

/// A block made and released again and again takes no more memory than with a plain free.
fn over_and_over(rule: RuleId, request: Request, release: Call) -> Program {
    let mut script = Script::new(rule);
    for (release, expect) in [(Call::Free, Expect::Any), (release, Expect::AsBefore)] {
        let start = script.here();
        let block = script.make(request);
        script.on(release, block);
        // Half as much again as the bound that is expected as before.
        script.repeat_from(start, 40_960);
        script.bounded(expect);
    }
    script.finish()
}

fn realloc_to_zero(out: &mut Vec<Program>) {
    for rule in [RuleId::ReallocP0, RuleId::ReallocZeroErrno] {
        for size in [0, 1, 24, 1000, 5000, 300_000] {
            let mut script = Script::new(rule);
            let block = script.malloc(size);
            let neighbour = script.malloc(size);
            script.realloc(block, 0);
            script.mallocs(20, size);
            script.sweep();
            script.free(block);
            script.free(neighbour);
            out.push(script.finish());
        }
    }
}
