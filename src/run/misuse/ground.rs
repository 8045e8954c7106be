//! The blocks of a scene: what lives before the misuse, and the use of the heap after it that shows what it did.

use super::scene::{Aftermath, Neighbours, Scene};
use crate::program::Call;
use crate::subject::Subject;
use std::ptr;

/// Bytes of what is freed though it never came from the allocator.
pub const FOREIGN: usize = 16 << 10;
/// Neighbours on either side, and blocks made beforehand so that caches are warm.
const BESIDE: usize = 8;
const WARM: usize = 64;
/// Blocks of each size that are made afterwards.
const AFTER: usize = 48;
/// Bytes that all blocks made at one time may have together: large blocks are fewer.
const TOGETHER: usize = 2 << 20;
/// Bytes of each end of a block that are looked at one by one; of what lies between, one in so many.
const EDGE: usize = 64;
const SPARSE: usize = 61;

/// Data of the program, which is freed. Nobody else uses it.
static mut DATA: [u128; FOREIGN / 16] = [0; FOREIGN / 16];

/// A block that is live, or memory that the program has from elsewhere.
struct Held {
    block: *mut u8,
    size: usize,
    /// What it holds in every byte, if that is known.
    byte: Option<u8>,
}

impl Held {
    fn overlaps(&self, other: &Held) -> bool {
        let end = |held: &Held| held.block.addr() + held.size.max(1);
        self.block.addr() < end(other) && other.block.addr() < end(self)
    }

    /// Whether it holds what was stored.
    fn is_whole(&self) -> bool {
        // SAFETY: memory of this program, by the word of whoever gave it; if it is not, the process dies of it, which
        // is as telling.
        let byte_at = |at| unsafe { self.block.wrapping_add(at).read_volatile() };
        let ends = (0..self.size.min(EDGE)).chain(self.size.saturating_sub(EDGE)..self.size);
        let mut places = ends.chain((0..self.size).step_by(SPARSE));
        self.byte
            .is_none_or(|byte| places.all(|at| byte_at(at) == byte))
    }
}

/// The heap of one scene.
pub struct Ground<'s, S> {
    subject: &'s mut S,
    live: Vec<Held>,
    /// Neighbours that may be freed at will, by address.
    others: Vec<*mut u8>,
    victim: *mut u8,
    made: u8,
    overlap: bool,
}

