//! Each fault visibly does what it says, and the sound allocator does not.
//!
//! Only live blocks of the subject are passed to it, and only their bytes are touched, but in child processes that are
//! to die of it.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason for all, above"
)]

use super::*;
use libc::{ENOENT, EOVERFLOW};

/// Whether a fault shows in a subject that has it and not in the sound one.
pub(super) fn shows(fault: Fault, symptom: impl Fn(&mut Faulty) -> bool) {
    assert!(!symptom(&mut Faulty::new(None)), "{fault}: without it");
    assert!(symptom(&mut Faulty::new(Some(fault))), "{fault}: with it");
}

/// As [`shows`], of a fault by which the process ends.
pub(super) fn ends(fault: Fault, calls: impl Fn(&mut Faulty)) {
    shows(fault, |subject| fate(|| calls(subject)) != 42);
}

const SEGV: i32 = libc::SIGSEGV;
const NULL: *mut u8 = std::ptr::null_mut();

fn aligned_by_pma(subject: &mut Faulty, alignment: usize, size: usize) -> (i32, *mut u8) {
    let mut block = NULL;
    // SAFETY: `block` is a pointer.
    let code = unsafe { subject.posix_memalign(&mut block, alignment, size) };
    (code, block)
}

#[test]
fn of_addresses() {
    ends(Fault::MappedRoundsDown, |s| unsafe {
        *s.malloc(100_000).add(99_999) = 1;
    });
    shows(Fault::TaggedPointer, |s| unsafe {
        (0..128).any(|_| s.malloc(50).addr() >> 47 != 0)
    });
    shows(Fault::IssuesInsideBlock, |s| unsafe {
        let blocks: Vec<_> = (0..130).map(|_| s.malloc(100).addr()).collect();
        blocks.windows(2).any(|it| it[1] == it[0] + 16)
    });
    shows(Fault::IssuesInsideMapping, |s| unsafe {
        let blocks: Vec<_> = (0..4).map(|i| s.malloc(1_000_000 - i * 200_000)).collect();
        blocks[3] == blocks[2].add(4096)
    });
    shows(Fault::IssuesProgramMemory, |s| unsafe {
        let blocks: Vec<_> = (0..128).map(|_| s.malloc(100)).collect();
        blocks[127].addr().abs_diff(blocks[126].addr()) > 1 << 30
    });
    shows(Fault::DoubleIssue, |s| unsafe {
        let blocks: Vec<_> = (0..1001).map(|_| s.malloc(100)).collect();
        blocks.windows(2).any(|it| it[0] == it[1])
    });
    shows(Fault::IndexWraps, |s| unsafe {
        let blocks: Vec<_> = (0..65_537).map(|_| s.malloc(10)).collect();
        let again = blocks.iter().skip(1).position(|block| *block == blocks[0]);
        again == Some(65_535)
    });
    ends(Fault::FreeLosesAlignedBase, |s| unsafe {
        let block = s.memalign(1 << 16, 10);
        s.free(block);
    });
    ends(Fault::UsableLosesAlignedBase, |s| unsafe {
        let block = s.memalign(1 << 16, 10);
        s.malloc_usable_size(block);
    });
}

#[test]
fn of_contents() {
    shows(Fault::FreeWritesNeighbour, |s| unsafe {
        let blocks: Vec<_> = (0..40).map(|_| s.malloc(48)).collect();
        blocks.iter().for_each(|&block| fill(block, 48, 9));
        (0..20).for_each(|i| s.free(blocks[2 * i]));
        !(0..20).all(|i| holds(blocks[2 * i + 1], 48, 9))
    });
    shows(Fault::TrimDiscardsLive, |s| unsafe {
        let block = s.malloc(48);
        fill(block, 48, 9);
        s.malloc_trim(0);
        !holds(block, 48, 9)
    });
    shows(Fault::PurgesLivePage, |s| unsafe {
        let block = s.malloc(100_000);
        fill(block, 100_000, 9);
        (0..64).for_each(|_| s.free(NULL));
        !holds(block, 100_000, 9)
    });
    ends(Fault::FooterInBlock, |s| unsafe {
        let block = s.malloc(40);
        fill(block, 40, 9);
        s.free(block);
    });
    let untouched = fate(|| unsafe {
        let mut subject = Faulty::new(Some(Fault::FooterInBlock));
        let block = subject.malloc(40);
        subject.free(block);
    });
    assert_eq!(untouched, 42);
}

