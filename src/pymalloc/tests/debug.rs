//! The debug layer: what it writes where, what it notices, and what it says then. The texts are those of real
//! interpreters.

use super::world::Asked::*;
use super::world::{Watch, Watched};
use crate::pymalloc::*;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Keeps what it is told, and ends with a panic.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<u8>>>);

impl Alarm for Told {
    fn say(&mut self, text: &[u8]) {
        self.0.borrow_mut().extend_from_slice(text);
    }
    fn end(&mut self, last_words: &[u8]) -> ! {
        self.say(last_words);
        std::panic::resume_unwind(Box::new(()));
    }
}

/// A lock that is held or not.
#[derive(Clone)]
struct Key(Rc<Cell<bool>>);

impl Gil for Key {
    fn is_held(&self) -> bool {
        self.0.get()
    }
}

type Layer = Debug<Watched, Told, Key>;

/// A debug layer over a watched C library.
struct Layered {
    layer: Layer,
    watch: Watch,
    told: Told,
    key: Rc<Cell<bool>>,
}

fn style(version: &str) -> Style {
    Style::of(version.parse().unwrap())
}

fn layered(version: &str, domain: Domain) -> Layered {
    let watch = Watch::with_places(1);
    let (told, key) = (Told::default(), Rc::new(Cell::new(true)));
    let beneath = Watched(watch.world.clone());
    let layer = Debug::with(
        beneath,
        domain,
        style(version),
        told.clone(),
        Key(key.clone()),
    );
    Layered {
        layer,
        watch,
        told,
        key,
    }
}

impl Layered {
    /// What is around and in a block.
    fn bytes(&self, block: *mut u8, from: isize, to: isize) -> Vec<u8> {
        // SAFETY: tests look at what they own, or owned a moment ago over a library that kept it.
        unsafe { std::slice::from_raw_parts(block.offset(from), (to - from) as usize).to_vec() }
    }

    /// What is said when this is done, if it is the end.
    fn last_words(&mut self, act: impl FnOnce(&mut Layer)) -> String {
        let result = catch_unwind(AssertUnwindSafe(|| act(&mut self.layer)));
        assert!(result.is_err(), "nothing was noticed");
        String::from_utf8_lossy(&self.told.0.take()).into_owned()
    }

