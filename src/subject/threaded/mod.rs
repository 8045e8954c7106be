//! An allocator for several threads, and the faults that can be planted in it.
//!
//! A front of lists of freed blocks before the sound allocator of [`Faulty`], one lock for both. Each thread has a handle
//! that stands for what a thread has of its own. A fault is a lock left out where the lists are used, with a pause in the
//! window that this opens, so that it shows in nearly every run; or a mistake about whose a block is.

mod fault;
mod list;

pub use fault::Fault;

use super::faulty::table::Table;
use super::faulty::{Faulty, sys};
use super::{Subject, locked};
use crate::program::Call;
use list::List;
use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes from one list to the next.
const STEP: usize = 64;
const LISTS: usize = 16;
/// Requests below this are served from the lists.
const LISTED: usize = LISTS * STEP + 1;
/// The binary logarithm of the places for blocks that it is known of whose they are.
const OWNERS: u32 = 22;
/// Blocks that a thread keeps for itself at most, and bytes of the largest.
const KEPT: usize = 16;
const LARGEST_KEPT: usize = 32 << 10;
/// Bytes of the arena of a thread.
const ARENA: usize = 256 << 10;
/// Requests from which on a realloc is a large one.
const LARGE: usize = 128 << 10;

/// The allocator, as one thread has it.
pub struct Threaded {
    common: Arc<Common>,
    /// The thread's own number, from 0.
    thread: u64,
    /// Whether the thread has made a call before.
    called: bool,
    /// Whether others have made calls since its last one.
    met: bool,
    /// Whether it has given back what it had of its own.
    left: bool,
}

/// What all threads have.
struct Common {
    fault: Option<Fault>,
    heap: Mutex<Heap>,
    lists: [List; LISTS],
    threads: AtomicU64,
    /// The thread that made the last call.
    caller: AtomicU64,
    /// How often a thread has freed a block when others had made calls since its last one.
    meetings: AtomicU64,
    /// Where a large block goes.
    target: AtomicPtr<u8>,
}

/// What the lock guards.
struct Heap {
    beneath: Faulty,
    /// The thread that made each live block.
    owners: Table<u64>,
    /// Freed blocks that a thread will be given first, by the thread.
    returned: HashMap<u64, Vec<usize>>,
    gone: Vec<u64>,
    /// What threads have made that is to go with them.
    made: Vec<(u64, usize)>,
    /// The thread whose request failed.
    failed: Option<u64>,
}

// SAFETY: it alone has what its pointers lead to, but for blocks, and nothing depends on the thread.
unsafe impl Send for Heap {}

impl Heap {
    /// Forgets whose a block is; gives whose it was.
    fn disown(&mut self, block: *mut u8) -> Option<u64> {
        let owner = self.owners.get(block.addr())?;
        self.owners.remove(block.addr());
        Some(owner)
    }

    /// The block put by last for a thread, if it has so many bytes.
    fn returned_to(&mut self, thread: u64, size: usize) -> *mut u8 {
        let Some(blocks) = self.returned.get_mut(&thread) else {
            return ptr::null_mut();
        };
        let block = blocks.pop_if(|address| {
            let block = ptr::with_exposed_provenance_mut::<u8>(*address);
            // SAFETY: a block of the heap.
            unsafe { self.beneath.malloc_usable_size(block) >= size }
        });
        block.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    /// Puts a block by for the thread that frees it, if there is room.
    fn keep(&mut self, thread: u64, block: *mut u8) -> bool {
        // SAFETY: a live block of the heap.
        let usable = unsafe { self.beneath.malloc_usable_size(block) };
        let kept = self.returned.entry(thread).or_default();
        let has_room = kept.len() < KEPT && usable <= LARGEST_KEPT;
        if has_room {
            kept.push(block.expose_provenance());
        }
        has_room
    }
}

impl Threaded {
    /// The allocator with this fault, or with none.
    ///
    /// # Panics
    ///
    /// As [`Faulty::new`].
    pub fn new(fault: Option<Fault>) -> Threaded {
        Threaded {
            common: Arc::new(Common {
                fault,
                heap: Mutex::new(Heap {
                    beneath: Faulty::new(None),
                    owners: Table::new(OWNERS),
                    returned: HashMap::new(),
                    gone: Vec::new(),
                    made: Vec::new(),
                    failed: None,
                }),
                lists: [const { List::new() }; LISTS],
                threads: AtomicU64::new(1),
                caller: AtomicU64::new(0),
                meetings: AtomicU64::new(0),
                target: AtomicPtr::new(ptr::null_mut()),
            }),
            thread: 0,
            called: false,
            met: false,
            left: false,
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.common.fault == Some(fault)
    }

    fn heap(&self) -> MutexGuard<'_, Heap> {
        locked::lock(&self.common.heap)
    }