#[test]
fn of_availability() {
    for fault in [Fault::FreeDoesNothing, Fault::FreeLosesSome] {
        shows(fault, |s| unsafe {
            let first = s.malloc(5000);
            s.free(first);
            (0..40).any(|_| {
                let block = s.malloc(5000);
                s.free(block);
                block != first
            })
        });
    }
    // Another test may map memory in the moment between.
    shows(Fault::MappedNeverReturned, |s| unsafe {
        (0..20).all(|_| {
            let first = s.malloc(100_000);
            s.free(first);
            s.malloc(100_000) != first
        })
    });
    shows(Fault::FreeSizedDoesNothing, |s| unsafe {
        let first = s.malloc(5000);
        s.free_sized(first, 5000);
        s.malloc(5000) != first
    });
    shows(Fault::FreeAlignedSizedDoesNothing, |s| unsafe {
        let first = s.aligned_alloc(64, 5000);
        s.free_aligned_sized(first, 64, 5000);
        s.aligned_alloc(64, 5000) != first
    });
    shows(Fault::ReallocForgetsOld, |s| unsafe {
        let first = s.malloc(100);
        s.realloc(first, 1000);
        s.malloc(100) != first
    });
    shows(Fault::FailsAfterHuge, |s| unsafe {
        s.malloc(usize::MAX);
        s.malloc(1).is_null()
    });
    shows(Fault::FailsAfterBadAlignment, |s| unsafe {
        s.aligned_alloc(3, 10);
        s.malloc(1).is_null()
    });
}

#[test]
fn of_returning() {
    for (fault, expected) in [
        (Fault::AbortsInFree, -libc::SIGABRT),
        (Fault::HangsInRealloc, -libc::SIGALRM),
        (Fault::ExitsInMalloc, 0),
    ] {
        let calls = |fault| {
            fate(move || unsafe {
                libc::alarm(1);
                let mut subject = Faulty::new(fault);
                for _ in 0..701 {
                    let block = subject.malloc(10);
                    let block = subject.realloc(block, 100);
                    subject.free(block);
                }
            })
        };
        assert_eq!(calls(None), 42);
        // The counts differ, so each ends by its own.
        assert_eq!(calls(Some(fault)), expected, "{fault}");
    }
    for (fault, fd) in [(Fault::WarnsOfLarge, 2), (Fault::PrintsOutOfMemory, 1)] {
        shows(fault, |s| unsafe {
            let mut pipe = [0; 2];
            libc::pipe(pipe.as_mut_ptr());
            fate(|| {
                libc::dup2(pipe[1], fd);
                s.malloc(1 << 20);
                s.malloc(usize::MAX);
            });
            libc::close(pipe[1]);
            let mut byte = 0u8;
            let read = libc::read(pipe[0], (&raw mut byte).cast(), 1);
            libc::close(pipe[0]);
            read > 0
        });
    }
    for (fault, call) in [
        (Fault::FirstCallocCrashes, 0),
        (Fault::FirstReallocCrashes, 1),
        (Fault::FirstAlignedCrashes, 2),
    ] {
        let calls = |first: bool| {
            fate(move || unsafe {
                let mut subject = Faulty::new(Some(fault));
                if !first {
                    subject.malloc(1);
                }
                match call {
                    0 => subject.calloc(1, 1),
                    1 => subject.realloc(NULL, 1),
                    _ => subject.memalign(8, 1),
                };
            })
        };
        assert_eq!((calls(true), calls(false)), (-SEGV, 42), "{fault}");
    }
}

