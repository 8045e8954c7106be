//! The stage on which an interpreter's allocator and the reference play the same part: where their memory lies, which
//! of their requests fail, and a record of everything they ask for and give.
//!
//! Both stages are this code, so that equal requests get equal addresses, and all that is left to compare is the record.
//! It is compiled twice: as a part of this crate, and without the standard library as a part of the agent.
//!
//! Memory lies at fixed offsets of a region that nothing else uses. Arenas are placed side by side as close as they
//! come, across a boundary of the address map's nodes of every layout; small raw blocks are placed right before and right
//! behind arenas where there is room, so that a wrong look at an address is found out.

use core::ffi::{c_int, c_void};
use core::ptr;

/// The region of an interpreter. Nothing is near it; nodes of the address map that it needs do not exist yet.
pub const HOME: usize = 0x2040_0000_0000 - BEFORE_BOUNDARY;
/// The distance of other regions: every boundary lies in them as it does in the first.
pub const NEXT_HOME: usize = 1 << 40;
/// The bytes of a region.
pub const REGION: usize = ARENA_AREA + RAW_AREA;
/// Bytes of the region that lie before a boundary of 256 GiB.
const BEFORE_BOUNDARY: usize = 2 << 20;
/// The part of it in which arenas lie, from its start.
pub const ARENA_AREA: usize = 4 << 30;
const RAW_AREA: usize = 16 << 30;
/// Places for arenas.
const PLACES: usize = 2048;
/// The most that the raw domain gives.
const RAW_LIMIT: usize = 16 << 20;
/// Bytes in front of a raw block: its size, and the power of two that it takes.
const HEADER: usize = 16;
/// The bytes that a raw block beside an arena may have.
const CELL: usize = 256;
/// Raw blocks beside arenas.
const CELLS: usize = 32;

/// What a word of the record tells, in its upper eight bits.
pub mod kind {
    /// `raw.malloc`, with the size.
    pub const MALLOC: u8 = 1;
    /// `raw.calloc`, with the count; the size follows.
    pub const CALLOC: u8 = 2;
    /// `raw.realloc`, with the block; the size follows.
    pub const REALLOC: u8 = 3;
    /// The size that belongs to the word before.
    pub const SIZE: u8 = 4;
    /// `raw.free`, with the block.
    pub const FREE: u8 = 5;
    /// An arena is asked for, with its size.
    pub const ARENA: u8 = 6;
    /// An arena is given back, with its address; its size follows.
    pub const ARENA_FREE: u8 = 7;
    /// What the request before got.
    pub const GOT: u8 = 8;
    /// What the operation returned: its last word.
    pub const RESULT: u8 = 9;
}

/// The part of a word that is its value.
pub const VALUE: u64 = (1 << 56) - 1;
/// The value of an address that is not in the region: what the allocator had before.
pub const FOREIGN: u64 = VALUE;
/// Words that one operation may add to the record.
pub const WORDS_EACH: usize = 32;

