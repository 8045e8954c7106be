//! An allocator on a small piece of memory that keeps every rule until it is told to break one.

use allocspec::program::Call;
use allocspec::subject::Subject;
use std::collections::BTreeMap;
use std::ptr;

/// Bytes of memory.
const ROOM: usize = 1 << 18;
/// And behind it, for blocks that begin where they must not.
const BEHIND: usize = 8 << 10;
/// Every block begins at a multiple of this.
const STEP: usize = 16;

/// A rule to break once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Returns an address inside another live block.
    Overlap,
    /// Returns an address 8 bytes past the right one.
    Misaligned,
    /// Leaves a byte of a calloc dirty.
    Dirty,
    /// Changes a byte that a realloc had to keep.
    Lost,
    /// Changes a byte of a block that no call was about.
    Trampled,
    /// Fails without saying why in `errno`.
    Silent,
    /// Sets `errno` to 0.
    Zeroed,
    /// Frees and changes `errno`.
    Told,
    /// Says that a block has a byte less than was asked for.
    Short,
}

impl Violation {
    /// Every violation.
    pub const ALL: [Violation; 9] = [
        Violation::Overlap,
        Violation::Misaligned,
        Violation::Dirty,
        Violation::Lost,
        Violation::Trampled,
        Violation::Silent,
        Violation::Zeroed,
        Violation::Told,
        Violation::Short,
    ];
}

/// The allocator.
pub struct Heap {
    room: Vec<u128>,
    /// Live blocks: where they begin in the room, and their sizes.
    live: BTreeMap<usize, usize>,
    /// Where to look for a place first: moved on after every call, so that places differ in their neighbours.
    hand: usize,
    /// The violation, and after how many calls the first chance of it is taken.
    plan: Option<(Violation, u64)>,
    calls: u64,
}

impl Heap {
    /// An empty heap that breaks a rule at the first chance after so many calls, or none ever.
    pub fn new(plan: Option<(Violation, u64)>) -> Heap {
        Heap {
            room: vec![0xa5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5; (ROOM + BEHIND) / 16],
            live: BTreeMap::new(),
            hand: 0,
            plan,
            calls: 0,
        }
    }

    fn call(&mut self) {
        self.calls += 1;
        self.hand = (self.hand + 7 * STEP) % (ROOM / 2);
        if self.strikes(Violation::Zeroed) {
            set_errno(0);
        }
        let victim = self.live.iter().nth(self.calls as usize % 5);
        if let Some((&at, _)) = victim.filter(|(_, size)| **size > 0)
            && self.strikes(Violation::Trampled)
        {
            self.change(at);
        }
    }

    /// Whether this is the chance of the violation; then it is taken.
    fn strikes(&mut self, violation: Violation) -> bool {
        let strikes = self
            .plan
            .is_some_and(|(planned, after)| planned == violation && self.calls > after);
        if strikes {
            self.plan = None;
        }
        strikes
    }

    fn pointer(&mut self, at: usize) -> *mut u8 {
        self.room.as_mut_ptr().cast::<u8>().wrapping_add(at)
    }

    fn place_of(&self, block: *mut u8) -> usize {
        block.addr() - self.room.as_ptr().addr()
    }

    fn change(&mut self, at: usize) {
        let byte = self.pointer(at);
        // SAFETY: inside the room.
        unsafe { *byte ^= 0x10 };
    }

    /// The first place from the hand on at which so many bytes are free, at a multiple of an alignment.
    fn find(&self, size: usize, alignment: usize) -> Option<usize> {
        let base = self.room.as_ptr().addr();
        let extent = size.max(1);
        let mut at = self.hand;
        loop {
            at = (base + at).checked_next_multiple_of(alignment)? - base;
            if at.checked_add(extent)? > ROOM {
                return None;
            }
            let before = self.live.range(..at + extent).next_back();
            match before {
                Some((&other, &size)) if other + size.max(1) > at => {
                    at = (other + size.max(1)).next_multiple_of(STEP);
                }
                _ => return Some(at),
            }
        }
    }

    /// A block beside `resized`, which is about to go.
    fn allocate(&mut self, size: usize, alignment: usize, resized: Option<usize>) -> *mut u8 {
        // What is not all inside the room is another violation, and more than there is to write to.
        let fits = |at: usize| at + 16 <= ROOM && size <= ROOM - at - 16;
        let large = |(at, live): &(&usize, &usize)| **live > 32 && Some(**at) != resized;
        if size > 0
            && let Some((&at, _)) = self.live.iter().find(large)
            && fits(at)
            && self.strikes(Violation::Overlap)
        {
            return self.pointer(at + 16);
        }
        let Some(at) = self.find(size, alignment.max(STEP)) else {
            if !self.strikes(Violation::Silent) {
                set_errno(libc::ENOMEM);
            }
            return ptr::null_mut();
        };
        if size >= 16 && self.strikes(Violation::Misaligned) {
            return self.pointer(at + 8);
        }
        self.live.insert(at, size);
        self.pointer(at)
    }
}

impl Subject for Heap {
    fn provides(&self, call: Call) -> bool {
        VOCABULARY.contains(&call)
    }

    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        self.call();
        self.allocate(size, 1, None)
    }

    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.call();
        let total = count.saturating_mul(size);
        let block = self.allocate(total, 1, None);
        if !block.is_null() {
            // SAFETY: the block has so many bytes.
            unsafe { block.write_bytes(0, total) };
            if total > 0 && self.strikes(Violation::Dirty) {
                self.change(self.place_of(block) + total / 2);
            }
        }
        block
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.call();
        if block.is_null() {
            return self.allocate(size, 1, None);
        }
        let at = self.place_of(block);
        let moved = self.allocate(size, 1, Some(at));
        let kept = self.live.get(&at).map_or(0, |&old| old.min(size));
        if moved.is_null() {
            return moved;
        }
        // SAFETY: both blocks are live here, and apart unless a rule is broken.
        unsafe { ptr::copy(block, moved, kept) };
        if kept > 0 && self.strikes(Violation::Lost) {
            self.change(self.place_of(moved) + kept - 1);
        }
        self.live.remove(&at);
        moved
    }

    unsafe fn free(&mut self, block: *mut u8) {
        self.call();
        if !block.is_null() {
            self.live.remove(&self.place_of(block));
            if self.strikes(Violation::Told) {
                set_errno(libc::EINVAL);
            }
        }
    }

    unsafe fn aligned_alloc(&mut self, alignment: usize, size: usize) -> *mut u8 {
        self.call();
        if alignment.is_power_of_two() {
            return self.allocate(size, alignment, None);
        }
        set_errno(libc::EINVAL);
        ptr::null_mut()
    }

    unsafe fn malloc_usable_size(&mut self, block: *mut u8) -> usize {
        self.call();
        if block.is_null() {
            return 0;
        }
        let size = self.live[&self.place_of(block)];
        size - usize::from(size > 0 && self.strikes(Violation::Short))
    }
}

/// The calls that the heap has.
pub const VOCABULARY: [Call; 7] = [
    Call::Malloc,
    Call::Calloc,
    Call::Realloc,
    Call::Free,
    Call::AlignedAlloc,
    Call::UsableSize,
    Call::Stretch,
];

fn set_errno(value: i32) {
    // SAFETY: always valid for the thread that asks.
    unsafe { *libc::__errno_location() = value };
}
