//! What reaches the sources: nothing, too much, and what is just enough.

use super::Seen;
use crate::pymalloc::tests::world::Asked::{self, *};
use crate::pymalloc::tests::world::Watch;
use crate::pymalloc::*;

pub(super) fn requests_for_nothing_reach_the_raw_domain<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let mut blocks = watch.many(100, 0);
    blocks.extend([
        watch.heap.calloc(0, 7),
        watch.heap.calloc(7, 0),
        watch.realloc(std::ptr::null_mut(), 0),
    ]);
    let asked = watch.asked();
    assert_eq!(
        asked[99..],
        [Malloc(0), Calloc(0, 7), Calloc(7, 0), Malloc(0)]
    );
    assert_eq!(watch.heap.allocated_blocks(), 103);
    for block in &blocks {
        watch.free(*block);
    }
    blocks.sort();
    blocks.dedup();
    assert_eq!(blocks.len(), 103);
    assert_eq!(watch.heap.allocated_blocks(), 0);
}

#[test]
fn the_default_raw_domain_asks_for_a_byte_instead_of_none() {
    let watch = Watch::new();
    let mut raw = DefaultRaw::over(
        crate::pymalloc::tests::world::Watched(watch.world.clone()),
        Sound,
    );
    let mut blocks = vec![
        raw.malloc(0),
        raw.malloc(3),
        raw.calloc(0, 7),
        raw.calloc(7, 0),
        raw.calloc(2, 7),
    ];
    // SAFETY: the block is live.
    blocks[1] = unsafe { raw.realloc(blocks[1], 0) };
    let asked = [
        Malloc(1),
        Malloc(3),
        Calloc(1, 1),
        Calloc(1, 1),
        Calloc(2, 7),
        Realloc(1),
    ];
    assert_eq!(watch.asked(), asked);
    for block in blocks {
        // SAFETY: the block is live.
        unsafe { raw.free(block) };
    }
}

pub(super) fn nothing_above_the_limit_is_asked_for<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let (pooled, raw) = (watch.heap.malloc(100), watch.heap.malloc(1000));
    watch.settle();
    for size in [SIZE_LIMIT + 1, SIZE_LIMIT + 2, usize::MAX - 1, usize::MAX] {
        assert!(watch.heap.malloc(size).is_null());
        for block in [pooled, raw, std::ptr::null_mut()] {
            assert!(watch.realloc(block, size).is_null());
        }
    }
    let half = SIZE_LIMIT / 2;
    for (count, size) in [
        (half + 1, 2),
        (2, half + 1),
        (1 << 32, 1 << 32),
        (usize::MAX, 1),
        (1, usize::MAX),
        (1 << 63, 2),
    ] {
        assert!(watch.heap.calloc(count, size).is_null());
    }
    assert_eq!(watch.asked(), []);
    assert!(watch.heap.malloc(SIZE_LIMIT).is_null());
    assert!(watch.realloc(raw, SIZE_LIMIT).is_null());
    assert!(watch.realloc(pooled, SIZE_LIMIT).is_null());
    assert!(watch.heap.calloc(half, 2).is_null());
    assert!(watch.heap.calloc(1, SIZE_LIMIT).is_null());
    let asked = [
        Malloc(SIZE_LIMIT),
        Realloc(SIZE_LIMIT),
        Malloc(SIZE_LIMIT),
        Calloc(half, 2),
        Calloc(1, SIZE_LIMIT),
    ];
    assert_eq!(watch.asked(), asked, "the limit itself is passed on");
    assert_eq!(watch.heap.allocated_blocks(), 2);
}

pub(super) fn the_threshold_counts_the_product<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    watch.heap.malloc(1);
    watch.settle();
    let largest = L::LARGEST;
    watch.heap.calloc(2, largest / 2);
    watch.heap.calloc(largest, 1);
    watch.heap.calloc(3, 200);
    watch.heap.malloc(largest);
    watch.heap.malloc(largest + 1);
    assert_eq!(watch.asked(), [Calloc(3, 200), Malloc(largest + 1)]);
}

pub(super) fn the_library_s_own_sources_serve<L: Seen>() {
    let mut heap = Box::new(Pymalloc::<L>::new(DefaultRaw::new(), Mmap::new()));
    let mut blocks = Vec::new();
    for size in (0..4000).chain([1 << 20]) {
        let block = heap.malloc(size);
        // SAFETY: the block has this size.
        unsafe { block.write_bytes(size as u8, size) };
        blocks.push((block, size));
    }
    for (block, size) in blocks {
        // SAFETY: the block has this size and is live.
        unsafe {
            assert!(
                std::slice::from_raw_parts(block, size)
                    .iter()
                    .all(|&byte| byte == size as u8)
            );
            heap.free(block);
        }
    }
    assert_eq!(heap.allocated_blocks(), 0);
    heap.check_invariants().unwrap();
}

/// A block of 600 bytes shrunk to nothing, first with no memory for that, then with some, and what was asked for.
fn shrunk_to_nothing<L: Layout>() -> (bool, bool, Vec<Asked>) {
    let mut watch = Watch::<L>::with_places(1);
    let block = watch.heap.malloc(600);
    watch.settle();
    watch.world.borrow_mut().fail_raw(1);
    let kept = watch.realloc(block, 0);
    let moved = watch.realloc(block, 0);
    watch.free(moved);
    watch.heap.malloc(0);
    assert_eq!(watch.heap.allocated_blocks(), 1);
    (kept == block, kept.is_null(), watch.asked())
}

#[test]
fn nothing_is_passed_on_differently_by_the_old() {
    let asked = |resize, size| vec![Realloc(resize), Realloc(resize), Free, Malloc(size)];
    assert_eq!(shrunk_to_nothing::<P4k16>(), (false, true, asked(0, 0)));
    let of_34: [fn() -> _; 2] = [
        shrunk_to_nothing::<Before37<P4k8>>,
        shrunk_to_nothing::<Before37<P4k16>>,
    ];
    for shrunk in of_34 {
        assert_eq!(shrunk(), (true, false, asked(1, 0)));
    }
    assert_eq!(
        shrunk_to_nothing::<Before34<P4k16>>(),
        (true, false, asked(1, 1))
    );
}
