//! Which blocks stay, which move, and who is asked then.

use super::Seen;
use crate::pymalloc::tests::world::Asked::*;
use crate::pymalloc::tests::world::Watch;

pub(super) fn raw_blocks_stay_raw<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let mut block = watch.heap.malloc(600);
    block = watch.realloc(block, 100);
    block = watch.realloc(block, 0);
    assert_eq!(watch.asked(), [Malloc(600), Realloc(100), Realloc(0)]);
    assert_eq!(watch.heap.allocated_blocks(), 1);
    watch.free(block);
    assert_eq!(watch.heap.allocated_blocks(), 0);
}

pub(super) fn blocks_leave_pools_for_nothing_and_for_much<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    // Something must keep the arena.
    watch.heap.malloc(16);
    for size in [0, L::LARGEST + 1, 600] {
        let block = watch.heap.malloc(100);
        watch.settle();
        let moved = watch.realloc(block, size);
        assert_eq!(watch.asked(), [Malloc(size)]);
        assert_eq!(watch.heap.allocated_blocks(), 2);
        assert_eq!(
            watch.heap.malloc(100),
            block,
            "the block in the pool was freed"
        );
        watch.free(block);
        watch.free(moved);
        watch.check();
    }
}

pub(super) fn a_block_moves_if_that_saves_a_quarter_of_its_class<L: Seen>() {
    let step = L::LARGEST / L::CLASSES;
    for class in 0..L::CLASSES {
        let class_size = (class + 1) * step;
        let mut watch = Watch::<L>::with_places(40);
        watch.heap.malloc(class_size);
        watch.settle();
        for size in 1..=class_size {
            let block = watch.heap.malloc(class_size);
            let moved = watch.realloc(block, size);
            assert_eq!(
                moved == block,
                4 * size > 3 * class_size,
                "{class_size} to {size}"
            );
            assert_eq!(watch.asked(), []);
            watch.free(moved);
        }
        watch.check();
    }
}

pub(super) fn sizes_that_move_when_nothing_changes<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let moving: Vec<usize> = (1..=L::LARGEST)
        .filter(|&size| {
            let block = watch.heap.malloc(size);
            watch.realloc(block, size) != block
        })
        .collect();
    let expected = L::MOVING.into_iter().flat_map(|(first, last)| first..=last);
    let expected: Vec<usize> = expected.collect();
    assert_eq!(moving, expected);
}

/// All that the old block could hold comes along, whatever was asked for, and nothing more.
pub(super) fn a_block_that_grows_takes_its_whole_class_along<L: Seen>() {
    let step = L::LARGEST / L::CLASSES;
    for (class_size, size) in [(L::LARGEST, L::LARGEST + 100), (2 * step, 5 * step)] {
        let mut watch = Watch::<L>::with_places(40);
        let block = watch.heap.malloc(class_size - 3);
        // SAFETY: the class has so many bytes.
        unsafe { block.write_bytes(0x11, class_size) };
        // What is taken next is of the new size, and filled with something else.
        let other = watch.heap.malloc(size);
        // SAFETY: it has this size.
        unsafe { other.write_bytes(0x22, size) };
        watch.free(other);
        let moved = watch.realloc(block, size);
        // SAFETY: it has this size.
        let bytes = unsafe { std::slice::from_raw_parts(moved, size) };
        assert!(bytes[..class_size].iter().all(|&byte| byte == 0x11));
        assert!(bytes[class_size..].iter().all(|&byte| byte != 0x11));
        watch.free(moved);
    }
}
