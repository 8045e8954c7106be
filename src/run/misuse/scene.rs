//! One misuse in one place: what the worker's child does.

use super::ground::{FOREIGN, Ground};
use crate::program::Call;
use crate::shadow::{Ledger, Moment};
use crate::subject::Subject;
use serde::{Deserialize, Serialize};

macro_rules! misuses {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $title:literal;)*) => {
        /// A way to misuse an allocator that no document defines anything of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Misuse { $($(#[$doc])* $name,)* }

        impl Misuse {
            /// Every misuse.
            pub const ALL: &'static [Misuse] = &[$(Misuse::$name,)*];

            /// Its name in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Misuse::$name => $id,)* }
            }

            /// What is done, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Misuse::$name => $title,)* }
            }
        }
    };
}

misuses! {
    /// `free(p); free(p)`, or with another free between them.
    DoubleFree = "double-free", "a block is freed twice";
    /// Two threads free one block, one after the other.
    DoubleFreeThreads = "double-free-threads", "a block is freed by one thread and again by another";
    /// `free(p); realloc(p, n)`.
    ReallocAfterFree = "realloc-after-free", "a freed block is resized";
    /// `free` of an address on the stack.
    FreeStack = "free-stack", "an address on the stack is freed";
    /// `free` of an address in the program's data.
    FreeStatic = "free-static", "an address in the program's data is freed";
    /// `free` of an address that the program mapped.
    FreeMapped = "free-mapped", "an address that the program mapped is freed";
    /// `free(p + 16)`.
    FreeInterior = "free-interior", "an address inside a block is freed";
    /// One byte is stored just past the block.
    OverflowByOne = "overflow-1", "a byte is stored just past a block";
    /// 16 bytes are stored just past the block.
    OverflowBySixteen = "overflow-16", "16 bytes are stored just past a block";
    /// 16 bytes are stored just before the block.
    Underflow = "underflow", "16 bytes are stored just before a block";
    /// Bytes are stored in a freed block.
    WriteAfterFree = "write-after-free", "bytes are stored in a freed block";
}

impl Misuse {
    /// The call without which it cannot be done, beyond `malloc` and `free`.
    pub const fn needs(self) -> Option<Call> {
        match self {
            Misuse::ReallocAfterFree => Some(Call::Realloc),
            _ => None,
        }
    }

    /// What is done before it.
    pub const fn lead(self, neighbours: Neighbours) -> Lead {
        match self {
            // Who looks only at the block freed last sees another one.
            Misuse::DoubleFree if matches!(neighbours, Neighbours::Freed) => Lead::FreeTwo,
            Misuse::DoubleFree | Misuse::ReallocAfterFree | Misuse::WriteAfterFree => Lead::Free,
            Misuse::DoubleFreeThreads => Lead::FreeInThread,
            _ => Lead::Nothing,
        }
    }
}

/// What a program does before it misuses the allocator, which is all defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lead {
    /// Nothing.
    Nothing,
    /// It frees the block.
    Free,
    /// It frees the block and another.
    FreeTwo,
    /// It frees the block in another thread.
    FreeInThread,
}

/// What lies beside the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Neighbours {
    /// Nothing yet.
    None,
    /// Live blocks of its size.
    Live,
    /// Blocks of its size that were freed.
    Freed,
}

/// A misuse and its circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// What is done; nothing, to see whether the rest goes well.
    pub misuse: Option<Misuse>,
    /// What is done before.
    pub lead: Lead,
    /// Bytes of the block it is done to.
    pub size: usize,
    /// What lies beside the block.
    pub neighbours: Neighbours,
    /// Whether blocks of the size were made and freed before.
    pub warm: bool,
}

/// How far a scene is, as the position in the ledger says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everything is defined so far.
    Before,
    /// The misuse itself.
    Misuse,
    /// The heap is used as if nothing had happened.
    After,
}

impl Stage {
    /// The stage of this position.
    pub fn at(position: usize) -> Stage {
        match position {
            0 => Stage::Before,
            1 => Stage::Misuse,
            _ => Stage::After,
        }
    }
}

/// What the heap was like afterwards, if the process lived to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aftermath {
    /// Whether two live blocks overlapped.
    pub overlap: bool,
    /// Whether a live block did not hold what was stored.
    pub lost: bool,
}

/// Bytes stored where none belong.
const STORED: [u8; 16] = [0x41; 16];
/// The block freed twice, or stored in when it is freed, in bytes.
const STORED_IN: usize = 64;

