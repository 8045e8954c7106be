//! The faults that show over a long life, in children, and under special circumstances.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason for all, stated with the other faults"
)]

use super::each_fault::{ends, shows};
use super::*;
use std::collections::BTreeSet;

const MIB: usize = 1 << 20;

/// Bytes mapped by this process.
fn mapped() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

/// Whether the process, a child of the test, has grown by more than a MiB after these calls.
fn grows(calls: impl Fn()) -> bool {
    let grown = fate(|| {
        calls();
        let before = mapped();
        (0..10).for_each(|_| calls());
        if mapped() > before + MIB {
            unsafe { libc::_exit(1) };
        }
    });
    grown == 1
}

#[test]
fn what_is_lost_little_by_little() {
    shows(Fault::FreeLosesOneIn1024, |s| unsafe {
        let first = s.malloc(5000);
        s.free(first);
        (0..1100).any(|_| {
            let block = s.malloc(5000);
            s.free(block);
            block != first
        })
    });
    shows(Fault::EmptiedSpanLost, |s| unsafe {
        let mut round = || {
            let blocks: Vec<_> = (0..1200).map(|_| s.malloc(20_000)).collect();
            blocks.iter().for_each(|&block| s.free(block));
            let spans = blocks.into_iter().map(|block| block.addr() >> 18);
            spans.collect::<BTreeSet<_>>()
        };
        let first = round();
        (0..3).any(|_| !round().is_subset(&first))
    });
    shows(Fault::ReallocLosesOneIn256, |s| unsafe {
        let mut block = s.malloc(100);
        (0..300).any(|turn| {
            let (old, old_size, size) = match turn % 2 {
                0 => (block, 100, 1000),
                _ => (block, 1000, 100),
            };
            block = s.realloc(block, size);
            let other = s.malloc(old_size);
            s.free(other);
            other != old
        })
    });
    shows(Fault::AlignmentSlackLost, |s| {
        let s = RefCell::new(s);
        grows(|| unsafe {
            let block = s.borrow_mut().memalign(2 * MIB, 50_000);
            s.borrow_mut().free(block);
        })
    });
    shows(Fault::OlderMappingLost, |s| {
        let s = RefCell::new(s);
        grows(|| unsafe {
            for _ in 0..64 {
                let older = s.borrow_mut().malloc(MIB);
                let younger = s.borrow_mut().malloc(MIB);
                s.borrow_mut().free(older);
                s.borrow_mut().free(younger);
            }
        })
    });
}

#[test]
fn what_a_child_shares() {
    shows(Fault::ChildStoresInParent, |s| unsafe {
        let block = s.malloc(48);
        fill(block, 48, 9);
        fate(|| fill(block, 48, 7));
        !holds(block, 48, 9)
    });
    shows(Fault::ChildFreesInParent, |s| unsafe {
        let block = s.malloc(48);
        let s = RefCell::new(s);
        fate(|| s.borrow_mut().free(block));
        s.borrow_mut().malloc(48) == block
    });
}

#[test]
fn what_circumstances_show() {
    extern "C" fn nothing(_signal: libc::c_int) {}
    unsafe extern "C" {
        fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
    }
    let large = |s: &mut Faulty| unsafe { s.malloc(MIB) };
    ends(Fault::InterruptionIsNoMemory, |s| unsafe {
        let often = libc::timeval {
            tv_sec: 0,
            tv_usec: 50,
        };
        let timer = libc::itimerval {
            it_interval: often,
            it_value: often,
        };
        let handler = nothing as extern "C" fn(libc::c_int) as usize;
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
        // Clocks may be coarse.
        if (0..1000).any(|_| large(s).is_null()) {
            libc::_exit(1);
        }
    });
    ends(Fault::MappingOpensFile, |s| unsafe {
        pthread_cancel(libc::pthread_self());
        large(s);
    });
    ends(Fault::ChildEndCrashes, |s| unsafe {
        libc::raise(libc::SIGCHLD);
        large(s);
    });
    ends(Fault::NeedsConstructor, |s| {
        large(s);
    });
    ends(Fault::MappingNeedsStderr, |s| unsafe {
        libc::close(2);
        large(s);
    });
    ends(Fault::MappingNeedsStack, |s| {
        std::thread::scope(|scope| {
            let small = std::thread::Builder::new().stack_size(64 << 10);
            small.spawn_scoped(scope, || large(s).addr()).unwrap();
        });
    });
}