    /// Notes a call; `foreign` if it is one that takes a block.
    fn enter(&mut self, foreign: bool) {
        let first = !std::mem::replace(&mut self.called, true);
        let last = self.common.caller.swap(self.thread, Relaxed);
        self.met = !first && last != self.thread;
        if first && foreign && self.thread != 0 && self.has(Fault::ForeignFirstCrashes) {
            sys::crash();
        }
        if first && self.has(Fault::ArenaLostAtExit) {
            sys::map(ARENA);
        }
    }

    /// Whether others have made calls since this thread's last one: one time in three of all that it is so.
    fn meets_others(&self) -> bool {
        self.met && self.common.meetings.fetch_add(1, Relaxed).is_multiple_of(3)
    }

    /// The block, entered as one of this thread's.
    fn own(&self, heap: &mut Heap, block: *mut u8) -> *mut u8 {
        if block.is_null() {
            heap.failed = Some(self.thread);
        } else if heap.owners.has_room() {
            heap.owners.set(block.addr(), self.thread);
            if self.has(Fault::ExitReclaims) && self.thread != 0 {
                heap.made.push((self.thread, block.expose_provenance()));
            }
        }
        block
    }

    /// A block of at least so many bytes from the lists, null if they have none.
    fn listed(&self, size: usize, unlocked: bool) -> *mut u8 {
        let Some(list) = self.common.lists.get(size.wrapping_sub(1) / STEP) else {
            return ptr::null_mut();
        };
        if unlocked {
            let block = list.pop(pause);
            if !block.is_null() {
                self.own(&mut self.heap(), block);
            }
            return block;
        }
        let mut heap = self.heap();
        let block = heap.returned_to(self.thread, size);
        if !block.is_null() {
            return self.own(&mut heap, block);
        }
        let block = list.pop(|| {});
        if block.is_null() {
            return block;
        }
        self.own(&mut heap, block)
    }

    fn allocate(&mut self, size: usize, unlocked: bool) -> *mut u8 {
        if self.left && self.has(Fault::CacheGoneCrashes) {
            sys::crash();
        }
        let for_others = self.has(Fault::FailureLeavesOthersNothing);
        if for_others
            && self
                .heap()
                .failed
                .is_some_and(|thread| thread != self.thread)
        {
            sys::set_errno(libc::ENOMEM);
            return ptr::null_mut();
        }
        let block = self.listed(size, unlocked);
        if !block.is_null() {
            return block;
        }
        let rounded = match size {
            1..LISTED => size.next_multiple_of(STEP),
            _ => size,
        };
        let mut heap = self.heap();
        // SAFETY: any size will do.
        let block = unsafe { heap.beneath.malloc(rounded) };
        self.own(&mut heap, block)
    }

