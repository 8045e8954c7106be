//! Where a subject's size classes end: most mistakes of size live within a byte of such a place.

use crate::program::Call;
use crate::run::process;
use crate::subject::Subject;
use serde::{Deserialize, Serialize};

/// Sizes below this are looked at one by one, larger ones in steps of a sixteenth.
const FINE: u64 = 1024;
/// Sizes from here on are not looked at.
const END: u64 = 4 << 20;
/// Bytes asked of calloc to see whether it writes them.
const SAMPLE: usize = 32 << 20;
/// Blocks held at once to see how far apart they lie.
const STRIDE_BLOCKS: usize = 6;

/// What can be learned of a subject by asking it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Learned {
    /// The largest size of each class met, ascending; empty if there was no time to learn any.
    pub boundaries: Vec<u64>,
    /// Whether a large calloc takes no memory before it is written.
    pub lazy: bool,
}

/// Asks a subject, until `deadline` at most.
pub fn learn<S: Subject>(subject: &mut S, deadline: u64) -> Learned {
    let lazy = is_lazy(subject);
    let boundaries = if subject.provides(Call::UsableSize) {
        by_usable_size(subject, deadline)
    } else {
        by_stride(subject, deadline)
    };
    Learned { boundaries, lazy }
}

fn is_lazy<S: Subject>(subject: &mut S) -> bool {
    let resident = || process::memory().map_or(0, |memory| memory.resident);
    let before = resident();
    // SAFETY: any size may be asked for; the block is freed once.
    unsafe {
        let block = subject.calloc(1, SAMPLE);
        let grown = resident().saturating_sub(before);
        subject.free(block);
        !block.is_null() && grown < SAMPLE as u64 / 4
    }
}

fn by_usable_size<S: Subject>(subject: &mut S, deadline: u64) -> Vec<u64> {
    let mut boundaries = Vec::new();
    let mut size = 1;
    while size < END && process::now() < deadline {
        // SAFETY: the block is the subject's and live until it is freed here.
        let usable = unsafe {
            let block = subject.malloc(size as usize);
            if block.is_null() {
                break;
            }
            let usable = subject.malloc_usable_size(block) as u64;
            subject.free(block);
            usable
        };
        if usable < size || usable >= END {
            break;
        }
        boundaries.push(usable);
        size = if usable < FINE {
            usable + 1
        } else {
            usable + usable / 16
        };
    }
    boundaries
}

/// Blocks of one class made one after the other usually lie one stride apart: a new stride is a new class.
fn by_stride<S: Subject>(subject: &mut S, deadline: u64) -> Vec<u64> {
    let mut boundaries = Vec::new();
    let mut previous = None;
    for size in 1..=FINE {
        if process::now() >= deadline {
            break;
        }
        let stride = stride(subject, size as usize);
        if let (Some(now), Some(before)) = (stride, previous)
            && now != before
        {
            boundaries.push(size - 1);
        }
        previous = stride.or(previous);
    }
    boundaries
}

fn stride<S: Subject>(subject: &mut S, size: usize) -> Option<u64> {
    let mut blocks = [std::ptr::null_mut::<u8>(); STRIDE_BLOCKS];
    for block in &mut blocks {
        // SAFETY: any size may be asked for.
        *block = unsafe { subject.malloc(size) };
    }
    let apart = blocks
        .windows(2)
        .filter(|pair| pair.iter().all(|block| !block.is_null()));
    let stride = apart
        .map(|pair| pair[0].addr().abs_diff(pair[1].addr()) as u64)
        .min();
    for block in blocks {
        // SAFETY: null or just made, and freed once.
        unsafe { subject.free(block) };
    }
    stride
}