#[test]
fn of_exhaustion() {
    ends(Fault::AbortsOnOom, |s| unsafe {
        limit();
        s.malloc(1 << 20);
    });
    ends(Fault::AlignedOomCrashes, |s| unsafe {
        limit();
        s.malloc(1 << 20);
        s.memalign(64, 1 << 20);
    });
    shows(Fault::ClassStaysEmpty, |s| {
        0 == fate(|| unsafe {
            let block = s.malloc(30_000);
            limit();
            while !s.malloc(30_000).is_null() {}
            s.free(block);
            if s.malloc(30_000).is_null() {
                libc::_exit(0);
            }
        })
    });
    shows(Fault::MappingFailureSticks, |s| {
        0 == fate(|| unsafe {
            limit();
            s.malloc(1 << 20);
            let all = libc::rlimit {
                rlim_cur: libc::RLIM_INFINITY,
                rlim_max: libc::RLIM_INFINITY,
            };
            libc::setrlimit(libc::RLIMIT_AS, &all);
            if s.malloc(1 << 20).is_null() {
                libc::_exit(0);
            }
        })
    });
    shows(Fault::CallocDirtyAfterOom, |s| {
        0 == fate(|| unsafe {
            let block = s.malloc(100);
            fill(block, 100, 9);
            s.free(block);
            limit();
            s.malloc(1 << 20);
            if *s.calloc(1, 100) == 9 {
                libc::_exit(0);
            }
        })
    });
    shows(Fault::CallocTrustsFailedDiscard, |s| {
        0 == fate(|| unsafe {
            let block = s.malloc(1 << 20);
            fill(block, 100, 9);
            refuse(libc::SYS_madvise);
            s.free(block);
            if *s.calloc(1, 1 << 20) == 9 {
                libc::_exit(0);
            }
        })
    });
    shows(Fault::FailureKeepsLock, |s| {
        -libc::SIGALRM
            == fate(|| unsafe {
                let block = s.malloc(100);
                limit();
                s.malloc(1 << 20);
                libc::alarm(1);
                s.free(block);
            })
    });
    ends(Fault::SecondMappingUnchecked, |s| unsafe {
        let blocks: Vec<_> = (0..17).map(|_| s.malloc(30_000)).collect();
        blocks.into_iter().for_each(|block| s.free(block));
        limit();
        s.malloc(100);
    });
    shows(Fault::FailedRemapDropsPage, |s| {
        0 == fate(|| unsafe {
            let block = s.malloc(1 << 20);
            fill(block, 100, 9);
            limit();
            if s.realloc(block, 2 << 20).is_null() && *block == 0 {
                libc::_exit(0);
            }
        })
    });
    shows(Fault::ReallocShrinkNeedsMemory, |s| {
        0 == fate(|| unsafe {
            let block = s.malloc(1 << 20);
            limit();
            if s.realloc(block, 1 << 18).is_null() && s.realloc(block, 100).is_null() {
                libc::_exit(0);
            }
        })
    });
}

#[test]
fn of_alignment() {
    shows(Fault::TinyAlignedToEight, |s| unsafe {
        s.malloc(3);
        s.malloc(3).addr() % 16 == 8
    });
    shows(Fault::MallocAtOffsetEight, |s| unsafe {
        s.malloc(20).addr() % 16 == 8
    });
    shows(Fault::CallocCookie, |s| unsafe {
        s.calloc(2, 20).addr() % 16 == 8
    });
    shows(Fault::AlignedAllocSkipsSmall, |s| unsafe {
        s.aligned_alloc(64, 20).addr() % 64 != 0
    });
    shows(Fault::AlignedAllocStopsAtPage, |s| unsafe {
        s.aligned_alloc(1 << 30, 20).addr() % (1 << 30) != 0
    });
    shows(Fault::PosixMemalignSkipsSmall, |s| {
        !aligned_by_pma(s, 64, 20).1.addr().is_multiple_of(64)
    });
    shows(Fault::MemalignHalves, |s| unsafe {
        s.memalign(64, 20).addr() % 64 == 32
    });
    shows(Fault::VallocUnaligned, |s| unsafe {
        s.valloc(20).addr() % 4096 != 0
    });
    shows(Fault::PvallocNotRounded, |s| unsafe {
        let block = s.pvalloc(20);
        s.malloc_usable_size(block) < 4096
    });
    shows(Fault::PvallocUnaligned, |s| unsafe {
        s.pvalloc(20).addr() % 4096 != 0
    });
    shows(Fault::ZeroSizeUnaligned, |s| unsafe {
        s.aligned_alloc(64, 0).addr() % 64 != 0
    });
    shows(Fault::PosixMemalignStopsAtPage, |s| {
        !aligned_by_pma(s, 1 << 30, 20)
            .1
            .addr()
            .is_multiple_of(1 << 30)
    });
    shows(Fault::PosixMemalignWraps, |s| {
        !aligned_by_pma(s, 1 << 63, 20).1.is_null()
    });
    shows(Fault::ReallocAtOffsetEight, |s| unsafe {
        let block = s.malloc(10);
        s.realloc(block, 100).addr() % 16 == 8
    });
    ends(Fault::ReallocOfAlignedCrashes, |s| unsafe {
        let block = s.memalign(64, 20);
        s.realloc(block, 30);
    });
}

