//! What is out of order in a pool is told, whatever it is.

use super::world::Watch;
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
