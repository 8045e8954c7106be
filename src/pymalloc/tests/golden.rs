//! What real interpreters were seen to do, in every layout.

use super::world::Asked::{self, *};
use super::world::Watch;
use crate::pymalloc::*;

/// What is known of a layout: numbers that were seen in interpreters, or worked out by hand where there was none.
trait Seen: Layout {
    /// The largest class.
    const LARGEST: usize;
    /// Blocks in a pool, by their size.
    const BLOCKS: &'static [(usize, usize)];
    /// Blocks of the largest class in a pool, of half of it in a pool, of the largest in an arena that starts at a pool
    /// and in one that does not.
    const IN_POOL: usize;
    const IN_POOL_OF_HALF: usize;
    const IN_ARENA: usize;
    const IN_MISALIGNED: usize;
    /// Sizes whose blocks move when resized to what they are.
    const MOVING: [(usize, usize); 3];
    /// Nodes of the address map.
    const NODES: &'static [usize];
}

const BY_8: [(usize, usize); 3] = [(1, 6), (9, 12), (17, 18)];
const BY_16: [(usize, usize); 3] = [(1, 12), (17, 24), (33, 36)];
const OF_4K_BY_8: &[(usize, usize)] = &[(8, 506), (16, 253), (24, 168), (256, 15)];
const OF_4K_BY_16: &[(usize, usize)] = &[
    (16, 253),
    (32, 126),
    (48, 84),
    (64, 63),
    (256, 15),
    (512, 7),
];
const OF_16K: &[(usize, usize)] = &[
    (16, 1021),
    (32, 510),
    (48, 340),
    (64, 255),
    (256, 63),
    (512, 31),
];

macro_rules! seen {
    ($($layout:ident $module:ident: $largest:literal, $blocks:expr, [$pool:literal, $half:literal],
        [$arena:literal, $misaligned:literal], $moving:expr, $nodes:expr;)*) => {$(
        impl Seen for $layout {
            const LARGEST: usize = $largest;
            const BLOCKS: &'static [(usize, usize)] = $blocks;
            const IN_POOL: usize = $pool;
            const IN_POOL_OF_HALF: usize = $half;
            const IN_ARENA: usize = $arena;
            const IN_MISALIGNED: usize = $misaligned;
            const MOVING: [(usize, usize); 3] = $moving;
            const NODES: &'static [usize] = $nodes;
        }

        mod $module {
            use super::*;
            in_layout!($layout:
                an_arena_is_asked_for_in_cpythons_order
                blocks_in_an_arena
                blocks_in_a_pool
                sizes_share_the_class_they_round_up_to
                at_the_edge_of_an_arena_only_the_old_thrash
                pools_come_from_the_fullest_arena
                empty_arenas_go_back_but_for_what_is_kept
                without_an_arena_the_raw_domain_serves
                the_vector_doubles_when_every_entry_is_taken
                entries_are_used_again_last_freed_first
                raw_blocks_stay_raw
                blocks_leave_pools_for_nothing_and_for_much
                a_freed_block_holds_a_link_and_is_otherwise_untouched
                pools_are_written_only_as_they_are_used
                a_full_pool_comes_to_the_front
                an_empty_pool_keeps_its_free_list_for_its_class
                empty_pools_are_used_before_virgin_ones_last_emptied_first
                a_block_moves_if_that_saves_a_quarter_of_its_class
                sizes_that_move_when_nothing_changes
                requests_for_nothing_reach_the_raw_domain
                nothing_above_the_limit_is_asked_for
                the_threshold_counts_the_product
                calloc_clears_what_was_used_before
                the_library_s_own_sources_serve
            );
        }
    )*};
}

macro_rules! in_layout {
    ($layout:ident: $($test:ident)*) => {$(
        #[test]
        fn $test() {
            super::$test::<$layout>();
        }
    )*};
}

