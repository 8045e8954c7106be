//! What real interpreters were seen to do.

use super::world::Asked::{self, *};
use super::world::Watch;
use crate::pymalloc::*;

const POOL: usize = P16kR64::POOL_SIZE;
const ARENA: usize = P16kR64::ARENA_SIZE;
/// Blocks of 512 bytes in a pool, and in an arena of 64 pools.
const IN_POOL: usize = 31;
const IN_ARENA: usize = 1984;

#[test]
fn an_arena_is_asked_for_in_cpythons_order() {
    let mut watch = Watch::new();
    watch.heap.malloc(1);
    // The vector, the arena, a node of each level.
    assert_eq!(
        watch.asked(),
        [
            Realloc(768),
            Arena(ARENA, Some(0)),
            Calloc(1, 262_144),
            Calloc(1, 131_072)
        ]
    );
    watch.many(IN_ARENA, 512);
    assert_eq!(
        watch.asked(),
        [Arena(ARENA, Some(1))],
        "the nodes serve the neighbour as well"
    );
    watch.check();
}

#[test]
fn blocks_in_an_arena() {
    for (shift, blocks) in [(0, IN_ARENA), (0x1010, 1953), (POOL, IN_ARENA), (8, 1953)] {
        let mut watch = Watch::new();
        watch.world.borrow_mut().shift = shift;
        watch.many(blocks, 512);
        assert_eq!(watch.heap.statistics().current, 1);
        watch.heap.malloc(512);
        assert_eq!(
            watch.heap.statistics().current,
            2,
            "arena displaced by {shift:#x}"
        );
        watch.check();
    }
}