    fn fill(&mut self, size: usize) -> *mut u8 {
        let block = self.layer.malloc(size);
        for at in 0..size {
            // SAFETY: within the block.
            unsafe { block.add(at).write(at as u8) };
        }
        block
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn blocks_are_decorated_as_in_3_13() {
    let mut it = layered("3.13.0", Domain::Mem);
    let block = it.layer.malloc(5);
    assert_eq!(
        hex(&it.bytes(block, -16, 13)),
        "00000000000000056dfdfdfdfdfdfdfdcdcdcdcdcdfdfdfdfdfdfdfdfd"
    );
    let block = it.layer.malloc(0);
    assert_eq!(
        hex(&it.bytes(block, -16, 8)),
        "00000000000000006dfdfdfdfdfdfdfdfdfdfdfdfdfdfdfd"
    );
    let block = it.layer.calloc(2, 3);
    assert_eq!(hex(&it.bytes(block, 0, 6)), "000000000000");
    assert_eq!(it.watch.asked(), [Malloc(29), Malloc(24), Calloc(1, 30)]);
    for (domain, id) in [(Domain::Raw, b'r'), (Domain::Object, b'o')] {
        let mut it = layered("3.8", domain);
        let block = it.layer.malloc(258);
        assert_eq!(it.bytes(block, -10, -7), [1, 2, id]);
    }
}

#[test]
fn old_blocks_have_serial_numbers() {
    for (version, clean, forbidden) in [
        ("2.7", "cb", "fb"),
        ("3.6.15", "cb", "fb"),
        ("3.7.16", "cd", "fd"),
    ] {
        let mut it = layered(version, Domain::Mem);
        let (first, second) = (it.layer.malloc(2), it.layer.malloc(2));
        let expected = format!("{}{}", clean.repeat(2), forbidden.repeat(8));
        assert_eq!(hex(&it.bytes(first, 0, 10)), expected);
        let serial = |block| u64::from_be_bytes(it.bytes(block, 10, 18).try_into().unwrap());
        assert!(serial(second) > serial(first));
        assert_eq!(it.watch.asked(), [Malloc(34), Malloc(34)]);
    }
}

/// Since 3.7 what fails has no number. Others may count at the same time: the smallest distance is told.
#[test]
fn what_fails_was_counted_before_3_7() {
    for (version, least) in [("2.7", 2), ("3.6.15", 2), ("3.7.16", 1)] {
        let distance = || {
            let mut it = layered(version, Domain::Mem);
            let first = it.layer.malloc(2);
            it.watch.world.borrow_mut().fail_raw(1);
            assert!(it.layer.malloc(2).is_null());
            let freed = it.layer.malloc(2);
            let serial = |block| u64::from_be_bytes(it.bytes(block, 10, 18).try_into().unwrap());
            let distance = serial(freed) - serial(first);
            // SAFETY: the block is live.
            unsafe { it.layer.free(freed) };
            distance
        };
        let smallest = (0..100).map(|_| distance()).min();
        assert_eq!(smallest, Some(least), "{version}");
    }
}

#[test]
fn what_is_freed_is_dead() {
    // pymalloc keeps what it is given back, but for the link in the first word.
    let mut watch = Watch::<P16kR64>::with_places(1);
    watch.heap.malloc(64);
    let mut layer = Debug::over(*watch.heap, Domain::Object, style("3.13"));
    let block = layer.malloc(40);
    // SAFETY: the block is live; its pool stays mapped.
    unsafe {
        layer.free(block);
        let left = std::slice::from_raw_parts(block.sub(8), 8 + 40 + 8);
        assert!(left.iter().all(|&byte| byte == 0xdd), "{left:x?}");
    }
}

#[test]
fn nested_layers_wrap_twice() {
    let watch = Watch::new();
    let watched = Watched(watch.world.clone());
    let raw = Debug::over(watched.clone(), Domain::Raw, style("3.8"));
    let heap = Pymalloc::<P16kR64, _, _>::new(raw, watched);
    let mut object = Debug::over(heap, Domain::Object, style("3.8"));
    let block = object.malloc(600);
    assert_eq!(watch.asked(), [Malloc(648)]);
    // SAFETY: around the block there are two headers.
    let header = unsafe { std::slice::from_raw_parts(block.sub(32), 32) };
    assert_eq!((header[8], header[24]), (b'r', b'o'));
    assert_eq!(
        (&header[6..8], &header[22..24]),
        (&[2, 112][..], &[2, 88][..])
    );
}

/// What is around a block counts: requests of nothing are small ones, and those just below the threshold large ones.
#[test]
fn pools_serve_less_under_a_debug_layer() {
    for (version, extra) in [("3.6", 32), ("3.7.16", 32), ("3.8", 24), ("3.13", 24)] {
        let watch = Watch::new();
        let heap = Pymalloc::<P16kR64, _, _>::new(
            Watched(watch.world.clone()),
            Watched(watch.world.clone()),
        );
        let mut object = Debug::over(heap, Domain::Object, style(version));
        let mut is_pooled = |size| watch.place(object.malloc(size).addr()).is_some();
        assert!(is_pooled(0) && is_pooled(512 - extra), "{version}");
        watch.settle();
        assert!(!is_pooled(513 - extra), "{version}");
        assert_eq!(watch.asked(), [Malloc(513)], "{version}");
    }
}

#[test]
fn resizing_keeps_the_contents_and_marks_the_rest() {
    for version in ["2.7", "3.4.3", "3.6", "3.7", "3.13"] {
        for before in [0, 1, 16, 63, 64, 65, 127, 128, 129, 200, 300] {
            for after in [0, 1, 16, 63, 64, 65, 127, 128, 129, 200, 300] {
                let mut it = layered(version, Domain::Mem);
                let block = it.fill(before);
                // SAFETY: the block is live.
                let moved = unsafe { it.layer.realloc(block, after) };
                let clean = style(version).clean;
                let expected = |at: usize| if at < before { at as u8 } else { clean };
                let expected: Vec<u8> = (0..after).map(expected).collect();
                assert_eq!(
                    it.bytes(moved, 0, after as isize),
                    expected,
                    "{version}: {before} to {after}"
                );
                // SAFETY: the block is live; its header and trailer are found sound.
                unsafe { it.layer.free(moved) };
            }
        }
    }
}

#[test]
fn a_block_that_moved_left_dead_ends() {
    let mut watch = Watch::<P16kR64>::with_places(1);
    watch.heap.malloc(16);
    let mut layer = Debug::over(*watch.heap, Domain::Object, style("3.13"));
    let block = layer.malloc(300);
    // SAFETY: the block is live until it moves; its pool stays mapped.
    unsafe {
        block.write_bytes(0x41, 300);
        assert_ne!(layer.realloc(block, 20), block);
        let left = std::slice::from_raw_parts(block, 308);
        let dead = |range: std::ops::Range<usize>| left[range].iter().all(|&byte| byte == 0xdd);
        assert!(dead(0..64) && dead(236..308), "{left:x?}");
        assert!(left[64..236].iter().all(|&byte| byte == 0x41));
    }
}

#[test]
fn a_resize_that_fails_leaves_everything_as_it_was() {
    for version in ["3.7.16", "3.8", "3.13"] {
        for (before, after) in [
            (10, 5),
            (10, 500),
            (128, 4),
            (129, 4),
            (205, 100),
            (400, 401),
        ] {
            let mut it = layered(version, Domain::Raw);
            let block = it.fill(before);
            let extra = style(version).extra() as isize;
            let whole = it.bytes(block, -16, before as isize + extra - 16);
            it.watch.world.borrow_mut().fail_raw(1);
            // SAFETY: the block is live.
            assert!(unsafe { it.layer.realloc(block, after) }.is_null());
            assert_eq!(
                it.bytes(block, -16, before as isize + extra - 16),
                whole,
                "{version}: {before} to {after}"
            );
        }
    }
}

#[test]
fn a_2_7_that_cannot_shrink_gives_up() {
    for (version, after) in [("2.7.18", 5), ("2.7.18", 10)] {
        let mut it = layered(version, Domain::Mem);
        let block = it.fill(10);
        it.watch.world.borrow_mut().fail_raw(1);
        // SAFETY: the block is live.
        let words = it.last_words(|layer| unsafe {
            layer.realloc(block, after);
        });
        assert_eq!(words, "Fatal Python error: Shrinking reallocation failed\n");
    }
}

#[test]
fn the_limit_is_lower_by_what_is_around_a_block() {
    for (version, around) in [("3.8", 24), ("3.7", 32), ("3.4.3", 32)] {
        let mut it = layered(version, Domain::Raw);
        let block = it.fill(10);
        it.watch.settle();
        for size in [SIZE_LIMIT - around + 1, SIZE_LIMIT, usize::MAX - 7] {
            assert!(it.layer.malloc(size).is_null());
            assert!(it.layer.calloc(1, size).is_null());
            // SAFETY: the block is live.
            assert!(unsafe { it.layer.realloc(block, size) }.is_null());
        }
        assert_eq!(it.watch.asked(), [], "{version}");
        assert_eq!(it.bytes(block, 0, 10), (0..10).collect::<Vec<u8>>());
        assert!(it.layer.malloc(SIZE_LIMIT - around).is_null());
        assert_eq!(it.watch.asked(), [Malloc(SIZE_LIMIT)]);
    }
    let mut it = layered("2.7", Domain::Mem);
    assert!(it.layer.malloc(SIZE_LIMIT).is_null());
    assert_eq!(it.watch.asked(), [Malloc(SIZE_LIMIT + 32)]);
    assert!(it.layer.malloc(usize::MAX - 31).is_null());
    assert_eq!(it.watch.asked(), []);
}

#[test]
fn a_byte_behind_a_block_is_missed() {
    let mut it = layered("3.13", Domain::Mem);
    let block = it.layer.malloc(16);
    // SAFETY: the trailer is there.
    unsafe { block.add(16).write(0x78) };
    // SAFETY: the block is live.
    let words = it.last_words(|layer| unsafe { layer.free(block) });
    let expected = format!(
        "Debug memory block at address p={block:p}: API 'm'\n    \
         16 bytes originally requested\n    \
         The 7 pad bytes at p-7 are FORBIDDENBYTE, as expected.\n    \
         The 8 pad bytes at tail={:p} are not all FORBIDDENBYTE (0xfd):\n        \
         at tail+0: 0x78 *** OUCH\n        at tail+1: 0xfd\n        at tail+2: 0xfd\n        at tail+3: 0xfd\n        \
         at tail+4: 0xfd\n        at tail+5: 0xfd\n        at tail+6: 0xfd\n        at tail+7: 0xfd\n    \
         Data at p: cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd\n\n\
         Enable tracemalloc to get the memory block allocation traceback\n\n\
         Fatal Python error: _PyMem_DebugRawFree: bad trailing pad byte\n",
        block.wrapping_add(16)
    );
    assert_eq!(words, expected);
}

#[test]
fn a_byte_before_a_block_is_missed() {
    let mut it = layered("3.6", Domain::Mem);
    let block = it.fill(20);
    // SAFETY: the header is there.
    let serial = unsafe {
        block.sub(3).write(0x78);
        u64::from_be_bytes(block.add(28).cast::<[u8; 8]>().read())
    };
    // SAFETY: the block is live.
    let words = it.last_words(|layer| unsafe {
        layer.realloc(block, 3);
    });
    let expected = format!(
        "Debug memory block at address p={block:p}: API 'm'\n    \
         20 bytes originally requested\n    \
         The 7 pad bytes at p-7 are not all FORBIDDENBYTE (0xfb):\n        \
         at p-7: 0xfb\n        at p-6: 0xfb\n        at p-5: 0xfb\n        at p-4: 0xfb\n        \
         at p-3: 0x78 *** OUCH\n        at p-2: 0xfb\n        at p-1: 0xfb\n    \
         Because memory is corrupted at the start, the count of bytes requested\n       \
         may be bogus, and checking the trailing pad bytes may segfault.\n    \
         The 8 pad bytes at tail={:p} are FORBIDDENBYTE, as expected.\n    \
         The block was made by call #{serial} to debug malloc/realloc.\n    \
         Data at p: 00 01 02 03 04 05 06 07 ... 0c 0d 0e 0f 10 11 12 13\n\n\
         Enable tracemalloc to get the memory block allocation traceback\n\n\
         Fatal Python error: bad leading pad byte\n",
        block.wrapping_add(20)
    );
    assert_eq!(words, expected);
}

#[test]
fn every_byte_around_a_block_is_looked_at() {
    for version in ["2.7", "3.6", "3.13"] {
        let around = (-7..0).chain(13..21);
        for offset in around {
            for resized in [false, true] {
                let mut it = layered(version, Domain::Object);
                let block = it.fill(13);
                // SAFETY: header and trailer are there; the block is live.
                let words = unsafe {
                    let byte = block.offset(offset);
                    byte.write(byte.read() ^ 0x10);
                    it.last_words(|layer| {
                        if resized {
                            layer.realloc(block, 13);
                        } else {
                            layer.free(block);
                        }
                    })
                };
                let which = if offset < 0 {
                    "bad leading pad byte\n"
                } else {
                    "bad trailing pad byte\n"
                };
                assert!(words.ends_with(which), "{version}, {offset}: {words}");
            }
        }
    }
}

/// First the letter, then what is before the block, then what is behind it; and before anything else of a request.
#[test]
fn blocks_are_looked_at_from_the_front() {
    let spoil = |block: *mut u8, offsets: &[isize]| {
        for &offset in offsets {
            // SAFETY: header and trailer are there.
            unsafe {
                let byte = block.offset(offset);
                byte.write(byte.read() ^ 0x10);
            }
        }
    };
    for (offsets, noticed) in [
        (&[-8, -1, 13][..], "bad ID: Allocated using API"),
        (&[-1, 13], "bad leading pad byte\n"),
        (&[13], "bad trailing pad byte\n"),
    ] {
        let mut it = layered("3.13", Domain::Object);
        let (block, other) = (it.fill(13), it.fill(5));
        spoil(block, offsets);
        // SAFETY: the other block is live.
        unsafe { it.layer.free(other) };
        let others = [it.layer.malloc(1), it.layer.calloc(1, 1)];
        assert!(
            others.iter().all(|block| !block.is_null()),
            "and says nothing"
        );
        it.watch.settle();
        // SAFETY: the block is live.
        let words = it.last_words(|layer| unsafe {
            layer.realloc(block, SIZE_LIMIT);
        });
        assert!(words.contains(noticed), "{offsets:?}: {words}");
        assert_eq!(it.watch.asked(), []);
    }
}

#[test]
fn what_is_freed_twice_has_a_dead_letter() {
    for resized in [false, true] {
        let mut watch = Watch::<P16kR64>::with_places(1);
        watch.heap.malloc(64);
        let told = Told::default();
        let key = Key(Rc::new(Cell::new(true)));
        let mut layer = Debug::with(
            *watch.heap,
            Domain::Object,
            style("3.13"),
            told.clone(),
            key,
        );
        // What the dead size leads to is read by the dump: a size that leads nowhere else is put there.
        let block = layer.malloc(40);
        // SAFETY: the block is live the first time; its pool stays mapped.
        unsafe {
            layer.free(block);
            block.sub(16).cast::<u64>().write(40_u64.to_be());
        }
        let act = AssertUnwindSafe(|| {
            // SAFETY: the pool stays mapped.
            unsafe {
                if resized {
                    layer.realloc(block, 50);
                } else {
                    layer.free(block);
                }
            }
        });
        assert!(catch_unwind(act).is_err(), "nothing was noticed");
        let words = told.0.take();
        let expected = b"bad ID: Allocated using API '\xdd', verified using API 'o'";
        let noticed = words.windows(expected.len()).any(|words| words == expected);
        assert!(noticed, "{}", String::from_utf8_lossy(&words));
    }
}

#[test]
fn no_byte_inside_a_block_matters() {
    let mut it = layered("3.13", Domain::Raw);
    let block = it.layer.malloc(30);
    // SAFETY: the block is live.
    unsafe {
        block.write_bytes(0xfd, 30);
        let block = it.layer.realloc(block, 29);
        block.write_bytes(0, 29);
        it.layer.free(block);
    }
    assert!(it.told.0.borrow().is_empty());
}

#[test]
fn families_are_not_mixed() {
    let domains = [Domain::Raw, Domain::Mem, Domain::Object];
    for from in domains {
        for to in domains.into_iter().filter(|&to| to != from) {
            let mut it = layered("3.13", from);
            let block = it.layer.malloc(16);
            it.layer = Debug::with(
                Watched(it.watch.world.clone()),
                to,
                style("3.13"),
                it.told.clone(),
                Key(it.key.clone()),
            );
            // SAFETY: the block can be looked at.
            let words = it.last_words(|layer| unsafe { layer.free(block) });
            let ids = [from, to].map(|domain| char::from(domain as u8));
            let expected = format!(
                "Fatal Python error: _PyMem_DebugRawFree: bad ID: Allocated using API '{}', verified using API '{}'\n",
                ids[0], ids[1]
            );
            assert!(words.ends_with(&expected), "{words}");
        }
    }
}

#[test]
fn the_lock_must_be_held() {
    for (version, named) in [
        ("3.6", ""),
        ("3.8", ""),
        ("3.9", "_PyMem_DebugMalloc: "),
        ("3.13", "_PyMem_DebugMalloc: "),
    ] {
        let mut it = layered(version, Domain::Mem);
        it.key.set(false);
        let words = it.last_words(|layer| {
            layer.malloc(5);
        });
        assert_eq!(
            words,
            format!(
                "Fatal Python error: {named}Python memory allocator called without holding the GIL\n"
            )
        );
        // SAFETY: null is allowed.
        let words = it.last_words(|layer| unsafe { layer.free(std::ptr::null_mut()) });
        assert!(
            words.contains("without holding the GIL"),
            "even to free nothing"
        );
        assert_eq!(it.watch.asked(), []);
    }
    for (version, domain) in [
        ("3.13", Domain::Raw),
        ("3.5", Domain::Mem),
        ("2.7", Domain::Object),
    ] {
        let mut it = layered(version, domain);
        it.key.set(false);
        assert!(!it.layer.malloc(5).is_null());
    }
}

#[test]
fn nothing_is_nothing() {
    let mut it = layered("3.13", Domain::Mem);
    // SAFETY: null is allowed.
    unsafe {
        it.layer.free(std::ptr::null_mut());
        assert_eq!(it.watch.asked(), []);
        let block = it.layer.realloc(std::ptr::null_mut(), 7);
        assert_eq!(it.watch.asked(), [Malloc(31)]);
        assert_eq!(it.bytes(block, 0, 7), [0xcd; 7]);
    }
}
