//! CPython's small-object allocator: its size classes, its threshold, its limits and what its realloc does. For subjects
//! whose requests to their sources can be seen.
//!
//! How far classes lie apart and where they end is what the subject's layout says.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, Program, Slot};
use crate::pymalloc::Geometry;
use crate::spec::RuleId;

/// `PY_SSIZE_T_MAX`.
const LIMIT: u64 = i64::MAX as u64;

/// The classes of a layout.
#[derive(Clone, Copy)]
struct Classes {
    /// The step from one class to the next, and the size of the smallest.
    step: u64,
    /// The largest size that pools serve.
    threshold: u64,
}

impl Classes {
    fn of(geometry: &Geometry) -> Classes {
        Classes {
            step: geometry.alignment as u64,
            threshold: geometry.threshold as u64,
        }
    }

    /// The size of every class.
    fn all(self) -> impl Iterator<Item = u64> {
        (1..=self.threshold / self.step).map(move |class| class * self.step)
    }

    /// The class that serves `size` bytes, at least 1.
    fn of_size(self, size: u64) -> u64 {
        size.next_multiple_of(self.step)
    }
}

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    if !kit.vocabulary.hooked {
        return;
    }
    let classes = Classes::of(&kit.vocabulary.geometry);
    threshold(classes, out);
    zero(out);
    limits(out);
    ends_of_classes(classes, out);
    shrinking(classes, out);
    growing(classes, out);
    crossing(classes, out);
}

fn threshold(classes: Classes, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::Threshold512);
    let most = classes.threshold;
    let edges = (most - 16..=most + 2).chain([0, 1, 15, 16, 17, 31, 32, 33, 600, 5000]);
    for size in edges {
        let block = script.malloc(size);
        script.malloc(size);
        script.free(block);
    }
    out.push(script.finish());

    let mut script = Script::new(RuleId::ThresholdCalloc);
    let most = classes.threshold;
    for (count, size) in [
        (1, most),
        (2, most / 2),
        (most, 1),
        (16, most / 16),
        (1, most + 1),
        (3, most / 3 + 1),
        (3, 200),
        (600, 1),
    ] {
        script.calloc(count, size);
        script.calloc(size, count);
    }
    out.push(script.finish());

    let mut script = Script::new(RuleId::CallocSmallNoRaw);
    for size in 1..=classes.threshold {
        let block = script.calloc(1, size);
        script.free(block);
    }
    out.push(script.finish());

    let mut script = Script::new(RuleId::CallocArgsUnmerged);
    for (count, size) in [(3, 200), (200, 3), (1, 5000), (5000, 1), (100, 100)] {
        script.calloc(count, size);
    }
    out.push(script.finish());
}

fn zero(out: &mut Vec<Program>) {
    for rule in [RuleId::ZeroMallocNonnull, RuleId::ZeroMallocDistinct] {
        let mut script = Script::new(rule);
        let slots = script.mallocs(3000, 0);
        script.make(Request::new(Call::Realloc, 0, 0));
        script.mallocs(100, 1);
        script.free_all(&slots);
        out.push(script.finish());
    }
    for rule in [
        RuleId::ZeroNotInPools,
        RuleId::ZeroBumpInDefaultRaw,
        RuleId::ZeroBlockOwned,
        RuleId::ReallocZeroKeepsBlock,
        RuleId::ReallocZeroRawArg,
        RuleId::ReallocNeverFree,
    ] {
        let mut script = Script::new(rule);
        for size in [0, 1, 100, 512, 513, 5000] {
            let block = script.malloc(size);
            script.realloc(block, 0);
            script.realloc(block, 0);
            script.realloc(block, size + 1);
            script.realloc(block, 0);
            script.malloc(0);
            script.free(block);
        }
        out.push(script.finish());
    }
    for rule in [RuleId::CallocZeroElems, RuleId::CallocZeroRawArg] {
        let mut script = Script::new(rule);
        for (count, size) in [
            (0, 7),
            (7, 0),
            (0, 0),
            (0, 1),
            (1, 0),
            (0, 5000),
            (0, u64::MAX),
            (u64::MAX, 0),
        ] {
            let block = script.calloc(count, size);
            script.realloc(block, 100);
            script.calloc(count, size);
            script.free(block);
        }
        out.push(script.finish());
    }
}

