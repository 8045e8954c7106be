//! The memory of an interpreter: its domains, with the defaults of its version, and pymalloc behind those that have it.

use super::alloc::Pymalloc;
use super::builds::Version;
use super::debug::{Abort, Alarm, Debug, Domain, Gil, OneThread, Style};
use super::domains::{Domains, PresentArenas, PublicRaw};
use super::hooks::{Allocator, ArenaAllocator, Trusted};
use super::layout::Layout;
use super::source::{CLibrary, DefaultRaw, Mmap, Raw};
use std::cell::RefCell;
use std::rc::Rc;

type Heap<L> = Pymalloc<L, PublicRaw<Rc<Domains>>, PresentArenas<Rc<Domains>>>;

/// The memory of an interpreter of one thread, over the C library `C`.
///
/// The raw domain is the C library, never asked for nothing; objects come from pymalloc. What `PyMem_Malloc` is depends
/// on the version: pymalloc since 3.6, and the same pools as for objects; before, the C library, but not by way of the
/// raw domain. Before 3.4 there was no raw domain, and before 3.5 no calloc, for programs to call; here there is.
///
/// As with [`Pymalloc`], blocks are lost when it is dropped.
pub struct Runtime<
    L: Layout,
    C: Raw + Clone = CLibrary,
    A: Alarm + Clone = Abort,
    G: Gil + Clone = OneThread,
> {
    domains: Rc<Domains>,
    style: Style,
    alarm: A,
    gil: G,
    library: *mut DefaultRaw<C>,
    mappings: *mut Mmap,
    heap: *mut Heap<L>,
    pools: *mut Pools<L>,
    /// Every debug layer that was put anywhere.
    layers: RefCell<Vec<*mut Debug<Trusted<Allocator>, A, G>>>,
}

/// In CPython's order.
const DOMAINS: [Domain; 3] = [Domain::Raw, Domain::Mem, Domain::Object];

/// pymalloc as the allocator of two domains.
struct Pools<L: Layout>(*mut Heap<L>);

impl<L: Layout> Clone for Pools<L> {
    fn clone(&self) -> Pools<L> {
        Pools(self.0)
    }
}

// SAFETY: what pymalloc promises. Nothing that pymalloc asks calls it again, see `Domains::set`, so it is used by one at
// a time.
unsafe impl<L: Layout> Raw for Pools<L> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the heap lives as long as the domains.
        unsafe { (*self.0).malloc(size) }
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { (*self.0).calloc(count, size) }
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: as above; the block is the caller's to answer for.
        unsafe { (*self.0).realloc(block, size) }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: as above.
        unsafe { (*self.0).free(block) }
    }
}

impl<L: Layout> Runtime<L> {
    /// The memory of an interpreter of this version, whose layout is to be `L`.
    pub fn new(version: Version) -> Runtime<L> {
        Runtime::with(version, CLibrary, Abort, OneThread)
    }
}

impl<L: Layout, C: Raw + Clone, A: Alarm + Clone, G: Gil + Clone> Runtime<L, C, A, G> {
    /// The memory of an interpreter with a C library of its own, and of the debug layer the alarm and the lock.
    pub fn with(version: Version, library: C, alarm: A, gil: G) -> Runtime<L, C, A, G> {
        let library = Box::into_raw(Box::new(DefaultRaw::over(library, super::Sound)));
        let mappings = Box::into_raw(Box::new(Mmap::new()));
        let plain = Allocator::of(library);
        // SAFETY: the defaults keep their promises; what they lead to lives as long as the domains.
        let domains =
            Rc::new(unsafe { Domains::new(plain, plain, plain, ArenaAllocator::of(mappings)) });
        let raw = PublicRaw(domains.clone());
        let heap = Box::new(Heap::<L>::new(raw, PresentArenas(domains.clone())));
        let heap = Box::into_raw(heap);
        let pools = Box::into_raw(Box::new(Pools(heap)));
        let with_pools: &[Domain] = if version >= Version(3, 6, 0) {
            &[Domain::Mem, Domain::Object]
        } else {
            &[Domain::Object]
        };
        for &domain in with_pools {
            // SAFETY: as above; nothing is live yet.
            unsafe { domains.set(domain, Allocator::of(pools)) };
        }
        Runtime {
            domains,
            style: Style::of(version),
            alarm,
            gil,
            library,
            mappings,
            heap,
            pools,
            layers: RefCell::new(Vec::new()),
        }
    }

    /// The domains.
    pub fn domains(&self) -> &Domains {
        &self.domains
    }

    /// pymalloc, for a look at it.
    pub fn heap(&mut self) -> &Pymalloc<L, impl Raw, impl super::ArenaSource> {
        // SAFETY: it lives as long as this, and the domains that use it are borrowed from this, so by nobody now.
        unsafe { &*self.heap }
    }

    /// Gives back arenas and bookkeeping, as CPython does when an interpreter ends.
    ///
    /// # Safety
    ///
    /// No block of pymalloc's is used afterwards.
    pub unsafe fn reset(&mut self) {
        // SAFETY: the caller's promise; nobody else uses the heap, see [`heap`](Runtime::heap).
        unsafe { (*self.heap).reset() }
    }

    /// Puts a debug layer over whatever is set in each domain (`PyMem_SetupDebugHooks`); where there is one on top,
    /// nothing changes. Up to 3.5 only debug builds of CPython do so.
    ///
    /// CPython has one layer for a domain. If something was set over it, it does not see it, puts the same on top again,
    /// and the next call never ends; here there are two layers then.
    ///
    /// # Safety
    ///
    /// No block of any domain is live: it would have no header.
    pub unsafe fn set_up_debug_hooks(&self) {
        let mut layers = self.layers.borrow_mut();
        for domain in DOMAINS {
            let beneath = self.domains.get(domain);
            if layers.iter().any(|layer| beneath.ctx == layer.cast()) {
                continue;
            }
            let (alarm, gil) = (self.alarm.clone(), self.gil.clone());
            // SAFETY: promised by whoever set it, for as long as blocks of it are live.
            let beneath = unsafe { Trusted::new(beneath) };
            let layer = Debug::with(beneath, domain, self.style, alarm, gil);
            let layer = Box::into_raw(Box::new(layer));
            layers.push(layer);
            // SAFETY: the layer keeps what lies beneath; nothing is live, by the caller's promise.
            unsafe { self.domains.set(domain, Allocator::of(layer)) };
        }
    }
}

impl<L: Layout, C: Raw + Clone, A: Alarm + Clone, G: Gil + Clone> Drop for Runtime<L, C, A, G> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`; whoever has the domains borrows this.
        unsafe {
            drop(Box::from_raw(self.library));
            drop(Box::from_raw(self.mappings));
            drop(Box::from_raw(self.heap));
            drop(Box::from_raw(self.pools));
            for layer in self.layers.take() {
                drop(Box::from_raw(layer));
            }
        }
    }
}
