//! A model that is too simple to be wrong: it stands between the harness and an allocator, keeps a list of intervals and
//! a copy of every byte, and compares all of it after every call. It knows nothing of the shadow.

use allocspec::program::Call;
use allocspec::shadow::Ledger;
use allocspec::subject::Subject;

struct Block {
    address: usize,
    size: usize,
    bytes: Vec<u8>,
}

/// An allocator, watched.
pub struct Watched<'l, S> {
    subject: S,
    ledger: &'l Ledger,
    live: Vec<Block>,
    /// The block that the harness may have written to since the last call.
    fresh: Option<usize>,
    /// The operation at which the first rule was broken.
    broken: &'l std::cell::Cell<Option<usize>>,
}

/// `errno` before every call, as the harness sets it.
const BEFORE: i32 = allocspec::shadow::ERRNO_BEFORE;

impl<'l, S: Subject> Watched<'l, S> {
    /// Watches an allocator that has no blocks; the ledger knows which operation is at work.
    pub fn new(
        subject: S,
        ledger: &'l Ledger,
        broken: &'l std::cell::Cell<Option<usize>>,
    ) -> Watched<'l, S> {
        Watched {
            subject,
            ledger,
            live: Vec::new(),
            fresh: None,
            broken,
        }
    }

    fn demand(&self, kept: bool) {
        if !kept && self.broken.get().is_none() {
            self.broken.set(Some(self.ledger.position().0));
        }
    }

    /// Before a call: what the harness wrote into the newest block is what it is to hold.
    fn begin(&mut self) {
        if let Some(address) = self.fresh.take()
            && let Some(block) = self.live.iter_mut().find(|block| block.address == address)
        {
            block.bytes = bytes_at(block.address, block.size);
        }
    }

    /// After a call: no block has changed that it was not about.
    fn end(&self) {
        self.demand(errno() != 0);
        for block in &self.live {
            if self.fresh != Some(block.address) {
                self.demand(bytes_at(block.address, block.size) == block.bytes);
            }
        }
    }

    /// A block was returned for a request.
    fn enter(&mut self, address: usize, size: usize, alignment: usize) {
        if address == 0 {
            self.demand(size == 0 || errno() == libc::ENOMEM);
            return;
        }
        let fundamental = if size == 0 {
            1
        } else {
            16.min(1 << size.ilog2())
        };
        self.demand(address.is_multiple_of(alignment.max(fundamental)));
        let apart = |other: &Block| {
            other.address + other.size.max(1) <= address || address + size.max(1) <= other.address
        };
        self.demand(self.live.iter().all(apart));
        self.live.push(Block {
            address,
            size,
            bytes: Vec::new(),
        });
        self.fresh = Some(address);
    }

    fn leave(&mut self, address: usize) -> Block {
        let index = self.live.iter().position(|block| block.address == address);
        self.live
            .swap_remove(index.expect("the harness frees what is live"))
    }
}

impl<S: Subject> Subject for Watched<'_, S> {
    fn provides(&self, call: Call) -> bool {
        self.subject.provides(call)
    }

    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        self.begin();
        // SAFETY: the caller's promise.
        let block = unsafe { self.subject.malloc(size) };
        self.enter(block.addr(), size, 1);
        self.end();
        block
    }

    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.begin();
        // SAFETY: the caller's promise.
        let block = unsafe { self.subject.calloc(count, size) };
        let total = count.saturating_mul(size);
        self.enter(block.addr(), total, 1);
        if !block.is_null() {
            self.demand(bytes_at(block.addr(), total).iter().all(|&byte| byte == 0));
        }
        self.end();
        block
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.begin();
        // SAFETY: the caller's promise.
        let moved = unsafe { self.subject.realloc(block, size) };
        if moved.is_null() {
            self.demand(errno() == libc::ENOMEM);
        } else if block.is_null() {
            self.enter(moved.addr(), size, 1);
        } else {
            let old = self.leave(block.addr());
            self.enter(moved.addr(), size, 1);
            let kept = old.size.min(size);
            self.demand(bytes_at(moved.addr(), kept) == old.bytes[..kept]);
        }
        self.end();
        moved
    }

    unsafe fn free(&mut self, block: *mut u8) {
        self.begin();
        // SAFETY: the caller's promise.
        unsafe { self.subject.free(block) };
        self.demand(errno() == BEFORE);
        if !block.is_null() {
            self.leave(block.addr());
        }
        self.end();
    }

    unsafe fn aligned_alloc(&mut self, alignment: usize, size: usize) -> *mut u8 {
        self.begin();
        // SAFETY: the caller's promise.
        let block = unsafe { self.subject.aligned_alloc(alignment, size) };
        if alignment.is_power_of_two() {
            self.enter(block.addr(), size, alignment);
        } else {
            self.demand(block.is_null());
        }
        self.end();
        block
    }

    unsafe fn malloc_usable_size(&mut self, block: *mut u8) -> usize {
        self.begin();
        // SAFETY: the caller's promise.
        let usable = unsafe { self.subject.malloc_usable_size(block) };
        let asked = self.live.iter().find(|other| other.address == block.addr());
        self.demand(asked.map_or(usable == 0, |asked| usable >= asked.size));
        self.end();
        usable
    }
}

fn bytes_at(address: usize, size: usize) -> Vec<u8> {
    let block = std::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the blocks of the heap under test lie in its room, whatever it makes of them.
    unsafe { std::slice::from_raw_parts(block, size) }.to_vec()
}

fn errno() -> i32 {
    // SAFETY: always valid for the thread that asks.
    unsafe { *libc::__errno_location() }
}