    fn release(&mut self, block: *mut u8) {
        if block.is_null() {
            return;
        }
        let mut heap = self.heap();
        let owner = heap.disown(block).unwrap_or(self.thread);
        let contended = self.has(Fault::ContendedFreeLost) && self.meets_others();
        let lost = self.has(Fault::RemoteFreeLost) && owner != self.thread;
        if contended || lost || (self.has(Fault::CacheLostAtExit) && heap.keep(self.thread, block))
        {
            return;
        }
        if self.has(Fault::OwnerGoneCrashes) && heap.gone.contains(&owner) {
            sys::crash();
        }
        if self.has(Fault::RemoteFreeTwice) && owner != self.thread {
            let address = block.expose_provenance();
            heap.returned.entry(owner).or_default().push(address);
        }
        // SAFETY: a live block of the heap.
        let usable = unsafe { heap.beneath.malloc_usable_size(block) };
        let list = (usable / STEP).checked_sub(1);
        let list = list.and_then(|index| self.common.lists.get(index));
        let kept = list.is_some_and(|list| list.push(block));
        if !kept {
            // SAFETY: as above, and it is on no list.
            unsafe { heap.beneath.free(block) };
        }
        drop(heap);
        if kept && self.has(Fault::FreePublishesEarly) {
            pause();
            let link = block.cast::<u64>();
            // SAFETY: memory of the heap that stays mapped, aligned to 16. That it is another's by now is the fault.
            unsafe { AtomicU64::from_ptr(link) }.store(0x0001_157e_d11e_0001, Relaxed);
        }
    }

    /// Moves a block to a new one of this size.
    unsafe fn move_to(&mut self, block: *mut u8, usable: usize, size: usize) -> *mut u8 {
        let mut new = self.allocate(size, false);
        if new.is_null() {
            return new;
        }
        if size >= LARGE && self.has(Fault::LargeReallocUnlocked) {
            self.common.target.store(new, Release);
            pause();
            new = self.common.target.load(Acquire);
        }
        // SAFETY: both have as many bytes, and are apart but for the fault.
        unsafe { ptr::copy(block, new, usable.min(size)) };
        self.release(block);
        new
    }
}

/// Lets other threads get into the window.
fn pause() {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1000,
    };
    // SAFETY: the structure is ours. What the sleep does to `errno` is undone. By its number it is no point where a thread
    // can be cancelled.
    locked::keeping_errno(|| unsafe {
        libc::syscall(
            libc::SYS_nanosleep,
            &raw const time,
            ptr::null_mut::<libc::timespec>(),
        )
    });
}

impl Subject for Threaded {
    fn provides(&self, call: Call) -> bool {
        // The functions of C are enough to go wrong between threads.
        let of_c = call
            .entry_point()
            .is_some_and(|name| !name.starts_with("_Z"))
            && !matches!(call, Call::Reallocf | Call::Recallocarray | Call::Freezero);
        of_c && self.heap().beneath.provides(call)
    }

