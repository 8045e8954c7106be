//! When arenas are asked for and given back, and in which order they are used.

use super::Seen;
use crate::pymalloc::tests::world::Asked::{self, *};
use crate::pymalloc::tests::world::Watch;
use crate::pymalloc::*;

pub(super) fn an_arena_is_asked_for_in_cpythons_order<L: Seen>() {
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

pub(super) fn blocks_in_an_arena<L: Seen>() {
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

pub(super) fn at_the_edge_of_an_arena_only_the_old_thrash<L: Seen>() {
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

pub(super) fn pools_come_from_the_fullest_arena<L: Seen>() {
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

pub(super) fn empty_arenas_go_back_but_for_what_is_kept<L: Seen>() {
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

pub(super) fn without_an_arena_the_raw_domain_serves<L: Seen>() {
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

pub(super) fn the_vector_doubles_when_every_entry_is_taken<L: Seen>() {
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

pub(super) fn entries_are_used_again_last_freed_first<L: Seen>() {
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
    let places = watch.heap.arenas.entries().iter().map(|entry| {
        let address = entry.address.addr();
        watch.place(address).map(|(place, _)| place)
    });
    // An entry is not bound to what was there before: the last freed is used first.
    let expected = if L::KEEPS_LAST {
        [Some(0), None, Some(1), Some(3), None]
    } else {
        [None, Some(1), Some(0), Some(3), None]
    };
    assert!(places.take(5).eq(expected));
    watch.check();
}