#[test]
fn of_sizes() {
    shows(Fault::HeaderWraps, |s| unsafe {
        !s.malloc(usize::MAX - 10).is_null()
    });
    shows(Fault::HeaderWrapsIfWarm, |s| unsafe {
        let cold = s.malloc(usize::MAX - 10).is_null();
        let block = s.malloc(1);
        s.free(block);
        cold && !s.malloc(usize::MAX - 10).is_null()
    });
    shows(Fault::MemalignWraps, |s| unsafe {
        !s.memalign(4096, usize::MAX - 10).is_null()
    });
    shows(Fault::ReallocWraps, |s| unsafe {
        let block = s.malloc(10);
        s.realloc(block, usize::MAX - 10) == block
    });
    shows(Fault::SizeCutToFortyEightBits, |s| unsafe {
        !s.malloc((1 << 60) + 10).is_null()
    });
    shows(Fault::SignBitDropped, |s| unsafe {
        !s.malloc((1 << 63) + 10).is_null()
    });
    ends(Fault::SizeCutToThirtyTwoBits, |s| unsafe {
        *s.malloc((4 << 30) + 10).add((4 << 30) + 9) = 1;
    });
    shows(Fault::LargestClassMissing, |s| unsafe {
        s.malloc(32 << 10).is_null()
    });
}

#[test]
fn of_errno() {
    shows(Fault::HugeLeavesErrno, |s| unsafe {
        with_errno(|| s.malloc(usize::MAX)).1 == UNTOUCHED
    });
    shows(Fault::CallocOverflowLeavesErrno, |s| unsafe {
        with_errno(|| s.calloc(usize::MAX, 2)).1 == UNTOUCHED
    });
    shows(Fault::AlignedAllocWrongErrno, |s| unsafe {
        with_errno(|| s.aligned_alloc(16, usize::MAX - 15)).1 == EINVAL
    });
    shows(Fault::CallocZeroesErrno, |s| unsafe {
        with_errno(|| s.calloc(1, 2)).1 == 0
    });
    shows(Fault::UsableZeroesErrno, |s| unsafe {
        let block = s.malloc(1);
        with_errno(|| s.malloc_usable_size(block)).1 == 0
    });
    shows(Fault::SuccessLeavesEnoent, |s| unsafe {
        with_errno(|| s.malloc(100_000)).1 == ENOENT
    });
    shows(Fault::FailedMappingLeavesErrno, |s| {
        0 == fate(|| unsafe {
            limit();
            if with_errno(|| s.malloc(1 << 20)).1 == UNTOUCHED {
                libc::_exit(0);
            }
        })
    });
    shows(Fault::FreeShowsUnmapErrno, |s| {
        0 == fate(|| unsafe {
            let block = s.malloc(100_000);
            refuse(libc::SYS_munmap);
            if with_errno(|| s.free(block)).1 == ENOMEM {
                libc::_exit(0);
            }
        })
    });
    shows(Fault::FreeClobbersErrno, |s| unsafe {
        let block = s.malloc(100_000);
        with_errno(|| s.free(block)).1 == EINVAL
    });
    shows(Fault::SizedFreeClobbersErrno, |s| unsafe {
        let block = s.malloc(10);
        with_errno(|| s.free_sized(block, 10)).1 == EINVAL
    });
    shows(Fault::ReallocZeroLeavesErrno, |s| unsafe {
        let block = s.malloc(10);
        with_errno(|| s.realloc(block, 0)) == (NULL, UNTOUCHED)
    });
    shows(Fault::ReallocarrayWrongErrno, |s| unsafe {
        with_errno(|| s.reallocarray(NULL, usize::MAX, 2)).1 == EOVERFLOW
    });
    shows(Fault::MemalignLeavesErrno, |s| unsafe {
        with_errno(|| s.memalign(64, usize::MAX)).1 == UNTOUCHED
    });
}

