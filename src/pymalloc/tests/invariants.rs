//! What is out of order is told, whatever it is.

use super::world::{Watch, Watched};
use super::{Tiny, TinyOld};
use crate::pymalloc::arena::{Arena, Arenas};
use crate::pymalloc::pool::{PoolHeader, pool_of};
use crate::pymalloc::*;
use std::ptr;

/// But for the links of a pool that is alone in its list: the one back may be anything.
#[test]
fn every_word_of_a_pool_is_looked_at() {
    type Spoil = (&'static str, fn(&mut PoolHeader));
    let spoils: [Spoil; 8] = [
        ("the count", |pool| pool.count += 1),
        ("the first free block", |pool| {
            pool.freeblock = ptr::null_mut()
        }),
        ("a free block between blocks", |pool| {
            pool.freeblock = pool.freeblock.wrapping_add(1)
        }),
        ("a free block of another pool", |pool| {
            pool.freeblock = pool.freeblock.wrapping_add(P16kR64::POOL_SIZE)
        }),
        ("the arena", |pool| pool.arenaindex += 1),
        ("the class", |pool| pool.szidx += 1),
        ("the next offset", |pool| pool.nextoffset += 1),
        ("the last offset", |pool| pool.maxnextoffset -= 1),
    ];
    let mut watch = Watch::new();
    let blocks = watch.many(3, 100);
    watch.free(blocks[1]);
    watch.check();
    let pool = pool_of::<P16kR64>(blocks[0]);
    for (what, spoil) in spoils {
        // SAFETY: the pool is there, and nobody else looks at it; what is spoilt is only looked at, and put back.
        unsafe {
            let whole = ptr::read(pool);
            spoil(&mut *pool);
            let told = watch.heap.check_invariants();
            ptr::write(pool, whole);
            assert!(told.is_err(), "{what}");
        }
    }
    watch.check();
}

/// Five arenas of four pools, of which one has a pool to give and another has two.
fn with_usable<L: Layout>() -> Watch<L> {
    const PER_POOL: usize = 7;
    let mut watch = Watch::with_places(8);
    let blocks = watch.many(5 * 4 * PER_POOL, 128);
    for pool in [4, 8, 9] {
        for block in 0..PER_POOL {
            watch.free(blocks[pool * PER_POOL + block]);
        }
    }
    watch.check();
    watch
}

/// The first usable arena.
fn first<L: Layout>(arenas: &mut Arenas<L>) -> &mut Arena {
    // SAFETY: the list leads to entries, and nobody else looks at them.
    unsafe { &mut *arenas.usable }
}

/// What is told of arenas that are spoilt so.
fn told<L: Layout>(spoil: impl FnOnce(&mut Arenas<L>, Watched)) -> String {
    let mut watch = with_usable::<L>();
    let raw = Watched(watch.world.clone());
    spoil(&mut watch.heap.arenas, raw);
    watch.heap.check_invariants().unwrap_err()
}

#[test]
fn every_word_of_an_arena_is_looked_at() {
    type Spoil = (&'static str, fn(&mut Arenas<Tiny>));
    let spoils: [Spoil; 12] = [
        ("taken for one in an arena", |arenas| {
            first(arenas).address = (2 * Tiny::ARENA_SIZE) as *mut u8
        }),
        ("an entry without an arena is usable", |arenas| {
            arenas.usable = arenas.unused
        }),
        ("in the list of unused ones", |arenas| {
            arenas.unused = arenas.usable
        }),
        ("5 with an arena, 0 in the list", |arenas| {
            arenas.unused = ptr::null_mut()
        }),
        ("does not lead back", |arenas| {
            let itself = arenas.usable;
            first(arenas).prevarena = itself;
        }),
        ("free pools behind one with", |arenas| {
            first(arenas).nfreepools = 3;
            arenas.last_with[3] = arenas.usable;
        }),
        ("an empty arena is kept", |arenas| {
            first(arenas).nfreepools = 4
        }),
        ("the finger for 1 free pools", |arenas| {
            arenas.last_with[1] = ptr::null_mut()
        }),
        ("3 fingers", |arenas| arenas.last_with[3] = arenas.usable),
        ("2 arenas have free pools, 1 are listed", |arenas| {
            first(arenas).nextarena = ptr::null_mut()
        }),
        ("has 5 pools", |arenas| first(arenas).ntotalpools = 5),
        ("empty pools outside the arena", |arenas| {
            let first = first(arenas);
            first.pool_address = first.address;
        }),
    ];
    for (what, spoil) in spoils {
        let told = told(|arenas, _| spoil(arenas));
        assert!(told.contains(what), "{told:?}, not {what:?}");
    }
}

#[test]
fn the_last_arena_is_kept_only_where_one_is() {
    fn told_of_the_last<L: Layout>() -> String {
        told::<L>(|arenas, _| {
            // SAFETY: the list leads to entries, and nobody else looks at them.
            let last = unsafe { &mut *first(arenas).nextarena };
            last.nfreepools = last.ntotalpools;
        })
    }
    let old = told_of_the_last::<TinyOld>();
    assert!(old.contains("an empty arena is kept"), "{old}");
    let new = told_of_the_last::<Tiny>();
    assert!(new.contains("finger"), "{new}");
}

#[test]
fn what_is_counted_is_compared() {
    let spoils: [fn(&mut Statistics); 3] = [
        |statistics| statistics.total = 4,
        |statistics| statistics.highwater = 4,
        |statistics| statistics.current = 4,
    ];
    for spoil in spoils {
        let told = told::<Tiny>(|arenas, _| spoil(&mut arenas.statistics));
        assert!(
            told.contains("highwater") || told.contains("counted 4"),
            "{told}"
        );
    }
}

#[test]
fn nothing_beside_arenas_is_taken_for_one() {
    for before in [true, false] {
        let told = told::<Tiny>(|arenas, mut raw| {
            let bases = arenas.entries().iter().map(|arena| arena.address.addr());
            let bases = bases.filter(|&base| base != 0);
            let beside = match before {
                true => bases.min().map(|base| base - Tiny::ARENA_SIZE),
                false => bases.max().map(|base| base + Tiny::ARENA_SIZE),
            };
            assert_eq!(arenas.map.insert(beside.unwrap(), &mut raw), Ok(()));
        });
        assert!(
            told.contains("taken for one in an arena") && !told.contains("not taken"),
            "{told}"
        );
    }
}