unsafe extern "C" {
    fn munmap(at: *mut c_void, size: usize) -> c_int;
    fn mmap(
        at: *mut c_void,
        size: usize,
        access: c_int,
        kind: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
}

/// Maps private memory that takes none before it is written; at this address or nowhere, or anywhere for 0.
pub fn map(at: usize, size: usize) -> *mut u8 {
    const READ_WRITE: c_int = 1 | 2;
    const PRIVATE_ANONYMOUS: c_int = 0x2 | 0x20;
    const NORESERVE: c_int = 0x4000;
    const FIXED_NOREPLACE: c_int = 0x10_0000;
    let kind = PRIVATE_ANONYMOUS | NORESERVE | if at == 0 { 0 } else { FIXED_NOREPLACE };
    let wanted = ptr::without_provenance_mut(at);
    // SAFETY: nothing that is mapped is touched; kernels that do not know the flag take the address for a hint.
    let base = unsafe { mmap(wanted, size, READ_WRITE, kind, -1, 0) };
    let failed = base.addr() as isize == -1 || (at != 0 && base.addr() != at);
    if failed { ptr::null_mut() } else { base.cast() }
}

/// A place for an arena, as long as one. What lies in it may begin before it and end behind it.
#[derive(Clone, Copy)]
struct Place {
    /// Bytes from its start that are taken.
    head: usize,
    /// Where in it what is taken up to its end starts.
    tail: usize,
}

/// A raw block beside an arena.
#[derive(Clone, Copy)]
struct Cell {
    address: usize,
    size: usize,
    place: usize,
    behind: bool,
}

/// The stage. It is large and lives in a mapping of its own.
pub struct Stage {
    base: usize,
    /// The raw request to fail, counted from now on; 0 for none.
    pub fail_raw: u64,
    /// The arena request to fail.
    pub fail_arena: u64,
    /// By how many bytes arenas are displaced.
    pub shift: usize,
    /// Requests that were failed on purpose.
    pub failed: u64,
    arena_size: usize,
    places: [Place; PLACES],
    /// Where in its place each arena starts, or `usize::MAX` if there is none.
    arenas: [usize; PLACES],
    /// The place of the arena obtained last.
    latest: usize,
    cells: [Option<Cell>; CELLS],
    /// Raw blocks that were given back, by the power of two that they take, singly linked.
    free: [usize; 32],
    raw_end: usize,
    record: *mut u64,
    room: usize,
    words: usize,
}

impl Stage {
    /// A stage on the region at `base`, for arenas of so many bytes; null if the memory cannot be had.
    pub fn set_up(base: usize, arena_size: usize) -> *mut Stage {
        if map(base, REGION).is_null() {
            return ptr::null_mut();
        }
        let stage: *mut Stage = map(0, size_of::<Stage>()).cast();
        if stage.is_null() {
            return stage;
        }
        let place = Place {
            head: 0,
            tail: arena_size,
        };
        // SAFETY: the mapping is new and large enough.
        unsafe {
            stage.write(Stage {
                base,
                fail_raw: 0,
                fail_arena: 0,
                shift: 0,
                failed: 0,
                arena_size,
                places: [place; PLACES],
                arenas: [usize::MAX; PLACES],
                latest: usize::MAX,
                cells: [None; CELLS],
                free: [0; 32],
                raw_end: base + ARENA_AREA,
                record: ptr::null_mut(),
                room: 0,
                words: 0,
            });
        }
        stage
    }

    /// Gives back the memory of a stage, with its region.
    ///
    /// # Safety
    ///
    /// `stage` came of [`set_up`](Stage::set_up), and nothing in its region is used any more.
    pub unsafe fn tear_down(stage: *mut Stage) {
        // SAFETY: the caller's promise.
        unsafe {
            munmap(pointer((*stage).base).cast(), REGION);
            munmap(stage.cast(), size_of::<Stage>());
        }
    }

    /// Where the region is.
    pub fn base(&self) -> usize {
        self.base
    }

    /// Writes the record from here on into `room` words at `record`, which stay there as long as the stage is used.
    pub fn record_into(&mut self, record: *mut u64, room: usize) {
        (self.record, self.room, self.words) = (record, room, 0);
    }

    /// The words recorded.
    pub fn recorded(&self) -> usize {
        self.words
    }

    fn note(&mut self, kind: u8, value: u64) {
        if self.words < self.room {
            // SAFETY: there is room for it.
            unsafe {
                self.record
                    .add(self.words)
                    .write(u64::from(kind) << 56 | value)
            };
            self.words += 1;
        }
    }

    /// Notes a size. Of one that nobody has, only the lower bits.
    fn note_size(&mut self, kind: u8, size: usize) {
        let size = size as u64;
        let value = if size >> 55 == 0 {
            size
        } else {
            1 << 55 | size & (VALUE >> 1)
        };
        self.note(kind, value);
    }

    /// Notes an address: where in the region it lies, from 1.
    pub fn note_address(&mut self, kind: u8, address: usize) {
        let value = match address {
            0 => 0,
            _ if self.owns(address) => (address - self.base + 1) as u64,
            _ => FOREIGN,
        };
        self.note(kind, value);
    }

    fn owns(&self, address: usize) -> bool {
        address.wrapping_sub(self.base) < REGION
    }

    fn strikes(&mut self, raw: bool) -> bool {
        let left = if raw {
            &mut self.fail_raw
        } else {
            &mut self.fail_arena
        };
        let strikes = *left == 1;
        *left = left.saturating_sub(1);
        self.failed += u64::from(strikes);
        strikes
    }

    /// `raw.malloc`
    pub fn raw_malloc(&mut self, size: usize) -> *mut u8 {
        self.note_size(kind::MALLOC, size);
        let address = if self.strikes(true) {
            0
        } else {
            self.take(size)
        };
        self.note_address(kind::GOT, address);
        pointer(address)
    }

    /// `raw.calloc`
    pub fn raw_calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.note_size(kind::CALLOC, count);
        self.note_size(kind::SIZE, size);
        let total = count.saturating_mul(size);
        let address = if self.strikes(true) {
            0
        } else {
            self.take(total)
        };
        self.note_address(kind::GOT, address);
        if address != 0 {
            // SAFETY: the block has this size.
            unsafe { pointer(address).write_bytes(0, total) };
        }
        pointer(address)
    }

    /// `raw.realloc`. A block that is not of this stage is the vector of arenas, which only ever doubles.
    ///
    /// # Safety
    ///
    /// `block` is null, a raw block of this stage that is live, or the vector.
    pub unsafe fn raw_realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        let before = block.addr();
        self.note_address(kind::REALLOC, before);
        self.note_size(kind::SIZE, size);
        let address = if self.strikes(true) {
            0
        } else {
            self.take(size)
        };
        self.note_address(kind::GOT, address);
        if address != 0 && before != 0 {
            let held = if self.owns(before) {
                self.size_of(before)
            } else {
                size / 2
            };
            // SAFETY: both blocks have so many bytes, and a new one overlaps none.
            unsafe { ptr::copy_nonoverlapping(block, pointer(address), held.min(size)) };
            self.give(before);
        }
        pointer(address)
    }

    /// `raw.free`
    pub fn raw_free(&mut self, block: *mut u8) {
        self.note_address(kind::FREE, block.addr());
        self.give(block.addr());
    }

    /// `arena.alloc`
    pub fn arena_alloc(&mut self, size: usize) -> *mut u8 {
        self.note_size(kind::ARENA, size);
        let fails = self.strikes(false) || size != self.arena_size;
        let found = (0..PLACES - 1).find(|&place| !fails && self.fits(place));
        let address = found.map_or(0, |place| self.settle(place));
        self.note_address(kind::GOT, address);
        pointer(address)
    }

    /// `arena.free`
    pub fn arena_free(&mut self, base: *mut u8, size: usize) {
        let address = base.addr();
        self.note_address(kind::ARENA_FREE, address);
        self.note_size(kind::SIZE, size);
        let place = address.wrapping_sub(self.base) / self.arena_size;
        if place < PLACES && self.arenas[place] == address % self.arena_size {
            self.vacate(place);
        }
    }

    /// Whether a displaced arena may begin in this place.
    fn fits(&self, place: usize) -> bool {
        let (here, next) = (self.places[place], self.places[place + 1]);
        let whole = here.tail == self.arena_size && here.head <= self.shift;
        whole && (self.shift == 0 || next.head == 0 && next.tail >= self.shift)
    }

    fn settle(&mut self, place: usize) -> usize {
        self.places[place].tail = self.shift;
        if self.shift != 0 {
            self.places[place + 1].head = self.shift;
        }
        self.arenas[place] = self.shift;
        self.latest = place;
        self.base + place * self.arena_size + self.shift
    }

    /// An arena leaves; raw blocks beside it stay.
    fn vacate(&mut self, place: usize) {
        let shift = self.arenas[place];
        self.arenas[place] = usize::MAX;
        if self.places[place].tail == shift {
            self.places[place].tail = self.arena_size;
        }
        if self.places[place + 1].head == shift {
            self.places[place + 1].head = 0;
        }
        if self.latest == place {
            self.latest = usize::MAX;
        }
    }

    /// A raw block, or 0.
    fn take(&mut self, size: usize) -> usize {
        if size > RAW_LIMIT {
            return 0;
        }
        if size <= CELL
            && let Some(address) = self.take_beside(size)
        {
            return address;
        }
        let power = (size + HEADER).next_power_of_two().max(32).trailing_zeros() as usize;
        let mut address = self.free[power];
        if address != 0 {
            // SAFETY: a free block holds the address of the next.
            self.free[power] = unsafe { pointer(address).cast::<usize>().read() };
        } else if self.raw_end + (1 << power) <= self.base + REGION {
            address = self.raw_end + HEADER;
            self.raw_end += 1 << power;
        } else {
            return 0;
        }
        // SAFETY: the header is the block's.
        unsafe { header(address).write([size, power]) };
        address
    }

    /// A raw block right behind the arena that was obtained last, or else right before it, if there is room.
    fn take_beside(&mut self, size: usize) -> Option<usize> {
        let place = self.latest;
        let free = self.cells.iter().position(Option::is_none)?;
        // Blocks of the raw domain are aligned for any type.
        if place == usize::MAX || !self.arenas[place].is_multiple_of(16) {
            return None;
        }
        let shift = self.arenas[place];
        let start = self.base + place * self.arena_size + shift;
        let (here, next) = (self.places[place], self.places[place + 1]);
        let behind = next.head == shift && next.tail >= shift + CELL;
        let address = if behind {
            self.places[place + 1].head = shift + CELL;
            start + self.arena_size
        } else if size == CELL && here.tail == shift && here.head + CELL <= shift {
            self.places[place].tail = shift - CELL;
            start - CELL
        } else {
            return None;
        };
        self.cells[free] = Some(Cell {
            address,
            size,
            place,
            behind,
        });
        Some(address)
    }

    fn cell(&self, address: usize) -> Option<usize> {
        let is = |cell: &Option<Cell>| cell.is_some_and(|cell| cell.address == address);
        (address < self.base + ARENA_AREA).then(|| self.cells.iter().position(is))?
    }

    fn size_of(&self, address: usize) -> usize {
        match self.cell(address).and_then(|at| self.cells[at]) {
            Some(cell) => cell.size,
            // SAFETY: it is a raw block of the stage.
            None => unsafe { header(address).read()[0] },
        }
    }

    /// Takes a raw block back. What is no block of the stage's is left alone.
    fn give(&mut self, address: usize) {
        if let Some(at) = self.cell(address) {
            if let Some(Cell { place, behind, .. }) = self.cells[at].take() {
                self.clear_beside(place, behind);
            }
        } else if address.wrapping_sub(self.base + ARENA_AREA) < RAW_AREA {
            // SAFETY: it is a raw block of the stage, and nobody uses it any more.
            unsafe {
                let power = header(address).read()[1] & 31;
                pointer(address).cast::<usize>().write(self.free[power]);
                self.free[power] = address;
            }
        }
    }

    /// The room of a raw block beside an arena is free, up to the arena if that is still there.
    fn clear_beside(&mut self, place: usize, behind: bool) {
        let shift = self.arenas[place];
        if behind {
            let ends_here = shift != usize::MAX && shift != 0;
            self.places[place + 1].head = if ends_here { shift } else { 0 };
        } else {
            self.places[place].tail = if shift == usize::MAX {
                self.arena_size
            } else {
                shift
            };
        }
    }
}

fn pointer(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

fn header(address: usize) -> *mut [usize; 2] {
    pointer(address - HEADER).cast()
}
