//! A part and how it is played: steps on numbered slots, the same for an interpreter and for the reference.
//!
//! Compiled twice, as [`stage`](super::stage) is.

use super::stage::{Stage, kind};
use core::ptr;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Step {
    /// What to do: one of the numbers below.
    pub call: u32,
    /// The slot, or [`NO_SLOT`].
    pub slot: u32,
    /// The first argument.
    pub a: u64,
    /// The second argument.
    pub b: u64,
}

/// The slot of a step that names none.
pub const NO_SLOT: u32 = u32::MAX;
/// `malloc(a)` into the slot.
pub const MALLOC: u32 = 0;
/// `calloc(a, b)` into the slot.
pub const CALLOC: u32 = 1;
/// `realloc(slot, a)`; what the slot holds stays if the answer is null.
pub const REALLOC: u32 = 2;
/// `free(slot)`, of null if there is no slot.
pub const FREE: u32 = 3;
/// The `a`th raw request from now on fails.
pub const FAIL_RAW: u32 = 4;
/// The `a`th arena request from now on fails.
pub const FAIL_ARENA: u32 = 5;
/// Arenas are displaced by `a` bytes from now on.
pub const SHIFT: u32 = 6;

/// Slots there are.
pub const SLOTS: usize = 1 << 17;

/// Who plays: an allocator whose sources are the stage's.
///
/// # Safety
///
/// The methods are `PyObject_Malloc` and its siblings; pointers passed are null or what they returned, and live.
#[allow(
    clippy::missing_safety_doc,
    reason = "one contract for all, stated on the trait"
)]
pub trait Player {
    /// `malloc`
    unsafe fn malloc(&mut self, size: usize) -> *mut u8;
    /// `calloc`
    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8;
    /// `realloc`
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8;
    /// `free`
    unsafe fn free(&mut self, block: *mut u8);
}

/// Plays the steps. What comes of each ends with a word of [`kind::RESULT`] in the record.
///
/// # Safety
///
/// `stage` is the player's, and nobody else uses it meanwhile. `slots` hold null or live blocks of the player.
pub unsafe fn play(
    player: &mut impl Player,
    stage: *mut Stage,
    steps: &[Step],
    slots: &mut [*mut u8; SLOTS],
) {
    for step in steps {
        let (a, b) = (step.a as usize, step.b as usize);
        let mut none = ptr::null_mut();
        let slot = slots.get_mut(step.slot as usize).unwrap_or(&mut none);
        let block = *slot;
        // SAFETY: the caller's promise; a slot whose block is freed is emptied. Between the calls, which use the stage
        // themselves, it is ours.
        let result = unsafe {
            match step.call {
                MALLOC => {
                    *slot = player.malloc(a);
                    *slot
                }
                CALLOC => {
                    *slot = player.calloc(a, b);
                    *slot
                }
                REALLOC => {
                    let moved = player.realloc(block, a);
                    if !moved.is_null() {
                        *slot = moved;
                    }
                    moved
                }
                FREE => {
                    *slot = ptr::null_mut();
                    player.free(block);
                    ptr::null_mut()
                }
                FAIL_RAW => {
                    (*stage).fail_raw = step.a;
                    ptr::null_mut()
                }
                FAIL_ARENA => {
                    (*stage).fail_arena = step.a;
                    ptr::null_mut()
                }
                _ => {
                    (*stage).shift = a;
                    ptr::null_mut()
                }
            }
        };
        // SAFETY: as above.
        unsafe { (*stage).note_address(kind::RESULT, result.addr()) };
    }
}
