//! The three domains as programs see them: the functions that CPython exports, and the allocators set behind them.
//!
//! Whatever the allocator, nobody gets to see a size above [`SIZE_LIMIT`]; everything else reaches it as it was asked
//! for, requests for nothing and the freeing of null included.

use super::alloc::SIZE_LIMIT;
use super::debug::Domain;
use super::hooks::{Allocator, ArenaAllocator, Trusted};
use super::source::{ArenaSource, Raw};
use std::cell::Cell;
use std::ops::Deref;
use std::ptr;

/// The allocators that are set at present, and the functions that ask them.
///
/// Setting one while another thread asks it is as much of a race as it is in CPython.
#[derive(Debug)]
pub struct Domains {
    raw: Cell<Allocator>,
    mem: Cell<Allocator>,
    object: Cell<Allocator>,
    arenas: Cell<ArenaAllocator>,
}

impl Domains {
    /// Domains with these allocators.
    ///
    /// # Safety
    ///
    /// As for [`set`](Domains::set), for all of them.
    pub const unsafe fn new(
        raw: Allocator,
        mem: Allocator,
        object: Allocator,
        arenas: ArenaAllocator,
    ) -> Domains {
        Domains {
            raw: Cell::new(raw),
            mem: Cell::new(mem),
            object: Cell::new(object),
            arenas: Cell::new(arenas),
        }
    }

    const fn place(&self, domain: Domain) -> &Cell<Allocator> {
        match domain {
            Domain::Raw => &self.raw,
            Domain::Mem => &self.mem,
            Domain::Object => &self.object,
        }
    }

    /// The allocator of a domain (`PyMem_GetAllocator`).
    pub fn get(&self, domain: Domain) -> Allocator {
        self.place(domain).get()
    }

    /// The allocator of a domain, to be asked.
    fn asked(&self, domain: Domain) -> Trusted<Allocator> {
        // SAFETY: promised by whoever set it.
        unsafe { Trusted::new(self.get(domain)) }
    }

    /// What supplies arenas, to be asked.
    fn supplier(&self) -> Trusted<ArenaAllocator> {
        // SAFETY: as above.
        unsafe { Trusted::new(self.arenas()) }
    }

    /// Sets the allocator of a domain (`PyMem_SetAllocator`). It is asked from now on, for what the one before gave as
    /// well: unless nothing is live, it hands on to that one.
    ///
    /// # Safety
    ///
    /// The functions keep the promises of [`Raw`] when they are passed `ctx`, also for blocks that are live in the
    /// domain, as long as they are set. Those of the raw domain do not call the functions of the other two.
    pub unsafe fn set(&self, domain: Domain, allocator: Allocator) {
        self.place(domain).set(allocator);
    }

    /// What supplies arenas (`PyObject_GetArenaAllocator`).
    pub fn arenas(&self) -> ArenaAllocator {
        self.arenas.get()
    }

    /// Sets what supplies arenas (`PyObject_SetArenaAllocator`). Arenas that are held already are given back to it, too.
    ///
    /// # Safety
    ///
    /// The functions keep the promises of [`ArenaSource`] when they are passed `ctx`, also for arenas obtained before,
    /// as long as they are set. They call no function of a domain.
    pub unsafe fn set_arenas(&self, allocator: ArenaAllocator) {
        self.arenas.set(allocator);
    }

    /// `PyMem_RawMalloc`, `PyMem_Malloc`, `PyObject_Malloc`: `size` bytes, or null if there is no memory or `size` exceeds
    /// [`SIZE_LIMIT`]. A block of size 0 is a block like any other.
    #[inline]
    pub fn malloc(&self, domain: Domain, size: usize) -> *mut u8 {
        if size > SIZE_LIMIT {
            return ptr::null_mut();
        }
        self.asked(domain).malloc(size)
    }

    /// `PyMem_RawCalloc`, `PyMem_Calloc`, `PyObject_Calloc`: `count * size` zeroed bytes, or null if there is no memory or
    /// the product exceeds [`SIZE_LIMIT`].
    #[inline]
    pub fn calloc(&self, domain: Domain, count: usize, size: usize) -> *mut u8 {
        if size != 0 && count > SIZE_LIMIT / size {
            return ptr::null_mut();
        }
        self.asked(domain).calloc(count, size)
    }

    /// `PyMem_RawRealloc`, `PyMem_Realloc`, `PyObject_Realloc`: the block with a new size, moved if need be; null if there
    /// is no memory or `size` exceeds [`SIZE_LIMIT`], and then the block is as it was.
    ///
    /// # Safety
    ///
    /// `block` is null or a live block of the domain, and is not used again unless this returns null.
    #[inline]
    pub unsafe fn realloc(&self, domain: Domain, block: *mut u8, size: usize) -> *mut u8 {
        if size > SIZE_LIMIT {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { self.asked(domain).realloc(block, size) }
    }

    /// `PyMem_RawFree`, `PyMem_Free`, `PyObject_Free`: gives back a block; null is none.
    ///
    /// # Safety
    ///
    /// `block` is null or a live block of the domain, and is not used again.
    #[inline]
    pub unsafe fn free(&self, domain: Domain, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.asked(domain).free(block) }
    }

    /// `PyMem_New`: room for `count` of a type, in the domain `mem`; null if there is none or it would exceed
    /// [`SIZE_LIMIT`], and then nobody is asked.
    pub fn new_array<T>(&self, count: usize) -> *mut T {
        match array::<T>(count) {
            Some(bytes) => self.malloc(Domain::Mem, bytes).cast(),
            None => ptr::null_mut(),
        }
    }

    /// `PyMem_Resize`: room for another number of a type. `block` is what comes of it, so null on failure, also if the
    /// size would exceed [`SIZE_LIMIT`]: the block that it led to is live then, and lost to who has not kept its address.
    ///
    /// # Safety
    ///
    /// `block` is null or a live block of the domain `mem`.
    pub unsafe fn resize_array<T>(&self, block: &mut *mut T, count: usize) {
        *block = match array::<T>(count) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { self.realloc(Domain::Mem, block.cast(), bytes).cast() },
            None => ptr::null_mut(),
        };
    }
}

/// The bytes of an array, unless they are too many.
fn array<T>(count: usize) -> Option<usize> {
    let bytes = count.checked_mul(size_of::<T>())?;
    (bytes <= SIZE_LIMIT).then_some(bytes)
}

/// The raw domain as pymalloc asks it: by its functions, so that whatever is set there sees what pymalloc asks for.
#[derive(Clone, Copy, Debug)]
pub struct PublicRaw<D>(pub D);

// SAFETY: what the allocator that is set returns.
unsafe impl<D: Deref<Target = Domains>> Raw for PublicRaw<D> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.0.malloc(Domain::Raw, size)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.0.calloc(Domain::Raw, count, size)
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(Domain::Raw, block, size) }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.0.free(Domain::Raw, block) }
    }
}

/// What supplies arenas at present.
#[derive(Clone, Copy, Debug)]
pub struct PresentArenas<D>(pub D);

// SAFETY: what the allocator that is set returns.
unsafe impl<D: Deref<Target = Domains>> ArenaSource for PresentArenas<D> {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        self.0.supplier().alloc(size)
    }
    unsafe fn free(&mut self, base: *mut u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.supplier().free(base, size) }
    }
}
