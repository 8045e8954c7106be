//! The same script as `lockstep.c` runs on real interpreters, where CPython 3.11.7, 3.12.1 and 3.13.0 all came to the
//! figures below: every address, and every arena given back, in order.

use super::world::{Asked, Watch};
use crate::pymalloc::*;

const TURNS: usize = 200_000;
const BLOCKS: usize = 8155;
const ARENAS: usize = 12;
const HASH: u64 = 0x107b_7c27_3056_64d5;

/// A hash of everything noted (FNV-1a).
struct Notes(u64);

impl Notes {
    fn note(&mut self, value: u64) {
        for byte in value.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[test]
fn a_long_script_goes_as_in_cpython() {
    let mut watch = Watch::<P16kR64>::with_places(64);
    let mut notes = Notes(0xcbf2_9ce4_8422_2325);
    let mut held: Vec<*mut u8> = Vec::new();
    let mut state = 7u64;
    let mut any = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for turn in 0..TURNS {
        let growing = turn / 30_000 % 2 == 0;
        let kind = any(10);
        let size = if any(4) == 0 { any(700) } else { 1 + any(512) };
        let chosen = if held.is_empty() { 0 } else { any(held.len()) };
        let mut made = None;
        if kind < 2 && !held.is_empty() {
            held[chosen] = watch.realloc(held[chosen], size);
            made = Some(held[chosen]);
        } else if kind < 2 || (kind < 8) == growing {
            let block = watch.heap.malloc(size);
            held.push(block);
            made = Some(block);
        } else if !held.is_empty() {
            watch.free(held.swap_remove(chosen));
        }
        for asked in watch.asked() {
            if let Asked::ArenaFree(place) = asked {
                notes.note(1 << 63 | place as u64);
            }
        }
        if let Some(block) = made {
            let place = watch.place(block.addr());
            notes.note(place.map_or(u64::MAX, |(place, offset)| {
                (place * P16kR64::ARENA_SIZE + offset) as u64
            }));
        }
    }
    let total = watch.heap.statistics().total;
    assert_eq!((held.len(), total, notes.0), (BLOCKS, ARENAS, HASH));
    watch.check();
}
