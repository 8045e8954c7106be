//! CPython's functions, as of 3.11 and later, without an interpreter: there is no lock to hold but one of their own.

use crate::lock::Locked;
use allocspec::pymalloc::{
    Allocator, ArenaAllocator, CLibrary, Debug, DefaultRaw, Domain, Domains, Mmap, P16kR64,
    PresentArenas, PublicRaw, Pymalloc, Raw, Sound, Style, Trusted, Version,
};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::{process, ptr};

/// The allocators that are set. To set one while others allocate is a race, as it is in CPython.
struct Shared(Domains);

// SAFETY: whoever sets an allocator sees to it that nobody allocates meanwhile.
unsafe impl Sync for Shared {}

type Heap = Pymalloc<P16kR64, PublicRaw<&'static Domains>, PresentArenas<&'static Domains>>;

/// pymalloc as the allocator of two domains: all copies are the one heap.
#[derive(Clone, Copy)]
struct Pools;

static LIBRARY: DefaultRaw = DefaultRaw::new();
static MAPPINGS: Mmap = Mmap::new();
static POOLS: Pools = Pools;

static DOMAINS: Shared = Shared(
    // SAFETY: the defaults keep their promises.
    unsafe {
        Domains::new(
            Allocator::of::<DefaultRaw<CLibrary, Sound>>(&raw const LIBRARY),
            Allocator::of(&raw const POOLS),
            Allocator::of(&raw const POOLS),
            ArenaAllocator::of(&raw const MAPPINGS),
        )
    },
);

pub static HEAP: Locked<Heap> =
    // SAFETY: what it leads to are its own pools and the domains, which have no tie to a thread.
    unsafe { Locked::new(Heap::new(PublicRaw(&DOMAINS.0), PresentArenas(&DOMAINS.0))) };

// SAFETY: what pymalloc promises.
unsafe impl Raw for Pools {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        HEAP.with(|heap| heap.malloc(size))
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        HEAP.with(|heap| heap.calloc(count, size))
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        HEAP.with(|heap| unsafe { heap.realloc(block, size) })
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        HEAP.with(|heap| unsafe { heap.free(block) })
    }
}

macro_rules! functions {
    ($($domain:ident: $malloc:ident $calloc:ident $realloc:ident $free:ident;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $malloc(size: usize) -> *mut c_void {
            DOMAINS.0.malloc(Domain::$domain, size).cast()
        }
        #[unsafe(no_mangle)]
        extern "C" fn $calloc(count: usize, size: usize) -> *mut c_void {
            DOMAINS.0.calloc(Domain::$domain, count, size).cast()
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $realloc(block: *mut c_void, size: usize) -> *mut c_void {
            // SAFETY: the caller's promise, which is CPython's.
            unsafe { DOMAINS.0.realloc(Domain::$domain, block.cast(), size).cast() }
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $free(block: *mut c_void) {
            // SAFETY: as above.
            unsafe { DOMAINS.0.free(Domain::$domain, block.cast()) }
        }
    )*};
}

functions! {
    Raw: PyMem_RawMalloc PyMem_RawCalloc PyMem_RawRealloc PyMem_RawFree;
    Mem: PyMem_Malloc PyMem_Calloc PyMem_Realloc PyMem_Free;
    Object: PyObject_Malloc PyObject_Calloc PyObject_Realloc PyObject_Free;
}

/// `PyMemAllocatorDomain`
fn domain(number: c_int) -> Option<Domain> {
    [Domain::Raw, Domain::Mem, Domain::Object]
        .get(usize::try_from(number).ok()?)
        .copied()
}

/// What C passes by pointer, unless a function in it is null: it could not be called.
///
/// # Safety
///
/// `from` can be read as `N` pointers, the first of which is the context.
unsafe fn complete<T: Copy, const N: usize>(from: *const T) -> T {
    const { assert!(size_of::<T>() == N * size_of::<*const c_void>()) }
    // SAFETY: the caller's promise.
    let words = unsafe { from.cast::<[*const c_void; N]>().read() };
    if words[1..].iter().any(|function| function.is_null()) {
        process::abort();
    }
    // SAFETY: the context may be any pointer, and functions that are not null are what C says they are.
    unsafe { from.read() }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn PyMem_GetAllocator(number: c_int, to: *mut MaybeUninit<Allocator>) {
    let allocator = match domain(number) {
        Some(domain) => MaybeUninit::new(DOMAINS.0.get(domain)),
        None => MaybeUninit::zeroed(),
    };
    // SAFETY: the caller's promise.
    unsafe { to.write(allocator) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn PyMem_SetAllocator(number: c_int, from: *const Allocator) {
    if let Some(domain) = domain(number) {
        // SAFETY: the caller's promise.
        unsafe { DOMAINS.0.set(domain, complete::<_, 5>(from)) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn PyObject_GetArenaAllocator(to: *mut ArenaAllocator) {
    // SAFETY: the caller's promise.
    unsafe { to.write(DOMAINS.0.arenas()) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn PyObject_SetArenaAllocator(from: *const ArenaAllocator) {
    // SAFETY: the caller's promise.
    unsafe { DOMAINS.0.set_arenas(complete::<_, 3>(from)) };
}

/// The layer last put over each domain, to tell when it is on top.
static LAYERS: [AtomicPtr<Debug<Trusted<Allocator>>>; 3] =
    [const { AtomicPtr::new(ptr::null_mut()) }; 3];

#[unsafe(no_mangle)]
unsafe extern "C" fn PyMem_SetupDebugHooks() {
    let style = Style::of(Version(3, 14, u8::MAX));
    for (number, layer) in LAYERS.iter().enumerate() {
        let Some(domain) = domain(number as c_int) else {
            continue;
        };
        let beneath = DOMAINS.0.get(domain);
        if beneath.ctx == layer.load(Ordering::Relaxed).cast() && !beneath.ctx.is_null() {
            continue;
        }
        // SAFETY: promised by whoever set it.
        let beneath = unsafe { Trusted::new(beneath) };
        // Layers live as long as the process.
        let new = Box::leak(Box::new(Debug::over(beneath, domain, style)));
        layer.store(new, Ordering::Relaxed);
        // SAFETY: the layer keeps what lies beneath; that nothing is live the caller promises.
        unsafe { DOMAINS.0.set(domain, Allocator::of(new)) };
    }
}