seen! {
    P27old p27old: 256, OF_4K_BY_8, [15, 31], [960, 945], BY_8, &[];
    P4k8 p4k8: 512, OF_4K_BY_8, [7, 15], [448, 441], BY_8, &[];
    P4k16 p4k16: 512, OF_4K_BY_16, [7, 15], [448, 441], BY_16, &[];
    P4k16k1 p4k16k1: 512, OF_4K_BY_16, [7, 15], [448, 441], BY_16, &[];
    P16kR48 p16k_r48: 512, OF_16K, [31, 63], [1984, 1953], BY_16, &[8192, 2048];
    P16kR64 p16k_r64: 512, OF_16K, [31, 63], [1984, 1953], BY_16, &[262_144, 131_072];
    P16kHuge p16k_huge: 512, OF_16K, [31, 63], [3968, 3937], BY_16, &[262_144, 65_536];
    P4k16NoRadix p4k16_noradix: 512, OF_4K_BY_16, [7, 15], [1792, 1785], BY_16, &[];
}

fn an_arena_is_asked_for_in_cpythons_order<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    watch.heap.malloc(1);
    // The vector, the arena, a node of each level.
    let mut asked = vec![Realloc(768), Arena(L::ARENA_SIZE, Some(0))];
    asked.extend(L::NODES.iter().map(|&node| Calloc(1, node)));
    assert_eq!(watch.asked(), asked);
    watch.many(L::IN_ARENA, L::LARGEST);
    assert_eq!(
        watch.asked(),
        [Arena(L::ARENA_SIZE, Some(1))],
        "the nodes serve the neighbour as well"
    );
    watch.check();
}

fn blocks_in_an_arena<L: Seen>() {
    let (aligned, misaligned) = (L::IN_ARENA, L::IN_MISALIGNED);
    for (shift, blocks) in [
        (0, aligned),
        (0x1010, misaligned),
        (L::POOL_SIZE, aligned),
        (8, misaligned),
    ] {
        let mut watch = Watch::<L>::with_places(3);
        watch.world.borrow_mut().shift = shift;
        watch.many(blocks, L::LARGEST);
        assert_eq!(watch.heap.statistics().current, 1);
        watch.heap.malloc(L::LARGEST);
        assert_eq!(
            watch.heap.statistics().current,
            2,
            "arena displaced by {shift:#x}"
        );
        watch.check();
    }
}

