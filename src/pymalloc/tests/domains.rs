//! The domains: what is set in each by default, what reaches the allocators that are set, and what never does.

use super::world::Asked::{self, *};
use super::world::{Watch, Watched, World};
use crate::pymalloc::*;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;

const ALL: [Domain; 3] = [Domain::Raw, Domain::Mem, Domain::Object];

/// A runtime over a watched C library.
struct Interpreter<L: Layout> {
    runtime: Runtime<L, Watched>,
    world: Rc<RefCell<World>>,
}

impl<L: Layout> Interpreter<L> {
    fn new(version: &str) -> Interpreter<L> {
        let world = Watch::<L>::with_places(1).world.clone();
        let library = Watched(world.clone());
        let runtime = Runtime::with(version.parse().unwrap(), library, Abort, OneThread);
        Interpreter { runtime, world }
    }

    /// What the C library was asked for since the last look.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.world.borrow_mut().asked)
    }

    fn domains(&self) -> &Domains {
        self.runtime.domains()
    }
}

/// A call that reached a hook: the context, the arguments.
type Seen = (usize, &'static str, usize, usize);

/// A hook that writes down what it is asked for and hands it on, or refuses it.
struct Spy {
    beneath: Allocator,
    refuses: Cell<bool>,
    seen: RefCell<Vec<Seen>>,
}

impl Spy {
    fn over(beneath: Allocator) -> Box<Spy> {
        Box::new(Spy {
            beneath,
            refuses: Cell::new(false),
            seen: RefCell::new(Vec::new()),
        })
    }

    /// The allocator that leads here.
    fn allocator(&self) -> Allocator {
        unsafe fn note(ctx: *mut c_void, call: &'static str, a: usize, b: usize) -> &'static Spy {
            // SAFETY: the context of every allocator made here is a spy, which tests keep.
            let spy = unsafe { &*ctx.cast::<Spy>() };
            spy.seen.borrow_mut().push((ctx.addr(), call, a, b));
            spy
        }
        unsafe extern "C-unwind" fn malloc(ctx: *mut c_void, size: usize) -> *mut c_void {
            // SAFETY: as above; what is handed on is what was passed.
            unsafe {
                let spy = note(ctx, "malloc", size, 0);
                if spy.refuses.get() {
                    return ptr::null_mut();
                }
                (spy.beneath.malloc)(spy.beneath.ctx, size)
            }
        }
        unsafe extern "C-unwind" fn calloc(
            ctx: *mut c_void,
            count: usize,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: as above.
            unsafe {
                let spy = note(ctx, "calloc", count, size);
                (spy.beneath.calloc)(spy.beneath.ctx, count, size)
            }
        }
        unsafe extern "C-unwind" fn realloc(
            ctx: *mut c_void,
            block: *mut c_void,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: as above.
            unsafe {
                let spy = note(ctx, "realloc", block.addr(), size);
                if spy.refuses.get() {
                    return ptr::null_mut();
                }
                (spy.beneath.realloc)(spy.beneath.ctx, block, size)
            }
        }
        unsafe extern "C-unwind" fn free(ctx: *mut c_void, block: *mut c_void) {
            // SAFETY: as above.
            unsafe {
                let spy = note(ctx, "free", block.addr(), 0);
                (spy.beneath.free)(spy.beneath.ctx, block)
            }
        }
        Allocator {
            ctx: ptr::from_ref(self).cast_mut().cast(),
            malloc,
            calloc,
            realloc,
            free,
        }
    }

    /// The calls since the last look, all with the spy's own context.
    fn seen(&self) -> Vec<(&'static str, usize, usize)> {
        let own = ptr::from_ref(self).addr();
        let seen = self.seen.take().into_iter();
        seen.map(|(ctx, call, a, b)| {
            assert_eq!(ctx, own, "the context of another");
            (call, a, b)
        })
        .collect()
    }
}

/// Puts a spy over what is set in a domain.
fn spy_on(domains: &Domains, domain: Domain) -> Box<Spy> {
    let spy = Spy::over(domains.get(domain));
    // SAFETY: it hands everything on, and tests keep it as long as the domains.
    unsafe { domains.set(domain, spy.allocator()) };
    spy
}

#[test]
fn mem_is_pymalloc_since_3_6_and_never_the_raw_domain() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    let spy = spy_on(interpreter.domains(), Domain::Raw);
    let [mem, object] =
        [Domain::Mem, Domain::Object].map(|domain| interpreter.domains().malloc(domain, 100));
    assert_eq!(object.addr() - mem.addr(), 112, "they share their pools");
    assert_eq!(
        spy.seen().iter().map(|call| call.0).collect::<Vec<_>>(),
        ["realloc", "calloc", "calloc"],
        "the vector of arenas and the nodes of the address map"
    );

    let interpreter = Interpreter::<Before37<P4k8>>::new("3.5");
    let spy = spy_on(interpreter.domains(), Domain::Raw);
    interpreter.domains().malloc(Domain::Mem, 100);
    assert_eq!(interpreter.asked(), [Malloc(100)]);
    assert_eq!(spy.seen(), [], "the C library is asked past the raw domain");
}

#[test]
fn the_defaults_never_ask_the_c_library_for_nothing() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    for domain in ALL {
        interpreter.domains().malloc(domain, 0);
        interpreter.domains().calloc(domain, 0, 7);
    }
    assert_eq!(interpreter.asked(), [Malloc(1), Calloc(1, 1)].repeat(3));
    let spy = spy_on(interpreter.domains(), Domain::Raw);
    interpreter.domains().malloc(Domain::Object, 0);
    interpreter.domains().calloc(Domain::Mem, 7, 0);
    assert_eq!(spy.seen(), [("malloc", 0, 0), ("calloc", 7, 0)]);
}

