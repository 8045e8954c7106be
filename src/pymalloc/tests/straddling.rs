//! Arenas that start and end anywhere, and the address map by itself.

use super::Tiny;
use super::world::{Watch, Watched};
use crate::pymalloc::*;

type Map = <P16kR64 as Layout>::Map;
type Map48 = <P16kR48 as Layout>::Map;
const ARENA: usize = P16kR64::ARENA_SIZE;

/// A map, and raw memory for it.
fn map() -> (Box<Map>, Watched, Watch<Tiny>) {
    let watch = Watch::with_places(1);
    (Box::new(Map::EMPTY), Watched(watch.world.clone()), watch)
}

/// Asserts that the map takes exactly the inside of these arenas for one.
#[track_caller]
fn assert_exact(map: &Map, bases: &[usize]) {
    for &base in bases {
        for address in [
            base.wrapping_sub(1),
            base,
            base + ARENA / 2,
            base + ARENA - 1,
            base.wrapping_add(ARENA),
        ] {
            let expected = bases
                .iter()
                .any(|&base| (base..base + ARENA).contains(&address));
            assert_eq!(
                map.contains(address),
                expected,
                "{address:#x}, arenas at {bases:#x?}"
            );
        }
    }
}

#[test]
fn an_empty_map_contains_nothing() {
    let (map, ..) = map();
    for address in [0, 1, ARENA, 1 << 46, usize::MAX] {
        assert!(!map.contains(address));
    }
}

#[test]
fn nodes_have_cpythons_sizes() {
    assert_eq!(Map::NODE_SIZES, [262_144, 131_072]);
    assert_eq!(Map48::NODE_SIZES, [8192, 2048]);
    assert_eq!(<P16kHuge as Layout>::Map::NODE_SIZES, [262_144, 65_536]);
    assert_eq!(<P4k16 as Layout>::Map::NODE_SIZES, [0, 0]);
}

#[test]
fn of_3_10_only_48_bits_count() {
    let (_, mut raw, _watch) = map();
    let mut map = Box::new(Map48::EMPTY);
    let base = 0x1234_56a0_0000_usize;
    map.insert(base, &mut raw).unwrap();
    for bit in 20..48 {
        assert!(!map.contains(base ^ 1 << bit), "bit {bit}");
    }
    for bit in 48..64 {
        assert!(map.contains(base ^ 1 << bit), "bit {bit}");
    }
}

#[test]
fn of_the_old_every_bit_counts_and_nobody_is_asked() {
    fn exact<L: Layout>() {
        let (_, mut raw, watch) = map();
        watch.settle();
        let mut map = Box::new(L::Map::EMPTY);
        let base = 0x0123_4567_89a0_1010_usize;
        map.insert(base, &mut raw).unwrap();
        assert_eq!(watch.asked(), []);
        for bit in L::ARENA_SIZE.ilog2()..64 {
            assert!(!map.contains(base ^ 1 << bit), "bit {bit}");
        }
        for (address, inside) in [
            (base - 1, false),
            (base, true),
            (base + L::ARENA_SIZE - 1, true),
            (base + L::ARENA_SIZE, false),
        ] {
            assert_eq!(map.contains(address), inside);
        }
        map.remove(base);
        assert!(!map.contains(base) && !map.contains(base + L::ARENA_SIZE - 1));
        assert_eq!(map.nodes(), [0, 0]);
    }
    exact::<P27old>();
    exact::<P4k8>();
    exact::<P4k16k1>();
    exact::<P4k16NoRadix>();
}

#[test]
fn arenas_are_known_to_the_byte() {
    for shift in [0, 1, 0x1010, ARENA / 2, ARENA - 1] {
        let (mut map, mut raw, _watch) = map();
        let base = 0x7f12_3450_0000 + shift;
        map.insert(base, &mut raw).unwrap();
        assert_exact(&map, &[base]);
        map.remove(base);
        assert!(!map.contains(base) && !map.contains(base + ARENA - 1));
    }
}