fn blocks_in_a_pool<L: Seen>() {
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

fn sizes_share_the_class_they_round_up_to<L: Seen>() {
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

fn at_the_edge_of_an_arena_only_the_old_thrash<L: Seen>() {
    let mut watch = Watch::<L>::with_places(2);
    watch.many(L::IN_ARENA, L::LARGEST);
    let mut block = watch.heap.malloc(L::LARGEST);
    watch.settle();
    for _ in 0..100 {
        watch.free(block);
        block = watch.heap.malloc(L::LARGEST);
    }
    let asked = watch.asked();
    if L::KEEPS_LAST {
        assert_eq!(asked, []);
    } else {
        let turn = [ArenaFree(1), Arena(L::ARENA_SIZE, Some(1))];
        assert_eq!(asked, turn.repeat(100));
    }
    let total = if L::KEEPS_LAST { 2 } else { 102 };
    assert_eq!(
        watch.heap.statistics(),
        Statistics {
            current: 2,
            highwater: 2,
            total
        }
    );
    watch.check();
}

fn pools_come_from_the_fullest_arena<L: Seen>() {
    let mut watch = Watch::<L>::with_places(4);
    let blocks = watch.many(4 * L::IN_ARENA, L::LARGEST);
    for (arena, pools) in [5, 2, 7, 1].into_iter().enumerate() {
        for index in 0..pools * L::IN_POOL {
            watch.free(blocks[arena * L::IN_ARENA + index]);
        }
        watch.check();
    }
    let pools_of_half = watch.many(15 * L::IN_POOL_OF_HALF, L::LARGEST / 2);
    let sources: Vec<usize> = pools_of_half
        .iter()
        .step_by(L::IN_POOL_OF_HALF)
        .map(|block| watch.place(block.addr()).unwrap().0)
        .collect();
    assert_eq!(sources, [3, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2]);
    watch.check();
}

fn empty_arenas_go_back_but_for_what_is_kept<L: Seen>() {
    let mut watch = Watch::<L>::with_places(5);
    let blocks = watch.many(5 * L::IN_ARENA, L::LARGEST);
    watch.settle();
    for block in blocks {
        watch.free(block);
    }
    // In the order in which they were emptied, the first being the last usable one as long as it is alone.
    let expected: &[Asked] = if L::KEEPS_LAST {
        &[1, 2, 3, 4].map(ArenaFree)
    } else {
        &[0, 1, 2, 3, 4].map(ArenaFree)
    };
    assert_eq!(watch.asked(), expected);
    assert_eq!(
        watch.heap.statistics(),
        Statistics {
            current: usize::from(L::KEEPS_LAST),
            highwater: 5,
            total: 5
        }
    );
    assert_eq!(watch.heap.allocated_blocks(), 0);
    watch.check();
}

fn without_an_arena_the_raw_domain_serves<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    watch.heap.malloc(L::LARGEST);
    watch.settle();
    watch.many(L::IN_ARENA - 1, L::LARGEST);
    watch.world.borrow_mut().fail_arena(1);
    let block = watch.heap.malloc(240);
    assert_eq!(watch.asked(), [Arena(L::ARENA_SIZE, None), Malloc(240)]);
    let block = watch.realloc(block, 20);
    assert_eq!(watch.asked(), [Asked::Realloc(20)]);
    watch.free(block);
    assert_eq!(watch.asked(), [Free]);
    watch.heap.malloc(240);
    assert_eq!(
        watch.asked(),
        [Arena(L::ARENA_SIZE, Some(1))],
        "the next request tries again"
    );
    watch.check();
}

fn the_vector_doubles_when_every_entry_is_taken<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let mut grown = Vec::new();
    for arena in 1..=33 {
        watch.settle();
        watch.many(L::IN_ARENA, L::LARGEST);
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

fn entries_are_used_again_last_freed_first<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let blocks = watch.many(4 * L::IN_ARENA, L::LARGEST);
    for block in &blocks[..3 * L::IN_ARENA] {
        watch.free(*block);
    }
    let kept = 1 + usize::from(L::KEEPS_LAST);
    assert_eq!(watch.heap.statistics().current, kept);
    watch.settle();
    watch.many(2 * L::IN_ARENA, L::LARGEST);
    let expected = [0, 1].map(|place| Arena(L::ARENA_SIZE, Some(place)));
    let expected = if L::KEEPS_LAST {
        &[Arena(L::ARENA_SIZE, Some(1))][..]
    } else {
        &expected
    };
    assert_eq!(watch.asked(), expected, "the vector need not grow");
    watch.check();
}

fn raw_blocks_stay_raw<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let mut block = watch.heap.malloc(600);
    block = watch.realloc(block, 100);
    block = watch.realloc(block, 0);
    assert_eq!(watch.asked(), [Malloc(600), Realloc(100), Realloc(0)]);
    assert_eq!(watch.heap.allocated_blocks(), 1);
    watch.free(block);
    assert_eq!(watch.heap.allocated_blocks(), 0);
}

fn blocks_leave_pools_for_nothing_and_for_much<L: Seen>() {
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

fn a_freed_block_holds_a_link_and_is_otherwise_untouched<L: Seen>() {
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

fn pools_are_written_only_as_they_are_used<L: Seen>() {
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

fn a_full_pool_comes_to_the_front<L: Seen>() {
    let mut watch = Watch::<L>::with_places(40);
    let blocks = watch.many(3 * L::IN_POOL, L::LARGEST);
    let second = blocks[L::IN_POOL + 5];
    watch.free(second);
    watch.free(blocks[3]);
    assert_eq!(watch.heap.malloc(L::LARGEST), blocks[3]);
    assert_eq!(watch.heap.malloc(L::LARGEST), second);
    watch.check();
}

fn an_empty_pool_keeps_its_free_list_for_its_class<L: Seen>() {
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

fn empty_pools_are_used_before_virgin_ones_last_emptied_first<L: Seen>() {
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

fn a_block_moves_if_that_saves_a_quarter_of_its_class<L: Seen>() {
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

fn sizes_that_move_when_nothing_changes<L: Seen>() {
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

fn requests_for_nothing_reach_the_raw_domain<L: Seen>() {
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

fn nothing_above_the_limit_is_asked_for<L: Seen>() {
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

fn the_threshold_counts_the_product<L: Seen>() {
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

fn calloc_clears_what_was_used_before<L: Seen>() {
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

fn the_library_s_own_sources_serve<L: Seen>() {
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