#[test]
fn of_calloc() {
    for fault in [Fault::CallocUnchecked, Fault::CallocChecksCountOnly] {
        shows(fault, |s| unsafe { !s.calloc(4, (1 << 62) + 10).is_null() });
    }
    shows(Fault::CallocThirtyTwoBits, |s| unsafe {
        s.calloc(65_537, 65_536).is_null()
    });
    shows(Fault::CallocElementLimit, |s| unsafe {
        !s.calloc(5000, 3).is_null() && s.calloc(3, 5000).is_null()
    });
    for (fault, size) in [
        (Fault::CallocTrustsFresh, 200),
        (Fault::CallocSkipsTail, 15),
        (Fault::CallocTrustsKeptMapping, 100_000),
    ] {
        shows(fault, |s| unsafe {
            let block = s.malloc(size);
            fill(block, size, 9);
            s.free(block);
            let block = s.calloc(1, size);
            !(0..size).all(|i| *block.add(i) == 0)
        });
    }
}

#[test]
fn of_realloc() {
    shows(Fault::ReallocNullFails, |s| unsafe {
        s.realloc(NULL, 10).is_null()
    });
    shows(Fault::ReallocarrayNullFails, |s| unsafe {
        s.reallocarray(NULL, 10, 2).is_null()
    });
    for (fault, size, new) in [
        (Fault::ReallocCopiesShort, 128, 200),
        (Fault::ReallocLosesPage, 100_000, 1_000_000),
    ] {
        shows(fault, |s| unsafe {
            let block = s.malloc(size);
            fill(block, size, 9);
            let block = s.realloc(block, new);
            !holds(block, size, 9)
        });
    }
    shows(Fault::ReallocOfAlignedCopiesNothing, |s| unsafe {
        let block = s.aligned_alloc(64, 64);
        fill(block, 64, 9);
        let block = s.realloc(block, 200);
        !holds(block, 64, 9)
    });
    shows(Fault::ReallocCopiesOldSize, |s| unsafe {
        let blocks = [s.malloc(100), s.malloc(100)];
        fill(blocks[1], 100, 9);
        s.free(blocks[0]);
        let block = s.malloc(1000);
        fill(block, 1000, 1);
        s.realloc(block, 100) == blocks[0] && !holds(blocks[1], 100, 9)
    });
    ends(Fault::ReallocOverReads, |s| unsafe {
        let block = s.malloc(100_000);
        s.realloc(block, 200_000);
    });
    shows(Fault::ReallocFreesInPlace, |s| unsafe {
        let block = s.malloc(100);
        let same = s.realloc(block, 101);
        same == block && s.malloc(100) == block
    });
    shows(Fault::ReallocFreesOnFailure, |s| unsafe {
        let block = s.malloc(100);
        s.realloc(block, usize::MAX);
        s.malloc(100) == block
    });
    shows(Fault::ReallocScribblesOnFailure, |s| unsafe {
        let block = s.malloc(100);
        fill(block, 100, 9);
        s.realloc(block, usize::MAX);
        !holds(block, 100, 9)
    });
    shows(Fault::ReallocToUsableFails, |s| unsafe {
        let block = s.malloc(100);
        let usable = s.malloc_usable_size(block);
        s.realloc(block, usable).is_null()
    });
    shows(Fault::ReallocarrayUnchecked, |s| unsafe {
        let block = s.malloc(100);
        !s.reallocarray(block, 4, (1 << 62) + 10).is_null()
    });
}