#[test]
fn nobody_is_asked_for_more_than_there_can_be() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    let domains = interpreter.domains();
    for domain in ALL {
        let spy = spy_on(domains, domain);
        let block = domains.malloc(domain, 10);
        spy.seen();
        for size in [SIZE_LIMIT + 1, usize::MAX] {
            assert!(domains.malloc(domain, size).is_null());
            assert!(domains.calloc(domain, 1, size).is_null());
            assert!(domains.calloc(domain, size / 2 + 1, 2).is_null());
            // SAFETY: the block is live, and stays so.
            assert!(unsafe { domains.realloc(domain, block, size).is_null() });
        }
        assert_eq!(spy.seen(), []);
        spy.refuses.set(true);
        assert!(domains.malloc(domain, SIZE_LIMIT).is_null());
        assert!(domains.calloc(domain, SIZE_LIMIT, 1).is_null());
        // SAFETY: as above.
        assert!(unsafe { domains.realloc(domain, block, SIZE_LIMIT).is_null() });
        let limit = [
            ("malloc", SIZE_LIMIT, 0),
            ("calloc", SIZE_LIMIT, 1),
            ("realloc", block.addr(), SIZE_LIMIT),
        ];
        assert_eq!(spy.seen(), limit, "the limit itself is passed on");
        spy.refuses.set(false);
        // SAFETY: the block is live.
        unsafe { domains.free(domain, block) };
        // SAFETY: what is live was handed on.
        unsafe { domains.set(domain, spy.beneath) };
    }
}