fn limits(out: &mut Vec<Program>) {
    let sizes = [
        LIMIT - 1,
        LIMIT,
        LIMIT + 1,
        LIMIT + 2,
        LIMIT + 4097,
        u64::MAX - 15,
        u64::MAX,
    ];
    let mut script = Script::new(RuleId::LimitSsizeMax);
    let mut resized = Script::new(RuleId::ReallocOversizeEarly);
    for size in sizes {
        script.malloc(size);
        script.make(Request::new(Call::Realloc, size, 0));
        script.malloc(100);
        for old in [0, 100, 512, 513, 5000] {
            let block = resized.malloc(old);
            resized.realloc(block, size);
            resized.malloc(old);
            resized.free(block);
        }
    }
    resized.sweep();
    out.extend([script.finish(), resized.finish()]);

    let mut script = Script::new(RuleId::CallocLimitInclusive);
    for (count, size) in [
        (LIMIT / 2, 2),
        (2, LIMIT / 2),
        (LIMIT, 1),
        (1, LIMIT),
        (LIMIT / 7, 7),
    ] {
        script.calloc(count, size);
    }
    out.push(script.finish());

    let mut script = Script::new(RuleId::CallocOverflow);
    for (count, size) in [
        (LIMIT / 2 + 1, 2),
        (2, LIMIT / 2 + 1),
        (LIMIT + 1, 1),
        (1, u64::MAX),
        (1 << 32, 1 << 32),
        ((1 << 32) + 1, 1 << 32),
        (1 << 63, 2),
        (u64::MAX, u64::MAX),
    ] {
        script.calloc(count, size);
        script.calloc(3, 7);
    }
    out.push(script.finish());
}

/// Fresh pools, at both ends of every class.
fn ends_of_classes(classes: Classes, out: &mut Vec<Program>) {
    for rule in [
        RuleId::ClassIndex,
        RuleId::ClassUsable,
        RuleId::AlignPymalloc,
    ] {
        let mut script = Script::new(rule);
        for class in classes.all() {
            script.mallocs(4, class);
            script.mallocs(4, class - classes.step + 1);
            script.mallocs(4, class);
        }
        script.sweep();
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::AlignPymalloc);
    let slots: Vec<Slot> = (1..=classes.threshold)
        .map(|size| script.malloc(size))
        .collect();
    script.sweep();
    script.free_all(&slots);
    out.push(script.finish());
}

/// A block stays where it is if more than three quarters of its class are still needed.
fn shrinking(classes: Classes, out: &mut Vec<Program>) {
    for some in classes.all().collect::<Vec<u64>>().chunks(4) {
        let mut quarter = Script::new(RuleId::ShrinkQuarter);
        let mut target = Script::new(RuleId::ShrinkMoveTarget);
        for &class in some {
            let stays = class * 3 / 4 + 1;
            for requested in [class, class - classes.step + 1] {
                let block = quarter.malloc(requested);
                quarter.realloc(block, stays);
                quarter.expect(Expect::SamePointer);
                let block = quarter.malloc(requested);
                quarter.realloc(block, stays - 1);
                quarter.expect(Expect::OtherPointer);
            }
            let smaller = classes.all().filter(|&to| 4 * to <= 3 * class);
            for to in std::iter::once(0).chain(smaller) {
                let block = target.malloc(class);
                target.realloc(block, to);
                target.malloc(to);
            }
        }
        quarter.sweep();
        target.sweep();
        out.extend([quarter.finish(), target.finish()]);
    }
    // The very size it has already: even that may be a move.
    let mut script = Script::new(RuleId::ShrinkSameClassMoves);
    for size in 1..=classes.threshold {
        let block = script.malloc(size);
        script.realloc(block, size);
        let stays = 4 * size > 3 * classes.of_size(size);
        script.expect(if stays {
            Expect::SamePointer
        } else {
            Expect::OtherPointer
        });
        script.free(block);
    }
    out.push(script.finish());
}

fn growing(classes: Classes, out: &mut Vec<Program>) {
    let mut script = Script::new(RuleId::GrowWithinClass);
    for class in classes.all() {
        let block = script.malloc(class - classes.step + 1);
        script.malloc(class);
        for size in class - classes.step + 2..=class {
            script.realloc(block, size);
            if 4 * size > 3 * class {
                script.expect(Expect::SamePointer);
            }
        }
    }
    script.sweep();
    out.push(script.finish());
}

/// From pools to the raw domain, never back.
fn crossing(classes: Classes, out: &mut Vec<Program>) {
    for rule in [
        RuleId::CrossUp,
        RuleId::CrossDownStaysRaw,
        RuleId::RawReallocDelegates,
        RuleId::ReallocCountNeutral,
        RuleId::HookFallbackRaw,
        RuleId::HookPairing,
    ] {
        let mut script = Script::new(rule);
        for class in classes.all().step_by(3) {
            let block = script.malloc(class);
            script.malloc(class);
            let most = classes.threshold;
            for size in [most + 1, 600, 5000, 600, most, 100, 1, 100_000, class] {
                script.realloc(block, size);
            }
            let large = script.calloc(3, 200);
            script.realloc(large, class);
            script.realloc(large, 1000);
            script.free(block);
        }
        script.sweep();
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::ReallocNullIsMalloc);
    for size in [0, 1, 100, 512, 513, 600] {
        script.make(Request::new(Call::Realloc, size, 0));
    }
    out.push(script.finish());
}
