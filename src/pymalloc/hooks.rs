//! Allocators that are set while the program runs: PEP 445's structures of functions and a context.

use super::source::{ArenaSource, Raw};
use std::ffi::c_void;

/// The allocator of a domain (`PyMemAllocatorEx`): four functions, and what is passed to each of them first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    /// Passed on unchanged.
    pub ctx: *mut c_void,
    /// `malloc(ctx, size)`.
    pub malloc: unsafe extern "C-unwind" fn(*mut c_void, usize) -> *mut c_void,
    /// `calloc(ctx, count, size)`.
    pub calloc: unsafe extern "C-unwind" fn(*mut c_void, usize, usize) -> *mut c_void,
    /// `realloc(ctx, block, size)`.
    pub realloc: unsafe extern "C-unwind" fn(*mut c_void, *mut c_void, usize) -> *mut c_void,
    /// `free(ctx, block)`.
    pub free: unsafe extern "C-unwind" fn(*mut c_void, *mut c_void),
}

/// What supplies arenas (`PyObjectArenaAllocator`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ArenaAllocator {
    /// Passed on unchanged.
    pub ctx: *mut c_void,
    /// `alloc(ctx, size)`.
    pub alloc: unsafe extern "C-unwind" fn(*mut c_void, usize) -> *mut c_void,
    /// `free(ctx, base, size)`: the pointer before the size, whatever the documentation of 3.4 and 3.5 says.
    pub free: unsafe extern "C-unwind" fn(*mut c_void, *mut c_void, usize),
}

impl Allocator {
    /// A source as an allocator, with `ctx` leading to it. Every call works on a clone, so that threads, and hooks that
    /// call back, are not in each other's way: a clone of a source is to be the same source.
    ///
    /// The source must be there as long as the allocator, or a copy of it, is used.
    pub const fn of<R: Raw + Clone>(source: *const R) -> Allocator {
        /// # Safety
        ///
        /// `ctx` leads to the source.
        unsafe fn found<R: Clone>(ctx: *mut c_void) -> R {
            // SAFETY: the caller's promise.
            unsafe { (*ctx.cast::<R>().cast_const()).clone() }
        }
        unsafe extern "C-unwind" fn malloc<R: Raw + Clone>(
            ctx: *mut c_void,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: whoever has the allocator passes its `ctx`.
            unsafe { found::<R>(ctx).malloc(size).cast() }
        }
        unsafe extern "C-unwind" fn calloc<R: Raw + Clone>(
            ctx: *mut c_void,
            count: usize,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: as above.
            unsafe { found::<R>(ctx).calloc(count, size).cast() }
        }
        unsafe extern "C-unwind" fn realloc<R: Raw + Clone>(
            ctx: *mut c_void,
            block: *mut c_void,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: as above; the block is null or one of the source's.
            unsafe { found::<R>(ctx).realloc(block.cast(), size).cast() }
        }
        unsafe extern "C-unwind" fn free<R: Raw + Clone>(ctx: *mut c_void, block: *mut c_void) {
            // SAFETY: as above.
            unsafe { found::<R>(ctx).free(block.cast()) }
        }
        Allocator {
            ctx: source.cast_mut().cast(),
            malloc: malloc::<R>,
            calloc: calloc::<R>,
            realloc: realloc::<R>,
            free: free::<R>,
        }
    }
}

impl ArenaAllocator {
    /// A source of arenas as an allocator of them, as [`Allocator::of`] does it.
    pub const fn of<A: ArenaSource + Clone>(source: *const A) -> ArenaAllocator {
        unsafe extern "C-unwind" fn alloc<A: ArenaSource + Clone>(
            ctx: *mut c_void,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: `ctx` leads to the source.
            unsafe { (*ctx.cast::<A>().cast_const()).clone().alloc(size).cast() }
        }
        unsafe extern "C-unwind" fn free<A: ArenaSource + Clone>(
            ctx: *mut c_void,
            base: *mut c_void,
            size: usize,
        ) {
            // SAFETY: as above; the arena is one of the source's, of this size.
            unsafe {
                (*ctx.cast::<A>().cast_const())
                    .clone()
                    .free(base.cast(), size)
            }
        }
        ArenaAllocator {
            ctx: source.cast_mut().cast(),
            alloc: alloc::<A>,
            free: free::<A>,
        }
    }
}

/// Functions that are known to keep their promises, so that they may be asked.
#[derive(Clone, Copy, Debug)]
pub struct Trusted<T>(T);

impl<T> Trusted<T> {
    /// Trusts an allocator.
    ///
    /// # Safety
    ///
    /// As long as this or a copy of it is used, the functions keep the promises of [`Raw`], those of an
    /// [`ArenaAllocator`] the promises of [`ArenaSource`], when they are passed `ctx`.
    pub const unsafe fn new(functions: T) -> Trusted<T> {
        Trusted(functions)
    }
}

// SAFETY: promised by whoever trusted the functions.
unsafe impl Raw for Trusted<Allocator> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the function is passed its own context.
        unsafe { (self.0.malloc)(self.0.ctx, size).cast() }
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { (self.0.calloc)(self.0.ctx, count, size).cast() }
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: as above; the block is the caller's to answer for.
        unsafe { (self.0.realloc)(self.0.ctx, block.cast(), size).cast() }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: as above.
        unsafe { (self.0.free)(self.0.ctx, block.cast()) }
    }
}

// SAFETY: as above.
unsafe impl ArenaSource for Trusted<ArenaAllocator> {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the function is passed its own context.
        unsafe { (self.0.alloc)(self.0.ctx, size).cast() }
    }
    unsafe fn free(&mut self, base: *mut u8, size: usize) {
        // SAFETY: as above; the arena is the caller's to answer for.
        unsafe { (self.0.free)(self.0.ctx, base.cast(), size) }
    }
}
