//! A request to a source fails, each in turn: nothing is lost, nothing changes, and the next call is as good as ever.

use super::Tiny;
use super::world::Asked::{self, *};
use super::world::Watch;
use crate::pymalloc::*;
use std::ptr;

const ARENA: usize = P16kR64::ARENA_SIZE;

/// Runs `act` on fresh heaps in the state that `prepare` makes, with the first, second … raw request failing, until one
/// run makes no request that fails. `act` answers with the blocks it holds then. Returns the number of failures.
fn each_raw_failure<L: Layout>(
    shift: usize,
    prepare: fn(&mut Watch<L>) -> Vec<*mut u8>,
    act: fn(&mut Watch<L>, Vec<*mut u8>) -> Vec<*mut u8>,
) -> usize {
    for nth in 1.. {
        let mut watch = Watch::<L>::with_places(40);
        watch.world.borrow_mut().shift = shift;
        let held = prepare(&mut watch);
        watch.settle();
        watch.world.borrow_mut().fail_raw(nth);
        let held = act(&mut watch, held);
        let unused = watch.world.borrow_mut().stop_failing();
        watch.check();
        assert_eq!(watch.heap.allocated_blocks(), held.len(), "failure {nth}");
        let arenas = watch.heap.statistics().current;
        assert_eq!(arenas, watch.world.borrow().arenas.len(), "failure {nth}");
        for block in held {
            watch.free(block);
            watch.check();
        }
        assert_eq!(watch.heap.allocated_blocks(), 0, "failure {nth}");
        let block = watch.heap.malloc(100);
        assert!(
            watch.place(block.addr()).is_some(),
            "failure {nth} has consequences"
        );
        if unused {
            return nth - 1;
        }
    }
    unreachable!("every run has a finite number of requests")
}

fn one_more<L: Layout>(watch: &mut Watch<L>, mut held: Vec<*mut u8>) -> Vec<*mut u8> {
    let block = watch.heap.malloc(100);
    assert!(
        !block.is_null(),
        "one failure leaves the raw domain to turn to"
    );
    held.push(block);
    held
}

#[test]
fn of_the_first_arena() {
    // The vector, and a node of each level.
    assert_eq!(each_raw_failure::<P16kR64>(0, |_| Vec::new(), one_more), 3);
    assert_eq!(
        each_raw_failure::<P16kR64>(0x1010, |_| Vec::new(), one_more),
        3
    );
}

#[test]
fn of_the_first_arena_for_calloc() {
    let failures = each_raw_failure::<P16kR64>(
        0,
        |_| Vec::new(),
        |watch, mut held| {
            let block = watch.heap.calloc(10, 10);
            // SAFETY: the block has this size.
            assert_eq!(unsafe { std::slice::from_raw_parts(block, 100) }, [0; 100]);
            held.push(block);
            held
        },
    );
    assert_eq!(failures, 3);
}

#[test]
fn of_the_larger_vector() {
    let full = |watch: &mut Watch| watch.many(16 * 1984, 512);
    assert_eq!(each_raw_failure::<P16kR64>(0, full, one_more), 1);
}

#[test]
fn of_the_second_leaf_of_a_misaligned_arena() {
    // Each arena ends in the slot that the next one starts in; every eighth starts in the last slot of a leaf.
    let fill = |watch: &mut Watch<Tiny>| -> Vec<*mut u8> {
        let mut held = Vec::new();
        for _ in 0..8 {
            held.extend(watch.many(3 * 8, 112));
            let last = held[held.len() - 1];
            if watch
                .place(last.addr())
                .is_some_and(|(_, offset)| (last.addr() - offset) >> 12 & 7 == 6)
            {
                break;
            }
        }
        held
    };
    assert_eq!(each_raw_failure::<Tiny>(16, fill, one_more), 1);
}