#[test]
fn a_hook_sees_what_was_asked_for_with_its_context_and_only_while_it_is_set() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    let domains = interpreter.domains();
    for domain in ALL {
        let spy = spy_on(domains, domain);
        // SAFETY: the blocks are live; null is none.
        unsafe {
            let block = domains.malloc(domain, 42);
            let moved = domains.realloc(domain, block, 200);
            let zeroed = domains.calloc(domain, 2, 5);
            domains.free(domain, moved);
            domains.free(domain, zeroed);
            domains.free(domain, ptr::null_mut());
            domains.realloc(domain, ptr::null_mut(), 3);
            let seen = [
                ("malloc", 42, 0),
                ("realloc", block.addr(), 200),
                ("calloc", 2, 5),
                ("free", moved.addr(), 0),
                ("free", zeroed.addr(), 0),
                ("free", 0, 0),
                ("realloc", 0, 3),
            ];
            assert_eq!(spy.seen(), seen);
            let again = domains.get(domain);
            domains.set(domain, again);
            domains.malloc(domain, 1);
            assert_eq!(spy.seen(), [("malloc", 1, 0)], "what is got can be set");
            domains.set(domain, spy.beneath);
        }
        domains.malloc(domain, 42);
        assert_eq!(spy.seen(), []);
    }
}

#[test]
fn arenas_come_from_what_is_set_at_the_time() {
    thread_local!(static SEEN: RefCell<Vec<(usize, Option<usize>)>> = const { RefCell::new(Vec::new()) });
    unsafe extern "C-unwind" fn alloc(ctx: *mut c_void, size: usize) -> *mut c_void {
        SEEN.with_borrow_mut(|seen| seen.push((ctx.addr(), Some(size))));
        Mmap::new().alloc(size).cast()
    }
    unsafe extern "C-unwind" fn free(ctx: *mut c_void, base: *mut c_void, size: usize) {
        assert_eq!(size, P4k16::ARENA_SIZE);
        SEEN.with_borrow_mut(|seen| seen.push((ctx.addr(), None)));
        // SAFETY: it was mapped, here or by the default, which maps as well.
        unsafe { Mmap::new().free(base.cast(), size) }
    }
    let mut interpreter = Interpreter::<P4k16>::new("3.8");
    let domains = interpreter.domains();
    let first = domains.malloc(Domain::Object, 512);
    let ctx = ptr::without_provenance_mut(0xa5);
    // SAFETY: they keep their promises.
    unsafe { domains.set_arenas(ArenaAllocator { ctx, alloc, free }) };
    assert_eq!(domains.arenas().ctx, ctx);
    let more: Vec<*mut u8> = (0..448).map(|_| domains.malloc(Domain::Mem, 512)).collect();
    let size = Some(P4k16::ARENA_SIZE);
    assert_eq!(SEEN.take(), [(0xa5, size)]);
    for block in more.into_iter().rev() {
        // SAFETY: the block is live.
        unsafe { domains.free(Domain::Mem, block) };
    }
    // SAFETY: as above.
    unsafe { domains.free(Domain::Object, first) };
    assert_eq!(SEEN.take(), [(0xa5, None); 2], "older arenas as well");
    assert_eq!(interpreter.runtime.heap().allocated_blocks(), 0);
    interpreter.runtime.heap().check_invariants().unwrap();
}

#[test]
fn arrays_are_as_large_as_they_can_be_and_no_larger() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    let domains = interpreter.domains();
    let spy = spy_on(domains, Domain::Mem);
    let mut array: *mut u32 = domains.new_array(5);
    assert!(!domains.new_array::<u64>(0).is_null());
    assert!(domains.new_array::<u64>(SIZE_LIMIT / 8 + 1).is_null());
    assert!(domains.new_array::<u16>(usize::MAX / 2 + 2).is_null());
    assert_eq!(spy.seen(), [("malloc", 20, 0), ("malloc", 0, 0)]);
    let before = array;
    // SAFETY: the array is live.
    unsafe {
        before.write(7);
        domains.resize_array(&mut array, 100);
        assert_eq!(array.read(), 7);
        assert_eq!(spy.seen(), [("realloc", before.addr(), 400)]);
        let kept = array;
        domains.resize_array(&mut array, SIZE_LIMIT / 4 + 1);
        assert!(array.is_null(), "the address is lost");
        assert_eq!(spy.seen(), [], "and nobody was asked");
        assert_eq!(kept.read(), 7, "what it led to is live");
        domains.free(Domain::Mem, kept.cast());
    }
}

