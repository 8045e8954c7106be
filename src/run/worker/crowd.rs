//! Other threads, which make, resize and free blocks of their own while a program runs.
//!
//! They are there to be in the middle of something. Nothing of the harness runs in them but what is written here: it takes
//! no memory, so that a fork finds none of the harness's own locks taken.

use super::preempt;
use crate::program::{Call, SplitMix};
use crate::subject::Subject;
use std::ffi::c_void;
use std::ptr;

/// Blocks that each thread has at most.
const BLOCKS: usize = 24;
/// Sizes of blocks: small ones, for most locks are about those, and now and then one that is mapped; and of every fourth
/// thread large ones, which threads seldom have of their own.
const SIZES: [[usize; 16]; 2] = [
    [
        16, 100, 600, 48, 3000, 24, 200, 1000, 32, 64, 400, 20_000, 80, 16, 256, 300_000,
    ],
    [
        9000, 40_000, 300_000, 16, 1_500_000, 5000, 2_097_152, 70_000, 3_000_000, 150_000, 30_000,
        5_000_000, 600_000, 1_200_000, 100_000, 1_048_576,
    ],
];
/// The alignment that is asked for.
const ALIGNMENT: usize = 64;

/// What one thread works with.
struct Work<S> {
    subject: S,
    seed: u64,
}

/// Starts so many threads, which work to the end of the process. Whether the subject serves them. They and this thread are
/// interrupted wherever they are.
pub fn start<S: Subject>(subject: &mut S, threads: u64) -> bool {
    if !subject.provides(Call::Malloc) || !subject.provides(Call::Free) {
        return false;
    }
    for seed in 1..=threads {
        let Some(subject) = subject.sibling() else {
            return false;
        };
        let work = Box::into_raw(Box::new(Work { subject, seed }));
        let mut thread = 0;
        // SAFETY: the thread has its work to itself; a sibling may be used in another thread.
        let failed = unsafe {
            libc::pthread_create(&raw mut thread, ptr::null(), work_on::<S>, work.cast())
        };
        if failed != 0 {
            return false;
        }
    }
    preempt::often(0);
    true
}

extern "C" fn work_on<S: Subject>(work: *mut c_void) -> *mut c_void {
    // SAFETY: what `start` made, for this thread alone, which never ends.
    let Work { subject, seed } = unsafe { &mut *work.cast::<Work<S>>() };
    let [calloc, realloc, memalign] =
        [Call::Calloc, Call::Realloc, Call::Memalign].map(|call| subject.provides(call));
    let sizes = SIZES[usize::from(seed.is_multiple_of(4))];
    let mut random = SplitMix::new(*seed);
    preempt::often(*seed);
    let mut blocks = [ptr::null_mut::<u8>(); BLOCKS];
    loop {
        let block = &mut blocks[random.below(BLOCKS as u64) as usize];
        let size = sizes[random.below(sizes.len() as u64) as usize];
        // SAFETY: blocks of this thread alone, each null or live; the first and the last byte of a new one are written.
        unsafe {
            let kind = random.below(8);
            let made = match kind {
                _ if !block.is_null() && (kind < 5 || !realloc) => {
                    subject.free(*block);
                    *block = ptr::null_mut();
                    continue;
                }
                5 if calloc && block.is_null() => subject.calloc(1, size),
                6 if memalign && block.is_null() => subject.memalign(ALIGNMENT, size),
                _ if block.is_null() => subject.malloc(size),
                _ => subject.realloc(*block, size),
            };
            if !made.is_null() {
                made.write_volatile(1);
                made.wrapping_add(size - 1).write_volatile(1);
                *block = made;
            }
        }
    }
}
