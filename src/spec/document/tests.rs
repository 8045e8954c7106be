//! The reference does what a statement says really happens, and not what the document says.

use crate::pymalloc::*;
use crate::spec::Catalogue;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::rc::Rc;

/// A source that writes down the sizes it is asked for and never takes anything back: what was freed can be looked at.
#[derive(Clone, Default)]
struct Keeping {
    asked: Rc<RefCell<Vec<usize>>>,
    refuses: bool,
}

// SAFETY: the C library's blocks, which nobody else gets, for they are not freed.
unsafe impl Raw for Keeping {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.asked.borrow_mut().push(size);
        CLibrary.malloc(size)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.asked.borrow_mut().push(count * size);
        CLibrary.calloc(count, size)
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if self.refuses {
            return std::ptr::null_mut();
        }
        let moved = self.malloc(size);
        if !block.is_null() {
            // SAFETY: tests only make blocks smaller.
            unsafe { std::ptr::copy_nonoverlapping(block, moved, size) };
        }
        moved
    }
    unsafe fn free(&mut self, _: *mut u8) {}
}

/// Ends with a panic that has the last words.
#[derive(Clone, Copy)]
struct Panics;

impl Alarm for Panics {
    fn say(&mut self, _: &[u8]) {}
    fn end(&mut self, last_words: &[u8]) -> ! {
        std::panic::resume_unwind(Box::new(String::from_utf8_lossy(last_words).into_owned()))
    }
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

fn geometry(edition: &str) -> Geometry {
    edition.parse::<Edition>().expect("an edition").geometry()
}

fn debug(text: &str) -> (Debug<Keeping>, Keeping) {
    let source = Keeping::default();
    let layer = Debug::over(source.clone(), Domain::Mem, Style::of(version(text)));
    (layer, source)
}

fn debug_both_ends() {
    for (text, extra) in [("3.7", 32), ("3.8", 24), ("3.13", 24)] {
        let (mut layer, source) = debug(text);
        layer.malloc(100);
        assert_eq!(source.asked.take(), [100 + extra], "{text}");
    }
}

/// What is left at the old place of a block of 300 bytes, full of 7, that was shrunk to 200.
fn shrunk(text: &str) -> Vec<u8> {
    let (mut layer, _) = debug(text);
    let block = layer.malloc(300);
    // SAFETY: the block has this size; the source keeps it.
    unsafe {
        block.write_bytes(7, 300);
        layer.realloc(block, 200);
        std::slice::from_raw_parts(block, 300).to_vec()
    }
}

fn debug_shrink_dead() {
    assert_eq!(shrunk("3.4"), [7; 300]);
    assert_eq!(shrunk("3.6"), [7; 300]);
    let (dead, data) = (vec![0xdd; 64], vec![7; 300 - 128]);
    assert_eq!(shrunk("3.13"), [&dead[..], &data, &dead].concat());
}

fn debug_bytes() {
    let bytes = |text| {
        let style = Style::of(version(text));
        [style.clean, style.dead, style.forbidden]
    };
    assert_eq!(bytes("3.7.3"), [0xcb, 0xdb, 0xfb]);
    assert_eq!(bytes("3.7.16"), bytes("3.8"));
    assert_eq!(bytes("3.8"), [0xcd, 0xdd, 0xfd]);
}

fn debug_any_build() {
    let runtime = Runtime::<P16kR64>::new(version("3.13"));
    // SAFETY: nothing is live.
    unsafe { runtime.set_up_debug_hooks() };
    let block = runtime.domains().malloc(Domain::Mem, 3);
    // SAFETY: the block has this size.
    unsafe { assert_eq!(std::slice::from_raw_parts(block, 3), [0xcd; 3]) };
}

fn arena_256_kib() {
    assert_eq!(geometry("3.9").arena, 256 << 10);
    for edition in ["3.10", "3.12.0", "3.13"] {
        assert_eq!(geometry(edition).arena, 1 << 20, "{edition}");
        assert_eq!(geometry(edition).pool, 16 << 10, "{edition}");
    }
}

fn smaller_than_512() {
    let source = Keeping::default();
    let mut heap = Box::new(Pymalloc::<Before37<P4k8>, _>::new(
        source.clone(),
        Mmap::new(),
    ));
    heap.malloc(1);
    source.asked.take();
    heap.malloc(512);
    assert!(source.asked.take().is_empty());
    heap.malloc(513);
    assert_eq!(source.asked.take(), [513]);
}

fn arena_free_order() {
    unsafe extern "C-unwind" fn alloc(_: *mut c_void, size: usize) -> *mut c_void {
        Mmap::new().alloc(size).cast()
    }
    unsafe extern "C-unwind" fn free(ctx: *mut c_void, base: *mut c_void, size: usize) {
        assert_eq!(size, geometry("3.5").arena);
        // SAFETY: the context is the count of this test; the arena was mapped by `alloc`.
        unsafe {
            *ctx.cast::<usize>() += 1;
            Mmap::new().free(base.cast(), size);
        }
    }
    let runtime = Runtime::<Before37<P4k8>>::new(version("3.5"));
    let mut freed = 0_usize;
    let ctx = (&raw mut freed).cast();
    // SAFETY: the functions keep their promises as long as this runs; the block is live.
    unsafe {
        runtime
            .domains()
            .set_arenas(ArenaAllocator { ctx, alloc, free });
        let block = runtime.domains().malloc(Domain::Object, 1);
        runtime.domains().free(Domain::Object, block);
    }
    assert_eq!(freed, 1);
}

fn realloc_zero_never_null() {
    let refusing = Keeping {
        refuses: true,
        ..Keeping::default()
    };
    let mut heap = Box::new(Pymalloc::<P4k16, _>::new(refusing.clone(), Mmap::new()));
    let mut old = Box::new(Pymalloc::<Before37<P4k16>, _>::new(refusing, Mmap::new()));
    let (block, old_block) = (heap.malloc(600), old.malloc(600));
    // SAFETY: the blocks are live.
    unsafe {
        assert!(heap.realloc(block, 0).is_null());
        assert_eq!(old.realloc(old_block, 0), old_block);
    }
}

fn calloc_in_2_7() {
    let promises = |name: &str| {
        let profile = Catalogue::embedded().profile(name).expect("a profile");
        profile.promises("calloc")
    };
    assert!(!promises("cpython-2.7") && !promises("cpython-3.4") && promises("cpython-3.5"));
}

fn classes_of_8() {
    let classes = |edition| {
        let geometry = geometry(edition);
        (
            geometry.alignment,
            geometry.threshold / geometry.alignment,
            geometry.pool >> 10,
        )
    };
    assert_eq!(classes("2.7.16"), (8, 64, 4));
    assert_eq!(classes("2.7.17"), (16, 32, 4));
    assert_eq!(classes("3.7.3"), (8, 64, 4));
    assert_eq!(classes("3.7.4"), (16, 32, 4));
    assert_eq!(classes("3.10"), (16, 32, 16));
}

fn sample_mixes_families() {
    let runtime = Runtime::<P16kR64, _, _, _>::with(version("3.13"), CLibrary, Panics, OneThread);
    // SAFETY: nothing is live.
    unsafe { runtime.set_up_debug_hooks() };
    let block = runtime.domains().malloc(Domain::Raw, 10);
    let mixed = std::panic::AssertUnwindSafe(|| {
        // SAFETY: the debug layer looks at the block before anything else is done to it.
        unsafe { runtime.domains().free(Domain::Mem, block) }
    });
    let words = std::panic::catch_unwind(mixed).expect_err("families are mixed");
    let words = words.downcast_ref::<String>().expect("last words");
    assert!(
        words.contains("bad ID: Allocated using API 'r', verified using API 'm'"),
        "{words}"
    );
}

#[test]
fn the_reference_shows_what_really_happens() {
    let shows: BTreeMap<&str, fn()> = BTreeMap::from([
        ("debug-both-ends", debug_both_ends as fn()),
        ("debug-shrink-dead", debug_shrink_dead),
        ("debug-bytes", debug_bytes),
        ("debug-any-build", debug_any_build),
        ("arena-256-kib", arena_256_kib),
        ("smaller-than-512", smaller_than_512),
        ("arena-free-order", arena_free_order),
        ("realloc-zero-never-null", realloc_zero_never_null),
        ("calloc-in-2.7", calloc_in_2_7),
        ("classes-of-8", classes_of_8),
        ("sample-mixes-families", sample_mixes_families),
    ]);
    let mut shown = 0;
    for statement in Catalogue::embedded().statements() {
        let show = shows.get(statement.id.as_str());
        assert_eq!(
            show.is_some(),
            statement.shown == "reference",
            "{}",
            statement.id
        );
        if let Some(show) = show {
            show();
            shown += 1;
        }
    }
    assert_eq!(shown, shows.len());
}