    fn survives_forks(&self) -> bool {
        false
    }

    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        self.enter(false);
        self.allocate(size, false)
    }

    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.enter(false);
        let total = match count.checked_mul(size) {
            Some(total @ 1..LISTED) => total,
            _ => {
                let mut heap = self.heap();
                // SAFETY: any factors will do.
                let block = unsafe { heap.beneath.calloc(count, size) };
                return self.own(&mut heap, block);
            }
        };
        let block = self.allocate(total, self.has(Fault::CallocUnlocked));
        if !block.is_null() {
            // SAFETY: the block has that many bytes.
            unsafe { ptr::write_bytes(block, 0, total) };
        }
        block
    }

    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.enter(!block.is_null());
        if block.is_null() {
            return self.allocate(size, false);
        }
        let mut heap = self.heap();
        if size == 0 {
            heap.disown(block);
            // SAFETY: the caller's promise.
            let block = unsafe { heap.beneath.realloc(block, 0) };
            return self.own(&mut heap, block);
        }
        // SAFETY: the caller's promise.
        let usable = unsafe { heap.beneath.malloc_usable_size(block) };
        drop(heap);
        if size <= usable && size >= usable / 2 {
            return block;
        }
        // SAFETY: the caller's promise.
        unsafe { self.move_to(block, usable, size) }
    }

    unsafe fn free(&mut self, block: *mut u8) {
        self.enter(!block.is_null());
        self.release(block);
    }

    unsafe fn reallocarray(&mut self, block: *mut u8, count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(total) => unsafe { self.realloc(block, total) },
            None => {
                self.enter(!block.is_null());
                sys::set_errno(libc::ENOMEM);
                ptr::null_mut()
            }
        }
    }

    unsafe fn free_sized(&mut self, block: *mut u8, _size: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.free(block) };
    }

    unsafe fn free_aligned_sized(&mut self, block: *mut u8, _alignment: usize, _size: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.free(block) };
    }

    unsafe fn aligned_alloc(&mut self, alignment: usize, size: usize) -> *mut u8 {
        // SAFETY: any arguments will do.
        self.aligned(alignment, size, |heap| unsafe {
            heap.aligned_alloc(alignment, size)
        })
    }

    unsafe fn posix_memalign(&mut self, out: *mut *mut u8, alignment: usize, size: usize) -> i32 {
        let mut code = 0;
        let mut made = ptr::null_mut();
        let block = self.aligned(alignment, size, |heap| {
            // SAFETY: the variable is ours, and any arguments will do.
            code = unsafe { heap.posix_memalign(&raw mut made, alignment, size) };
            made
        });
        if code == 0 {
            // SAFETY: the caller's promise.
            unsafe { *out = block };
        }
        code
    }

    unsafe fn memalign(&mut self, alignment: usize, size: usize) -> *mut u8 {
        // SAFETY: any arguments will do.
        self.aligned(alignment, size, |heap| unsafe {
            heap.memalign(alignment, size)
        })
    }

    unsafe fn valloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: any size will do.
        self.aligned(sys::PAGE, size, |heap| unsafe { heap.valloc(size) })
    }

    unsafe fn pvalloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: any size will do.
        self.aligned(sys::PAGE, size, |heap| unsafe { heap.pvalloc(size) })
    }

    unsafe fn malloc_usable_size(&mut self, block: *mut u8) -> usize {
        self.enter(!block.is_null());
        // SAFETY: the caller's promise.
        unsafe { self.heap().beneath.malloc_usable_size(block) }
    }

    unsafe fn malloc_trim(&mut self, pad: usize) -> i32 {
        self.enter(false);
        // SAFETY: any argument will do.
        unsafe { self.heap().beneath.malloc_trim(pad) }
    }

    fn sibling(&mut self) -> Option<Threaded> {
        Some(Threaded {
            common: self.common.clone(),
            thread: self.common.threads.fetch_add(1, Relaxed),
            called: false,
            met: false,
            left: false,
        })
    }

    fn leave(&mut self) {
        self.left = true;
    }
}

/// The thread has ended, and all its destructors have been run.
impl Drop for Threaded {
    fn drop(&mut self) {
        let mut heap = locked::lock(&self.common.heap);
        heap.gone.push(self.thread);
        let all = std::mem::take(&mut heap.made);
        let (mine, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|&(thread, _)| thread == self.thread);
        heap.made = others;
        for (thread, address) in mine {
            if heap.owners.get(address) == Some(thread) {
                heap.owners.remove(address);
                // SAFETY: a block of the heap. That it is live is the fault.
                unsafe { heap.beneath.free(ptr::with_exposed_provenance_mut(address)) };
            }
        }
    }
}

impl Threaded {
    /// A block at a multiple of `alignment`, from the lists if it is one that they serve.
    fn aligned(
        &mut self,
        alignment: usize,
        size: usize,
        make: impl FnOnce(&mut Faulty) -> *mut u8,
    ) -> *mut u8 {
        self.enter(false);
        if self.has(Fault::MemalignUnlocked) && matches!(alignment, 8 | 16) && size > 0 {
            let block = self.listed(size, true);
            if !block.is_null() {
                return block;
            }
        }
        let mut heap = self.heap();
        let block = make(&mut heap.beneath);
        self.own(&mut heap, block)
    }
}
