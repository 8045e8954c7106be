//! What the aligned functions make of their arguments: alignments that are none, that are small, that are no divisor
//! of the size, that are enormous.

use super::script::{Kit, Request, Script};
use crate::program::op::{Call, Expect, Program};
use crate::spec::RuleId;

/// Alignments that are no power of two.
const INVALID: [u64; 18] = [
    0,
    3,
    5,
    6,
    12,
    24,
    48,
    100,
    4095,
    4097,
    3 << 10,
    3 << 12,
    5 << 12,
    7 << 12,
    3 << 16,
    3 << 20,
    (1 << 63) + 1,
    u64::MAX,
];

pub fn programs(kit: &Kit<'_>, out: &mut Vec<Program>) {
    invalid(out);
    beside_malloc(out);
    posix_memalign(kit, out);
    unsupported(kit, out);
}

fn invalid(out: &mut Vec<Program>) {
    for (rule, call) in [
        (RuleId::AlignedAllocInvalid, Call::AlignedAlloc),
        (RuleId::PmaEinval, Call::PosixMemalign),
        (RuleId::MemalignInvalid, Call::Memalign),
    ] {
        for size in [0, 24, 96, 100, 100_000, u64::MAX] {
            let mut script = Script::new(rule);
            // Nobody says what memalign makes of 0, and some divide by it.
            let skipped = usize::from(call == Call::Memalign);
            for &alignment in &INVALID[skipped..] {
                // The variable of posix_memalign, and what comes after a refusal.
                let block = script.make(Request::new(call, alignment, size));
                script.malloc(24);
                script.free(block);
            }
            script.sweep();
            out.push(script.finish());
        }
    }
    for size in [0, 1, 8, 100, 5000] {
        let mut script = Script::new(RuleId::PmaEinval);
        for alignment in [1, 2, 4] {
            script.make(Request::new(Call::PosixMemalign, alignment, size));
        }
        out.push(script.finish());
    }
}

/// What malloc, or the aligned call for a little more, can supply must not fail for its arguments.
fn beside_malloc(out: &mut Vec<Program>) {
    let mut compare = |rule, witness, alignment, size| {
        let mut script = Script::new(rule);
        let block = script.make(witness);
        script.free(block);
        let block = script.make(Request::new(Call::AlignedAlloc, alignment, size));
        script.expect(Expect::AsBefore);
        script.free(block);
        out.push(script.finish());
    };
    for alignment in [1, 2, 4] {
        for size in [4, 24, 100, 4096, 100_000] {
            let witness = Request::malloc(size);
            compare(RuleId::AlignedAllocSmall, witness, alignment, size);
        }
    }
    for (alignment, size) in [
        (8u64, 1u64),
        (16, 1),
        (16, 100),
        (32, 33),
        (64, 100),
        (256, 1000),
        (4096, 100),
        (4096, 5000),
        (65536, 100_001),
    ] {
        // How far alignments go is the implementation's to say.
        let multiple = size.next_multiple_of(alignment);
        let witness = Request::new(Call::AlignedAlloc, alignment, multiple);
        compare(RuleId::AlignedAllocNonmultiple, witness, alignment, size);
    }
}

/// Requests that `posix_memalign` must refuse with an error number, leaving the pointer alone.
fn posix_memalign(kit: &Kit<'_>, out: &mut Vec<Program>) {
    for rule in [
        RuleId::PmaReturnsError,
        RuleId::PmaMemptr,
        RuleId::PmaMemptrUntouched,
        RuleId::PmaErrno,
    ] {
        let mut script = Script::new(rule);
        script.warm(kit, 1);
        for (alignment, size) in [
            (8, u64::MAX),
            (64, u64::MAX - 63),
            (16, 1 << 63),
            (4096, (1 << 63) - 1),
            (1 << 62, 1 << 62),
            (1 << 63, 100),
        ] {
            script.make(Request::new(Call::PosixMemalign, alignment, size));
            script.make(Request::new(Call::PosixMemalign, 64, 100));
        }
        script.sweep();
        out.push(script.finish());
    }
    let mut script = Script::new(RuleId::PmaMemptrSuccess);
    for size in [0, 1, 24, 100, 5000, 300_000] {
        for alignment in [8, 16, 64, 4096] {
            let block = script.make(Request::new(Call::PosixMemalign, alignment, size));
            script.malloc(size);
            script.free(block);
        }
    }
    out.push(script.finish());

    for call in [Call::Memalign, Call::Valloc, Call::Pvalloc] {
        let mut script = Script::new(RuleId::MemalignErrno);
        for size in [u64::MAX, u64::MAX - 8191, 1 << 63, (1 << 63) - 1] {
            let (a, b) = if call == Call::Memalign {
                (64, size)
            } else {
                (size, 0)
            };
            script.make(Request::new(call, a, b));
        }
        out.push(script.finish());
    }
}

/// How far alignments go, and what is said of those beyond.
fn unsupported(kit: &Kit<'_>, out: &mut Vec<Program>) {
    // The smallest size that is a multiple of every alignment is 0.
    let size = if kit.vocabulary.nonmultiple_sizes {
        100
    } else {
        0
    };
    for (rule, powers) in [
        (RuleId::AlignExtendedSupported, 5..31),
        (RuleId::AlignedAllocUnsupported, 31..64),
    ] {
        let mut script = Script::new(rule);
        for power in powers {
            let block = script.make(Request::new(Call::AlignedAlloc, 1 << power, size));
            script.malloc(100);
            script.free(block);
        }
        script.sweep();
        out.push(script.finish());
    }
}
