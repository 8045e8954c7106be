//! What writing and verifying a large block costs beside what C's fastest loops take for the same bytes.

use super::clock::{median, timed};
use super::{Measure, Subject, Target};
use crate::shadow::contents::{Pattern, windows};
use std::hint::black_box;

const MIB: usize = 1 << 20;
/// Bytes of blocks gone through in a turn.
const BYTES: usize = 256 * MIB;
const TURNS: usize = 9;

pub(super) fn measure() -> Vec<Measure> {
    let mut measures = Vec::new();
    for mib in [1, 16] {
        let size = mib * MIB;
        let ranges: Vec<_> = windows(size as u64)
            .map(|range| range.start as usize..range.end as usize)
            .collect();
        let checked: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let mut block = vec![1u8; size];
        let mut ratios = Vec::new();
        for turn in 0..TURNS {
            let pattern = Pattern::of(turn as u64);
            let ours = timed(|| {
                for _ in 0..BYTES / size {
                    let block = black_box(block.as_mut_ptr());
                    // SAFETY: the block has `size` bytes.
                    let kept = unsafe {
                        pattern.fill(block, 0, size as u64);
                        pattern.verify(block, size as u64, size as u64)
                    };
                    assert_eq!(kept, Ok(()));
                }
            });
            let zeros = [0u8; 256];
            let theirs = timed(|| {
                for _ in 0..BYTES / size {
                    let block = black_box(&mut block);
                    for range in &ranges {
                        block[range.clone()].fill(0);
                    }
                    for range in &ranges {
                        assert!(block[range.clone()] == zeros[..range.len()]);
                    }
                }
            });
            ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
        }
        let what = format!(
            "a block of {mib} MiB, {} KiB of it checked: fill and verify beside memset and memcmp",
            checked >> 10
        );
        measures.push(
            Measure::new(Subject::Large, what, median(ratios), "x")
                .with_target(Target::AtMost(1.5)),
        );
    }
    measures
}
