//! Tests of the room through its public entry points, over sources that watch.

mod debug;
mod domains;
mod editions;
mod failure;
mod golden;
mod invariants;
mod model;
mod random;
mod straddling;
mod usage;
mod world;

use super::{Layout, OwnNodes, Radix};

/// Arenas of four small pools, so that few blocks make many arenas, and an address map whose leaves cover eight of
/// them, so that arenas often need two.
pub(super) struct Tiny;

impl Layout for Tiny {
    const ALIGNMENT: usize = 16;
    const THRESHOLD: usize = 128;
    const POOL_SIZE: usize = 1 << 10;
    const ARENA_SIZE: usize = 1 << 12;
    const KEEPS_LAST: bool = true;
    type Map = Radix<12, { 1 << 12 }, { 1 << 20 }, { 1 << 3 }>;
}

/// As small, and like the old ones otherwise: classes 8 apart, no arena is kept, the map asks nobody for nodes.
pub(super) struct TinyOld;

impl Layout for TinyOld {
    const ALIGNMENT: usize = 8;
    const THRESHOLD: usize = 128;
    const POOL_SIZE: usize = 1 << 10;
    const ARENA_SIZE: usize = 1 << 12;
    const KEEPS_LAST: bool = false;
    type Map = OwnNodes<Radix<12, { 1 << 12 }, { 1 << 20 }, { 1 << 20 }>>;
}
