//! Where blocks begin: at what fits their size, and at multiples of what was asked for, from a byte to a gigabyte.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Program, Slot};
use crate::spec::RuleId;

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    fundamental(kit, out);
    for (rule, call) in [
        (RuleId::AlignAlignedAlloc, Call::AlignedAlloc),
        (RuleId::AlignPosixMemalign, Call::PosixMemalign),
        (RuleId::AlignMemalign, Call::Memalign),
    ] {
        if kit.has(call) {
            sweep(kit, rule, call, out);
            crowds(kit, rule, call, out);
            zero(call, out);
        }
    }
    pages(kit, out);
    large(out);
    resized(kit, out);
}

/// Many blocks of each small size: the first of a page is often aligned by luck.
fn fundamental(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for rule in [RuleId::AlignFundamentalFit, RuleId::AlignFundamentalAny] {
        for sizes in (1..=64).collect::<Vec<u64>>().chunks(16) {
            let mut script = Script::new(rule);
            for &size in sizes {
                script.mallocs(24, size);
                for count in 1..8 {
                    script.calloc(count, size);
                }
            }
            out.push(script.finish());
        }
    }
    let mut script = Script::new(RuleId::AlignFundamentalFit);
    for &class in &kit.classes {
        script.mallocs(3, class);
        script.calloc(3, class / 3);
    }
    out.push(script.finish());
}

/// Every alignment with sizes around it, among blocks that come and go.
fn sweep(kit: &Kit<'_>, rule: RuleId, call: Call, out: &mut Vec<Program>) {
    let least = if call == Call::PosixMemalign { 3 } else { 0 };
    for powers in [least..9, 9..14, 14..21, 21..25, 25..28, 28..30, 30..31] {
        let mut script = Script::new(rule);
        for power in powers {
            let alignment = 1u64 << power;
            let around = [
                1,
                alignment - 1,
                alignment,
                alignment + 1,
                2 * alignment,
                3 * alignment,
                100,
            ];
            for size in around
                .into_iter()
                .filter(|&size| size > 0 && kit.affords(size + alignment))
            {
                let before = script.malloc(24);
                let block = script.make(kit.aligned(call, alignment, size));
                let other = script.malloc(size.min(5000));
                script.free(before);
                // What is large is freed at once, the rest stays so that later blocks find less orderly places.
                if power > 13 {
                    script.free_all(&[block, other]);
                }
            }
        }
        script.sweep();
        out.push(script.finish());
    }
}

fn crowds(kit: &Kit<'_>, rule: RuleId, call: Call, out: &mut Vec<Program>) {
    for (alignment, size) in [
        (32, 48),
        (64, 1),
        (64, 100),
        (128, 24),
        (256, 700),
        (1024, 1),
        (4096, 16),
        (8192, 10_000),
        (65_536, 100),
    ] {
        let mut script = Script::new(rule);
        let slots: Vec<Slot> = (0..40)
            .map(|_| script.make(kit.aligned(call, alignment, size)))
            .collect();
        for slot in slots.iter().step_by(3) {
            script.free(*slot);
        }
        for _ in 0..20 {
            script.malloc(size);
            script.make(kit.aligned(call, alignment, size));
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// No bytes at all, still aligned.
fn zero(call: Call, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::AlignZeroSize);
    for power in 4..21 {
        for _ in 0..3 {
            script.make(Request::new(call, 1 << power, 0));
        }
    }
    out.push(script.finish());
}

fn pages(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for (rule, call) in [
        (RuleId::AlignValloc, Call::Valloc),
        (RuleId::AlignPvalloc, Call::Pvalloc),
    ] {
        let mut script = Script::new(rule);
        let sizes = [
            1, 16, 100, 1000, 1024, 1025, 4095, 4096, 4097, 8191, 8192, 8193, 20_000, 300_000,
        ];
        for size in sizes.into_iter().chain((511..70_000).step_by(1022)) {
            script.malloc(24);
            let block = script.make(Request::new(call, size, 0));
            script.ask(kit, block);
            if size > 8192 {
                script.free(block);
            }
        }
        script.sweep();
        out.push(script.finish());
    }
}

/// Alignments that few can have: a block, or ENOMEM.
fn large(out: &mut Vec<Program>) {
    for sizes in [
        [1, 100],
        [i64::MAX as u64 - 8, i64::MAX as u64 - 4096],
        [1 << 63, (1 << 63) - (1 << 20)],
    ] {
        for powers in [12..32, 32..48, 48..63, 63..64] {
            let mut script = Script::new(RuleId::AlignLarge);
            for power in powers {
                for size in sizes {
                    let block = script.make(Request::new(Call::PosixMemalign, 1 << power, size));
                    let small = script.malloc(100);
                    script.free_all(&[block, small]);
                }
            }
            out.push(script.finish());
        }
    }
}

/// Blocks of every maker through sizes up and down, over-aligned ones first.
fn resized(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for call in kit.aligning() {
        for power in [5, 6, 8, 12, 16, 20] {
            let mut script = Script::new(RuleId::AlignReallocFirst);
            for size in [1, 8, 100, 4096, 70_000] {
                for to in [size / 2 + 1, size, 2 * size, 100 * size] {
                    let neighbour = script.malloc(size);
                    let block = script.make(kit.aligned(call, 1 << power, size));
                    script.realloc(block, to);
                    script.malloc(24);
                    script.free_all(&[block, neighbour]);
                }
            }
            script.sweep();
            out.push(script.finish());

            let mut script = Script::new(RuleId::StartAddress);
            for size in [1, 100, 4096, 70_000] {
                let neighbour = script.malloc(size);
                let block = script.make(kit.aligned(call, 1 << power, size));
                script.ask(kit, block);
                script.free(block);
                script.make(kit.aligned(call, 1 << power, size));
                script.free(neighbour);
            }
            script.sweep();
            out.push(script.finish());
        }
    }
    for size in [1, 16, 24, 40, 100, 1000, 5000, 300_000] {
        let mut script = Script::new(RuleId::AlignAfterRealloc);
        for request in kit.requests(size) {
            let block = script.make(request);
            for to in [size + 1, 2 * size, 10 * size + 8, size, size / 2 + 1, 17, 1] {
                script.realloc(block, to);
                script.malloc(to.min(1000));
            }
        }
        script.sweep();
        out.push(script.finish());
    }
}