#[test]
fn of_a_node_gives_the_arena_back() {
    for (nth, node) in [(2, Calloc(1, 262_144)), (3, Calloc(1, 131_072))] {
        let mut watch = Watch::new();
        watch.world.borrow_mut().fail_raw(nth);
        watch.heap.malloc(100);
        let asked = watch.asked();
        assert_eq!(asked[..2], [Realloc(768), Arena(ARENA, Some(0))]);
        assert_eq!(asked[nth..], [node, ArenaFree(0), Malloc(100)]);
        watch.heap.malloc(100);
        // What exists of vector and nodes is not asked for again.
        let again = [Calloc(1, 262_144), Calloc(1, 131_072)];
        let expected: Vec<Asked> = [Arena(ARENA, Some(0))]
            .into_iter()
            .chain(again.into_iter().skip(nth - 2))
            .collect();
        assert_eq!(watch.asked(), expected);
    }
}

#[test]
fn of_realloc_keeps_the_block() {
    for (from, to) in [
        (100, 513),
        (512, 600),
        (100, 0),
        (600, 100),
        (600, 0),
        (600, 5000),
        (0, 700),
    ] {
        let mut watch = Watch::new();
        let block = watch.heap.malloc(from);
        // SAFETY: the block has this size.
        unsafe { block.write_bytes(0x77, from) };
        watch.settle();
        watch.world.borrow_mut().fail_raw(1);
        assert!(watch.realloc(block, to).is_null());
        assert_eq!(watch.asked().len(), 1);
        // SAFETY: it is live still.
        let kept = unsafe { std::slice::from_raw_parts(block, from) };
        assert!(kept.iter().all(|&byte| byte == 0x77));
        assert_eq!(watch.heap.allocated_blocks(), 1);
        watch.check();
        let moved = watch.realloc(block, to);
        assert!(!moved.is_null());
        watch.free(moved);
        assert_eq!(watch.heap.allocated_blocks(), 0);
    }
}

#[test]
fn of_everything_keeps_the_block() {
    let mut watch = Watch::<P16kR64>::with_places(1);
    let blocks = watch.many(1984, 512);
    for to in [100, 384] {
        watch.settle();
        watch.world.borrow_mut().fail_raw(1);
        assert!(
            watch.realloc(blocks[7], to).is_null(),
            "no pool of the class, no arena, no raw memory"
        );
        assert_eq!(watch.asked(), [Arena(ARENA, None), Malloc(to)]);
    }
    assert_eq!(watch.heap.allocated_blocks(), blocks.len());
    watch.check();
    assert_eq!(watch.realloc(blocks[7], 385), blocks[7]);
    let raw = watch.realloc(blocks[7], 100);
    assert!(
        watch.place(raw.addr()).is_none(),
        "without an arena the smaller block is a raw one"
    );
    watch.check();
}

#[test]
fn of_malloc_and_calloc_is_told() {
    let mut watch = Watch::new();
    for size in [0, 513] {
        watch.world.borrow_mut().fail_raw(1);
        assert!(watch.heap.malloc(size).is_null());
        watch.world.borrow_mut().fail_raw(1);
        assert!(watch.heap.calloc(1, size).is_null());
        watch.world.borrow_mut().fail_raw(1);
        assert!(watch.realloc(ptr::null_mut(), size).is_null());
    }
    assert_eq!(watch.heap.allocated_blocks(), 0);
}

#[test]
fn of_arenas_again_and_again() {
    let mut watch = Watch::new();
    let mut blocks = Vec::new();
    for _ in 0..100 {
        watch.world.borrow_mut().fail_arena(1);
        let block = watch.heap.malloc(50);
        assert!(watch.place(block.addr()).is_none());
        blocks.push(block);
        watch.check();
    }
    assert_eq!(
        watch
            .asked()
            .iter()
            .filter(|&&asked| asked == Arena(ARENA, None))
            .count(),
        100
    );
    assert_eq!(watch.heap.statistics(), Statistics::default());
    let block = watch.heap.malloc(50);
    assert_eq!(watch.place(block.addr()), Some((0, 48)));
    for block in blocks {
        watch.free(block);
    }
    assert_eq!(
        watch.world.borrow().raw_live(),
        3,
        "the vector and two nodes"
    );
}

#[test]
fn nothing_is_freed_by_freeing_nothing() {
    let mut watch = Watch::new();
    watch.free(ptr::null_mut());
    watch.heap.malloc(1);
    watch.settle();
    watch.free(ptr::null_mut());
    assert_eq!(watch.asked(), []);
    assert_eq!(watch.heap.allocated_blocks(), 1);
}