/// Plays a scene. `None` if there was no block to play it with.
pub fn play<S: Subject>(subject: &mut S, scene: &Scene, ledger: &Ledger) -> Option<Aftermath> {
    let enter = |stage: Stage, moment| {
        ledger.begin(stage as usize);
        ledger.enter(moment);
    };
    enter(Stage::Before, Moment::Call);
    let mut ground = Ground::prepare(subject, scene)?;
    let end = ground.usable(ground.victim(), scene.size);
    lead(&mut ground, scene.lead);
    enter(Stage::Misuse, Moment::Call);
    if let Some(what) = scene.misuse {
        misuse(&mut ground, what, scene.size, end);
    }
    enter(Stage::After, Moment::Call);
    let aftermath = ground.walk(scene.size);
    ledger.enter(Moment::Idle);
    Some(aftermath)
}

fn lead<S: Subject>(ground: &mut Ground<'_, S>, lead: Lead) {
    match lead {
        Lead::Nothing => {}
        Lead::Free => ground.free_victim(),
        Lead::FreeTwo => {
            ground.free_victim();
            ground.free_other();
        }
        Lead::FreeInThread => {
            ground.free_in_thread(ground.victim());
            ground.forget_victim();
        }
    }
}

/// Misuses the block of `size` bytes, of which `usable` are its own.
fn misuse<S: Subject>(ground: &mut Ground<'_, S>, misuse: Misuse, size: usize, usable: usize) {
    let block = ground.victim();
    let end = block.wrapping_add(usable);
    match misuse {
        Misuse::DoubleFree => ground.free(block),
        Misuse::DoubleFreeThreads => ground.free_in_thread(block),
        Misuse::ReallocAfterFree => ground.realloc(block, 2 * size),
        Misuse::FreeStack => {
            let mut room = [0u128; FOREIGN / 16];
            ground.free_foreign(room.as_mut_ptr().cast());
            std::hint::black_box(&mut room);
        }
        Misuse::FreeStatic => ground.free_static(),
        Misuse::FreeMapped => ground.free_mapped(),
        Misuse::FreeInterior => ground.free(block.wrapping_add(16)),
        Misuse::OverflowByOne => store(end, &STORED[..1]),
        Misuse::OverflowBySixteen => store(end, &STORED),
        Misuse::Underflow => store(block.wrapping_sub(STORED.len()), &STORED),
        Misuse::WriteAfterFree => {
            for at in (0..size.min(STORED_IN)).step_by(STORED.len()) {
                store(
                    block.wrapping_add(at),
                    &STORED[..STORED.len().min(size - at)],
                );
            }
        }
    }
}

fn store(place: *mut u8, bytes: &[u8]) {
    for (offset, &byte) in bytes.iter().enumerate() {
        // SAFETY: none: the place is nobody's to store in, and what becomes of it is what is to be seen. The process
        // exists for this alone.
        unsafe { place.wrapping_add(offset).write_volatile(byte) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::faulty::{Faulty, Variant};

    fn played(misuse: Misuse, neighbours: Neighbours, size: usize) -> Option<Aftermath> {
        let scene = Scene {
            misuse: Some(misuse),
            lead: misuse.lead(neighbours),
            size,
            neighbours,
            warm: true,
        };
        play(&mut Faulty::sound(Variant::Plain), &scene, &Ledger::new())
    }

    /// The allocator keeps its books beside the blocks, and knows which blocks are live.
    #[test]
    fn who_knows_its_blocks_is_not_damaged() {
        for misuse in [
            Misuse::DoubleFree,
            Misuse::DoubleFreeThreads,
            Misuse::ReallocAfterFree,
            Misuse::FreeStack,
            Misuse::FreeStatic,
            Misuse::FreeMapped,
            Misuse::WriteAfterFree,
        ] {
            for neighbours in [Neighbours::None, Neighbours::Live, Neighbours::Freed] {
                for size in [32, 1000, 20_000] {
                    let aftermath = played(misuse, neighbours, size);
                    assert_eq!(aftermath, Some(Aftermath::default()), "{misuse:?} {size}");
                }
            }
        }
    }

    /// It knows its small blocks by any address in them.
    #[test]
    fn who_frees_a_live_block_hands_it_out_again() {
        let overlap =
            |size| played(Misuse::FreeInterior, Neighbours::Live, size).map(|after| after.overlap);
        assert_eq!(overlap(1000), Some(true));
    }

    #[test]
    fn what_is_stored_in_a_neighbour_is_missed_there() {
        for misuse in [
            Misuse::OverflowByOne,
            Misuse::OverflowBySixteen,
            Misuse::Underflow,
        ] {
            let lost = played(misuse, Neighbours::Live, 1024).map(|aftermath| aftermath.lost);
            assert_eq!(lost, Some(true), "{misuse:?}");
        }
    }
}
