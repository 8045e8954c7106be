//! What lies where in pools, and in which order they and their blocks are used.

use super::Seen;
use crate::pymalloc::tests::world::Watch;

pub(super) fn blocks_in_a_pool<L: Seen>() {
    for &(size, blocks) in L::BLOCKS {
        let mut watch = Watch::<L>::with_places(1);
        let held = watch.many(blocks + 1, size);
        for (index, block) in held.iter().enumerate() {
            let expected = if index < blocks {
                48 + index * size
            } else {
                L::POOL_SIZE + 48
            };
            assert_eq!(
                watch.place(block.addr()),
                Some((0, expected)),
                "block {index} of {size} bytes"
            );
        }
        watch.check();
    }
}

pub(super) fn sizes_share_the_class_they_round_up_to<L: Seen>() {
    let step = L::LARGEST / L::CLASSES;
    for class in 0..L::CLASSES {
        let mut watch = Watch::<L>::with_places(1);
        let (smallest, largest) = (class * step + 1, class * step + step);
        let (first, second, third) = (
            watch.heap.malloc(smallest),
            watch.heap.malloc(largest),
            watch.heap.malloc(smallest),
        );
        assert_eq!(watch.place(first.addr()), Some((0, 48)));
        assert_eq!(second.addr() - first.addr(), largest);
        assert_eq!(third.addr() - second.addr(), largest);
    }
}

pub(super) fn a_freed_block_holds_a_link_and_is_otherwise_untouched<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let (first, second) = (watch.heap.malloc(64), watch.heap.malloc(64));
    // SAFETY: blocks of this size; what is freed stays mapped.
    unsafe {
        first.write_bytes(0x11, 64);
        second.write_bytes(0x22, 64);
        watch.free(first);
        watch.free(second);
        assert_eq!(second.cast::<*mut u8>().read(), first);
        assert_eq!(std::slice::from_raw_parts(second.add(8), 56), [0x22; 56]);
        assert_eq!(std::slice::from_raw_parts(first.add(8), 56), [0x11; 56]);
    }
}

pub(super) fn pools_are_written_only_as_they_are_used<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let block = watch.heap.malloc(64);
    // SAFETY: within the pool and the arena.
    let beyond =
        unsafe { std::slice::from_raw_parts(block.add(64 + 8), L::ARENA_SIZE - 48 - 64 - 8) };
    assert!(
        beyond.iter().all(|&byte| byte == 0xa5),
        "but for the link of the second block nothing is written"
    );
}

pub(super) fn a_full_pool_comes_to_the_front<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let blocks = watch.many(3 * L::IN_POOL, L::LARGEST);
    let second = blocks[L::IN_POOL + 5];
    watch.free(second);
    watch.free(blocks[3]);
    assert_eq!(watch.heap.malloc(L::LARGEST), blocks[3]);
    assert_eq!(watch.heap.malloc(L::LARGEST), second);
    watch.check();
}

pub(super) fn an_empty_pool_keeps_its_free_list_for_its_class<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    // Something must keep the arena, in a pool of its own behind.
    let blocks = watch.many(1, 64);
    watch.heap.malloc(16);
    watch.free(blocks[0]);
    let blocks = watch.many(3, 64);
    for index in [0, 2, 1] {
        watch.free(blocks[index]);
    }
    assert_eq!(watch.many(3, 64), [blocks[1], blocks[2], blocks[0]]);
    for block in blocks {
        watch.free(block);
    }
    let other = watch.heap.malloc(80);
    assert_eq!(
        watch.place(other.addr()),
        Some((0, 48)),
        "another class starts the pool anew"
    );
    watch.check();
}

pub(super) fn empty_pools_are_used_before_virgin_ones_last_emptied_first<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let blocks = watch.many(3 * L::IN_POOL, L::LARGEST);
    for block in &blocks[..2 * L::IN_POOL] {
        watch.free(*block);
    }
    let places: Vec<_> = [16, 32, 48]
        .map(|size| watch.heap.malloc(size))
        .iter()
        .map(|b| watch.place(b.addr()))
        .collect();
    assert_eq!(
        places,
        [
            Some((0, L::POOL_SIZE + 48)),
            Some((0, 48)),
            Some((0, 3 * L::POOL_SIZE + 48))
        ]
    );
    watch.check();
}

pub(super) fn calloc_clears_what_was_used_before<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    for block in watch.many(20, L::LARGEST) {
        // SAFETY: the block has this size.
        unsafe { block.write_bytes(0xff, L::LARGEST) };
        watch.free(block);
    }
    for _ in 0..31 {
        let block = watch.heap.calloc(2, L::LARGEST / 2 - 6);
        // SAFETY: the block has this size.
        let array = unsafe { std::slice::from_raw_parts(block, L::LARGEST - 12) };
        assert!(array.iter().all(|&byte| byte == 0));
    }
}