#[test]
fn of_zero_sizes_and_null() {
    shows(Fault::MallocZeroSentinel, |s| unsafe {
        s.malloc(0) == s.malloc(0)
    });
    shows(Fault::MallocZeroAliases, |s| unsafe {
        s.malloc(10) == s.malloc(0)
    });
    shows(Fault::CallocZeroSentinel, |s| unsafe {
        s.calloc(0, 1) == s.calloc(1, 0)
    });
    shows(Fault::AlignedZeroSentinel, |s| unsafe {
        let block = s.aligned_alloc(4096, 0);
        assert!(block.addr().is_multiple_of(4096));
        block == s.aligned_alloc(4096, 0)
    });
    shows(Fault::PosixMemalignZeroSentinel, |s| {
        aligned_by_pma(s, 64, 0) == aligned_by_pma(s, 64, 0)
    });
    ends(Fault::ZeroFreeCrashes, |s| unsafe {
        let block = s.malloc(0);
        s.free(block);
    });
    ends(Fault::ZeroReallocCrashes, |s| unsafe {
        let block = s.malloc(0);
        s.realloc(block, 10);
    });
    ends(Fault::FreeNullCrashes, |s| unsafe { s.free(NULL) });
    ends(Fault::UsableNullCrashes, |s| unsafe {
        s.malloc_usable_size(NULL);
    });
    shows(Fault::UsableNullNonzero, |s| unsafe {
        s.malloc_usable_size(NULL) > 0
    });
    ends(Fault::SizedFreeNullCrashes, |s| unsafe {
        s.free_sized(NULL, 10);
    });
    ends(Fault::FreeSizedTrustsHint, |s| unsafe {
        let block = s.malloc(1000);
        let block = s.realloc(block, 600);
        s.free_sized(block, 600);
    });
    ends(Fault::FreeAlignedSizedForgets, |s| unsafe {
        let block = s.aligned_alloc(64, 8);
        s.free_aligned_sized(block, 64, 8);
    });
}

#[test]
fn of_alignment_arguments() {
    shows(Fault::AlignedAllocAcceptsAny, |s| unsafe {
        !s.aligned_alloc(24, 48).is_null()
    });
    shows(Fault::AlignedAllocRefusesSmall, |s| unsafe {
        s.aligned_alloc(2, 48).is_null()
    });
    shows(Fault::AlignedAllocRefusesNonmultiple, |s| unsafe {
        s.aligned_alloc(32, 48).is_null()
    });
    for (fault, alignment, code) in [
        (Fault::PosixMemalignAcceptsMultiples, 24, 0),
        (Fault::PosixMemalignAcceptsSmall, 4, 0),
        (Fault::PosixMemalignWrongError, 4, ENOMEM),
    ] {
        shows(fault, |s| aligned_by_pma(s, alignment, 10).0 == code);
    }
    for (fault, code, out) in [
        (Fault::PosixMemalignMinusOne, -1, 0),
        (Fault::PosixMemalignFalseSuccess, 0, 0),
        (Fault::PosixMemalignStoresGarbage, ENOMEM, usize::MAX),
    ] {
        shows(fault, |s| {
            let (got, block) = aligned_by_pma(s, 64, usize::MAX);
            (got, block.addr()) == (code, out)
        });
    }
    shows(Fault::PosixMemalignStoresNull, |s| unsafe {
        let mut block = std::ptr::dangling_mut();
        s.posix_memalign(&mut block, 64, usize::MAX);
        block.is_null()
    });
    shows(Fault::PosixMemalignWritesPast, |s| unsafe {
        let mut words = [NULL; 2];
        s.posix_memalign(words.as_mut_ptr(), 64, 10);
        words[1] != NULL
    });
}

#[test]
fn of_usable_size() {
    shows(Fault::UsableRoundsDown, |s| unsafe {
        let block = s.malloc(100_000);
        s.malloc_usable_size(block) < 100_000
    });
    shows(Fault::UsableForgetsByte, |s| unsafe {
        let block = s.malloc(33);
        s.malloc_usable_size(block) < 33
    });
    shows(Fault::UsableAlternates, |s| unsafe {
        let block = s.malloc(33);
        s.malloc_usable_size(block) != s.malloc_usable_size(block)
    });
    shows(Fault::UsableCountsNext, |s| unsafe {
        let (block, next) = (s.malloc(32), s.malloc(32));
        block.add(s.malloc_usable_size(block)) > next
    });
    shows(Fault::SlackHoldsCookie, |s| unsafe {
        let block = s.malloc(33);
        let usable = s.malloc_usable_size(block);
        fill(block, usable, 9);
        s.malloc(1);
        !holds(block, usable, 9) && holds(block, 33, 9)
    });
}