#[test]
fn blocks_in_a_pool() {
    for (size, blocks) in [
        (16, 1021),
        (32, 510),
        (48, 340),
        (64, 255),
        (256, 63),
        (512, 31),
    ] {
        let mut watch = Watch::new();
        let held = watch.many(blocks + 1, size);
        for (index, block) in held.iter().enumerate() {
            let expected = if index < blocks {
                48 + index * size
            } else {
                POOL + 48
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

#[test]
fn sizes_share_the_class_they_round_up_to() {
    for class in 0..32 {
        let mut watch = Watch::new();
        let (smallest, largest) = (class * 16 + 1, class * 16 + 16);
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

#[test]
fn at_the_edge_of_an_arena_nothing_thrashes() {
    let mut watch = Watch::new();
    watch.many(IN_ARENA, 512);
    let mut block = watch.heap.malloc(512);
    watch.settle();
    for _ in 0..100 {
        watch.free(block);
        block = watch.heap.malloc(512);
    }
    assert_eq!(watch.asked(), []);
    assert_eq!(
        watch.heap.statistics(),
        Statistics {
            current: 2,
            highwater: 2,
            total: 2
        }
    );
}

#[test]
fn pools_come_from_the_fullest_arena() {
    let mut watch = Watch::new();
    let blocks = watch.many(4 * IN_ARENA, 512);
    for (arena, pools) in [5, 2, 7, 1].into_iter().enumerate() {
        for index in 0..pools * IN_POOL {
            watch.free(blocks[arena * IN_ARENA + index]);
        }
        watch.check();
    }
    let pools_of_256 = watch.many(15 * 63, 256);
    let sources: Vec<usize> = pools_of_256
        .iter()
        .step_by(63)
        .map(|block| watch.place(block.addr()).unwrap().0)
        .collect();
    assert_eq!(sources, [3, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2]);
    watch.check();
}

#[test]
fn empty_arenas_go_back_but_for_one() {
    let mut watch = Watch::new();
    let blocks = watch.many(5 * IN_ARENA, 512);
    watch.settle();
    for block in blocks {
        watch.free(block);
    }
    assert_eq!(watch.asked(), [1, 2, 3, 4].map(ArenaFree));
    assert_eq!(
        watch.heap.statistics(),
        Statistics {
            current: 1,
            highwater: 5,
            total: 5
        }
    );
    assert_eq!(watch.heap.allocated_blocks(), 0);
    watch.check();
}

#[test]
fn without_an_arena_the_raw_domain_serves() {
    let mut watch = Watch::new();
    watch.heap.malloc(512);
    watch.settle();
    watch.many(IN_ARENA - 1, 512);
    watch.world.borrow_mut().fail_arena(1);
    let block = watch.heap.malloc(496);
    assert_eq!(watch.asked(), [Arena(ARENA, None), Malloc(496)]);
    let block = watch.realloc(block, 20);
    assert_eq!(watch.asked(), [Asked::Realloc(20)]);
    watch.free(block);
    assert_eq!(watch.asked(), [Free]);
    watch.heap.malloc(496);
    assert_eq!(
        watch.asked(),
        [Arena(ARENA, Some(1))],
        "the next request tries again"
    );
    watch.check();
}

#[test]
fn the_vector_doubles_when_every_entry_is_taken() {
    let mut watch = Watch::new();
    let mut grown = Vec::new();
    for arena in 1..=33 {
        watch.settle();
        watch.many(IN_ARENA, 512);
        grown.extend(
            watch
                .asked()
                .into_iter()
                .filter(|asked| matches!(asked, Realloc(_)))
                .map(|asked| (arena, asked)),
        );
    }
    assert_eq!(
        grown,
        [(1, Realloc(768)), (17, Realloc(1536)), (33, Realloc(3072))]
    );
    watch.check();
}

#[test]
fn entries_are_used_again_last_freed_first() {
    let mut watch = Watch::new();
    let blocks = watch.many(4 * IN_ARENA, 512);
    for block in &blocks[..3 * IN_ARENA] {
        watch.free(*block);
    }
    assert_eq!(watch.heap.statistics().current, 2);
    watch.settle();
    watch.many(IN_ARENA, 256);
    watch.many(IN_ARENA, 512);
    assert!(
        !watch
            .asked()
            .iter()
            .any(|asked| matches!(asked, Realloc(_)))
    );
    watch.check();
}

#[test]
fn raw_blocks_stay_raw() {
    let mut watch = Watch::new();
    let mut block = watch.heap.malloc(600);
    block = watch.realloc(block, 100);
    block = watch.realloc(block, 0);
    assert_eq!(watch.asked(), [Malloc(600), Realloc(100), Realloc(0)]);
    assert_eq!(watch.heap.allocated_blocks(), 1);
    watch.free(block);
    assert_eq!(watch.heap.allocated_blocks(), 0);
}

#[test]
fn blocks_leave_pools_for_nothing_and_for_much() {
    let mut watch = Watch::new();
    for size in [0, 513, 600] {
        let block = watch.heap.malloc(100);
        watch.settle();
        let moved = watch.realloc(block, size);
        assert_eq!(watch.asked(), [Malloc(size)]);
        assert_eq!(watch.heap.allocated_blocks(), 1);
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

#[test]
fn a_freed_block_holds_a_link_and_is_otherwise_untouched() {
    let mut watch = Watch::new();
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

#[test]
fn pools_are_written_only_as_they_are_used() {
    let mut watch = Watch::new();
    let block = watch.heap.malloc(64);
    // SAFETY: within the pool and the arena.
    let beyond = unsafe { std::slice::from_raw_parts(block.add(64 + 8), ARENA - 48 - 64 - 8) };
    assert!(
        beyond.iter().all(|&byte| byte == 0xa5),
        "but for the link of the second block nothing is written"
    );
}

#[test]
fn a_full_pool_comes_to_the_front() {
    let mut watch = Watch::new();
    let blocks = watch.many(3 * IN_POOL, 512);
    watch.free(blocks[40]);
    watch.free(blocks[3]);
    assert_eq!(watch.heap.malloc(512), blocks[3]);
    assert_eq!(watch.heap.malloc(512), blocks[40]);
    watch.check();
}

#[test]
fn an_empty_pool_keeps_its_free_list_for_its_class() {
    let mut watch = Watch::new();
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

#[test]
fn empty_pools_are_used_before_virgin_ones_last_emptied_first() {
    let mut watch = Watch::new();
    let blocks = watch.many(3 * IN_POOL, 512);
    for block in &blocks[..2 * IN_POOL] {
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
            Some((0, POOL + 48)),
            Some((0, 48)),
            Some((0, 3 * POOL + 48))
        ]
    );
    watch.check();
}

#[test]
fn a_block_moves_if_that_saves_a_quarter_of_its_class() {
    for class in 0..32 {
        let class_size = (class + 1) * 16;
        let mut watch = Watch::new();
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

#[test]
fn sizes_that_move_when_nothing_changes() {
    let mut watch = Watch::new();
    let moving: Vec<usize> = (1..=512)
        .filter(|&size| {
            let block = watch.heap.malloc(size);
            watch.realloc(block, size) != block
        })
        .collect();
    let expected: Vec<usize> = (1..=12).chain(17..=24).chain(33..=36).collect();
    assert_eq!(moving, expected);
}

#[test]
fn requests_for_nothing_reach_the_raw_domain_as_they_are() {
    let mut watch = Watch::new();
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
    let mut raw = DefaultRaw::over(super::world::Watched(watch.world.clone()), Sound);
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

#[test]
fn nothing_above_the_limit_is_asked_for() {
    let mut watch = Watch::new();
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

#[test]
fn the_threshold_counts_the_product() {
    let mut watch = Watch::new();
    watch.heap.malloc(1);
    watch.settle();
    watch.heap.calloc(2, 256);
    watch.heap.calloc(512, 1);
    watch.heap.calloc(3, 200);
    watch.heap.malloc(512);
    watch.heap.malloc(513);
    assert_eq!(watch.asked(), [Calloc(3, 200), Malloc(513)]);
}

#[test]
fn calloc_clears_what_was_used_before() {
    let mut watch = Watch::new();
    for block in watch.many(20, 512) {
        // SAFETY: the block has this size.
        unsafe { block.write_bytes(0xff, 512) };
        watch.free(block);
    }
    for _ in 0..31 {
        let block = watch.heap.calloc(2, 250);
        // SAFETY: the block has this size.
        let array = unsafe { std::slice::from_raw_parts(block, 500) };
        assert!(array.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn the_library_s_own_sources_serve() {
    let mut heap = Box::new(Pymalloc::<P16kR64>::new(DefaultRaw::new(), Mmap::new()));
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