#[test]
fn neighbours_in_a_slot_do_not_disturb_each_other() {
    let (mut map, mut raw, _watch) = map();
    let bases =
        [0x1010, ARENA + 0x1010, 2 * ARENA + 0x5000].map(|offset| 0x5500_0000_0000 + offset);
    for base in bases {
        map.insert(base, &mut raw).unwrap();
    }
    assert_exact(&map, &bases);
    map.remove(bases[1]);
    assert_exact(&map, &[bases[0], bases[2]]);
    assert!(!map.contains(bases[1]));
    map.insert(bases[1], &mut raw).unwrap();
    map.remove(bases[0]);
    assert_exact(&map, &bases[1..]);
}

#[test]
fn every_bit_of_an_address_counts() {
    for bit in 20..64 {
        let (mut map, mut raw, _watch) = map();
        let base = 0x0123_4567_89a0_0000_usize;
        map.insert(base, &mut raw).unwrap();
        assert!(!map.contains(base ^ 1 << bit), "bit {bit}");
        assert!(!map.contains((base ^ 1 << bit) + ARENA - 1), "bit {bit}");
    }
}

#[test]
fn arenas_may_lie_at_either_end_of_memory() {
    let (mut map, mut raw, _watch) = map();
    for base in [ARENA, usize::MAX - 2 * ARENA + 1] {
        map.insert(base, &mut raw).unwrap();
    }
    assert_exact(&map, &[ARENA, usize::MAX - 2 * ARENA + 1]);
    assert!(!map.contains(0) && !map.contains(usize::MAX));
}

#[test]
fn an_aligned_arena_needs_no_second_leaf() {
    let (mut map, mut raw, _watch) = map();
    let base = (1 << 49) - ARENA;
    map.insert(base, &mut raw).unwrap();
    assert_eq!(map.nodes(), [1, 1]);
    map.remove(base);
    assert!(!map.contains(base) && !map.contains(base + ARENA - 1));
}

#[test]
fn without_a_second_leaf_the_first_forgets() {
    // The last slot of a leaf, the last leaf of a node: the arena's end needs two nodes more.
    let base = (1 << 49) - ARENA + 0x4000;
    for nth in 1..=4 {
        let (mut map, mut raw, watch) = map();
        watch.world.borrow_mut().fail_raw(nth);
        assert_eq!(
            map.insert(base, &mut raw),
            Err(OutOfMemory),
            "request {nth} fails"
        );
        for address in [base, 1 << 49, base + ARENA - 1] {
            assert!(!map.contains(address));
        }
        let before = map.nodes().iter().sum::<usize>();
        assert_eq!(before, nth - 1);
        map.insert(base, &mut raw).unwrap();
        assert_eq!(map.nodes(), [2, 2]);
        assert_exact(&map, &[base]);
    }
}

#[test]
fn adjacent_misaligned_arenas_serve_and_go_back() {
    for shift in [16, 0x1010, 0x3ff0, 0x4000, ARENA / 2, ARENA - 8] {
        let mut watch = Watch::new();
        watch.world.borrow_mut().shift = shift;
        let blocks = watch.many(4 * 1953, 512);
        watch.check();
        let raw = watch.heap.malloc(600);
        // The arena in the middle goes; its neighbours' blocks are still known.
        let second = watch.place(blocks[1953].addr()).unwrap().0;
        let (gone, kept): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| watch.place(block.addr()).unwrap().0 == second);
        // An arena that is not the last usable one goes back, so another is made usable.
        watch.free(kept[kept.len() - 1]);
        for block in gone {
            watch.free(block);
            watch.check();
        }
        for block in kept[..kept.len() - 1].iter() {
            watch.free(*block);
        }
        watch.free(raw);
        watch.check();
        assert_eq!(
            watch.heap.allocated_blocks(),
            0,
            "arenas displaced by {shift:#x}"
        );
        assert_eq!(watch.world.borrow().arenas.len(), 1);
    }
}