#[test]
fn debug_layers_are_put_over_what_is_set_and_once() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    let domains = interpreter.domains();
    let raw = spy_on(domains, Domain::Raw);
    let mem = spy_on(domains, Domain::Mem);
    // SAFETY: nothing is live.
    unsafe {
        interpreter.runtime.set_up_debug_hooks();
        interpreter.runtime.set_up_debug_hooks();
    }
    let block = domains.malloc(Domain::Mem, 600);
    assert_eq!(mem.seen(), [("malloc", 624, 0)], "one header and trailer");
    assert_eq!(
        raw.seen(),
        [("malloc", 648, 0)],
        "within those of the raw domain"
    );
    // SAFETY: the header is there; the block is live.
    unsafe {
        assert_eq!(block.sub(8).read(), b'm');
        domains.free(Domain::Mem, block);
    }
    domains.malloc(Domain::Object, 488);
    raw.seen();
    let most = domains.malloc(Domain::Object, 488);
    assert_eq!(
        raw.seen(),
        [],
        "pools serve as much as a header and a trailer leave"
    );
    // SAFETY: the block is live.
    unsafe { domains.free(Domain::Object, most) };
    domains.malloc(Domain::Object, 489);
    assert!(raw.seen().contains(&("malloc", 513 + 24, 0)));
}

#[test]
fn what_replaces_a_layer_can_be_given_one() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    let domains = interpreter.domains();
    let plain = Spy::over(domains.get(Domain::Object));
    // SAFETY: nothing is live; the spy hands everything on to pymalloc.
    unsafe {
        interpreter.runtime.set_up_debug_hooks();
        domains.set(Domain::Object, plain.allocator());
        domains.free(Domain::Object, domains.malloc(Domain::Object, 10));
        assert_eq!(plain.seen()[0], ("malloc", 10, 0), "the layer is gone");
        interpreter.runtime.set_up_debug_hooks();
    }
    domains.malloc(Domain::Object, 10);
    assert_eq!(plain.seen(), [("malloc", 34, 0)]);
}

/// A layer that something was set over is not seen. CPython calls itself without end then; here a block has two headers.
#[test]
fn a_layer_below_a_hook_is_not_seen() {
    let interpreter = Interpreter::<P16kR64>::new("3.13");
    let domains = interpreter.domains();
    // SAFETY: nothing is live.
    let spy = unsafe {
        interpreter.runtime.set_up_debug_hooks();
        let spy = spy_on(domains, Domain::Mem);
        interpreter.runtime.set_up_debug_hooks();
        spy
    };
    let block = domains.malloc(Domain::Mem, 10);
    assert_eq!(spy.seen(), [("malloc", 34, 0)]);
    // SAFETY: the headers are there.
    let letters = unsafe { [block.sub(8).read(), block.sub(24).read()] };
    assert_eq!(letters, [b'm'; 2]);
}

/// `sys.getallocatedblocks` tells of what pymalloc handed out, wherever it had it from.
#[test]
fn what_pymalloc_hands_out_is_counted() {
    for (version, counted) in [
        ("3.13", [0, 30, 30]),
        ("3.6", [0, 30, 30]),
        ("3.4.3", [0, 0, 30]),
    ] {
        for (domain, counted) in ALL.into_iter().zip(counted) {
            let mut interpreter = Interpreter::<P16kR64>::new(version);
            let blocks: Vec<*mut u8> = [0, 100, 600]
                .into_iter()
                .flat_map(|size| [size; 10])
                .map(|size| interpreter.domains().malloc(domain, size))
                .collect();
            let told = interpreter.runtime.heap().allocated_blocks();
            assert_eq!(told, counted, "{version}: {domain:?}");
            for block in blocks {
                // SAFETY: the block is live.
                unsafe { interpreter.domains().free(domain, block) };
            }
            assert_eq!(interpreter.runtime.heap().allocated_blocks(), 0);
        }
    }
}