impl<'s, S: Subject> Ground<'s, S> {
    /// Makes the blocks that the scene begins with. `None` if there is no memory for that to be misused.
    pub fn prepare(subject: &'s mut S, scene: &Scene) -> Option<Ground<'s, S>> {
        let mut ground = Ground {
            subject,
            live: Vec::with_capacity(1024),
            others: Vec::with_capacity(64),
            victim: ptr::null_mut(),
            made: 0,
            overlap: false,
        };
        let size = scene.size;
        if scene.warm {
            let warm = ground.make(number(WARM, size), size);
            warm.into_iter().for_each(|block| ground.free_live(block));
        }
        let beside = match scene.neighbours {
            Neighbours::None => 0,
            Neighbours::Live | Neighbours::Freed => number(BESIDE, size),
        };
        let before = ground.make(beside, size);
        ground.victim = ground.make(1, size).pop()?;
        let after = ground.make(beside, size);
        if scene.neighbours == Neighbours::Freed {
            for block in [before.last(), after.first()].into_iter().flatten() {
                ground.free_live(*block);
            }
        }
        ground.others.extend(before.into_iter().chain(after));
        let live: Vec<*mut u8> = ground.live.iter().map(|held| held.block).collect();
        ground.others.retain(|block| live.contains(block));
        Some(ground)
    }

    /// The block that the misuse is about.
    pub fn victim(&self) -> *mut u8 {
        self.victim
    }

    /// The bytes from a block on that are its own: what lies beyond is another's.
    pub fn usable(&mut self, block: *mut u8, size: usize) -> usize {
        if !self.subject.provides(Call::UsableSize) {
            return size;
        }
        // SAFETY: the block is live.
        unsafe { self.subject.malloc_usable_size(block) }.max(size)
    }

    /// Blocks of one size, filled. One that overlaps another is noted, and kept out of the books.
    fn make(&mut self, count: usize, size: usize) -> Vec<*mut u8> {
        let mut blocks = Vec::with_capacity(count);
        for _ in 0..count {
            // SAFETY: `malloc` takes any size.
            let block = unsafe { self.subject.malloc(size) };
            if self.hold(block, size) {
                blocks.push(block);
            }
        }
        blocks
    }

    /// Takes what an allocator returned for a live block. Whether it is one.
    fn hold(&mut self, block: *mut u8, size: usize) -> bool {
        if block.is_null() {
            return false;
        }
        self.made = self.made % 250 + 1;
        let held = Held {
            block,
            size,
            byte: Some(self.made),
        };
        if self.live.iter().any(|other| other.overlaps(&held)) {
            self.overlap = true;
            return false;
        }
        // SAFETY: as in `Held::is_whole`.
        unsafe { ptr::write_bytes(block, self.made, size) };
        self.live.push(held);
        true
    }

    /// Calls `free`, whatever the address.
    pub fn free(&mut self, block: *mut u8) {
        // SAFETY: none where the block is not live, which is what is to be seen; the process exists for this alone.
        unsafe { self.subject.free(block) };
    }

    fn free_live(&mut self, block: *mut u8) {
        self.live.retain(|held| held.block != block);
        self.free(block);
    }

    /// Frees the block that the misuse is about, as is its right once.
    pub fn free_victim(&mut self) {
        self.free_live(self.victim);
    }

    /// Says that the block has been freed.
    pub fn forget_victim(&mut self) {
        self.live.retain(|held| held.block != self.victim);
    }

    /// Frees a block that may be freed.
    pub fn free_other(&mut self) {
        if let Some(block) = self.others.pop() {
            self.free_live(block);
        }
    }

    /// Calls `free` in a new thread, and waits for its end.
    pub fn free_in_thread(&mut self, block: *mut u8) {
        struct Carried<'a, S>(&'a mut S, *mut u8);
        // SAFETY: whoever sends it waits for the thread, and touches neither meanwhile.
        unsafe impl<S> Send for Carried<'_, S> {}
        let carried = Carried(&mut *self.subject, block);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let carried = carried;
                let Carried(subject, block) = carried;
                // SAFETY: as in `free`.
                unsafe { subject.free(block) };
            });
        });
    }

    /// Calls `realloc` of a block that is gone; what it returns is live from here on.
    pub fn realloc(&mut self, block: *mut u8, size: usize) {
        // SAFETY: as in `free`.
        let block = unsafe { self.subject.realloc(block, size) };
        self.hold(block, size);
    }

    /// Calls `free` of an address inside memory of the program's own, which stays the program's.
    pub fn free_foreign(&mut self, region: *mut u8) {
        self.live.push(Held {
            block: region,
            size: FOREIGN,
            byte: None,
        });
        self.free(region.wrapping_add(FOREIGN / 2));
    }

    /// As [`free_foreign`](Ground::free_foreign), of the program's data.
    pub fn free_static(&mut self) {
        self.free_foreign((&raw mut DATA).cast());
    }

    /// As [`free_foreign`](Ground::free_foreign), of a new mapping.
    pub fn free_mapped(&mut self) {
        let (access, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping at an address of the kernel's choice.
        let region = unsafe { libc::mmap(ptr::null_mut(), FOREIGN, access, flags, -1, 0) };
        if region != libc::MAP_FAILED {
            self.free_foreign(region.cast());
        }
    }

    /// Uses the heap as one does, and looks at every block.
    pub fn walk(mut self, size: usize) -> Aftermath {
        let mut lost = self.has_lost();
        for round in 0..2 {
            for size in [size, size / 2 + 1, 2 * size] {
                let made = self.make(number(AFTER, size), size);
                lost |= self.has_lost();
                for block in made.into_iter().skip(round).step_by(2) {
                    self.free_live(block);
                }
            }
        }
        lost |= self.has_lost();
        // What is broken may show only when the blocks beside it are freed.
        let blocks: Vec<*mut u8> = self
            .live
            .iter()
            .filter(|held| held.byte.is_some())
            .map(|held| held.block)
            .collect();
        blocks.into_iter().for_each(|block| self.free_live(block));
        self.make(number(AFTER, size), size);
        lost |= self.has_lost();
        Aftermath {
            overlap: self.overlap,
            lost,
        }
    }

    fn has_lost(&self) -> bool {
        !self.live.iter().all(Held::is_whole)
    }
}

/// How many blocks of a size are made where small ones are so many.
fn number(most: usize, size: usize) -> usize {
    most.min(TOGETHER / size.max(1)).max(2)
}
