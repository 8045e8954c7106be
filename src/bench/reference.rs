//! The reference beside CPython's own allocator of the same layout, and others for the record.

use super::clock::{median, timed};
use super::{Measure, Subject as Subjects, Target};
use crate::program::SplitMix;
use crate::pymalloc::{DefaultRaw, Mmap, P16kR64, Pymalloc};
use crate::run::c_library;
use crate::subject::{Native, Subject};
use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::hint::black_box;
use std::process::Command;
use std::ptr;

/// Calls of malloc, and as many of free, in a turn.
const PAIRS: usize = 400_000;
/// Blocks held before they are freed in some order.
const HELD: usize = 100_000;
const SLOTS: usize = 4096;
const TURNS: usize = 21;

/// One way of using an allocator of small objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A block of 64 bytes made and freed.
    Pairs,
    /// Blocks of 1 to 512 bytes replaced in random ones of 4,096 slots.
    Slots,
    /// 100,000 blocks of 1 to 512 bytes made, then freed: the last first.
    LastFirst,
    /// The first first.
    FirstFirst,
    /// In a random order.
    AnyOrder,
}

impl Usage {
    /// Every way.
    pub const ALL: [Usage; 5] = [
        Usage::Pairs,
        Usage::Slots,
        Usage::LastFirst,
        Usage::FirstFirst,
        Usage::AnyOrder,
    ];

    /// What it is, in a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Usage::Pairs => "64 bytes, made and freed",
            Usage::Slots => "1 to 512 bytes in 4,096 slots",
            Usage::LastFirst => "100,000 freed, last first",
            Usage::FirstFirst => "100,000 freed, first first",
            Usage::AnyOrder => "100,000 freed in any order",
        }
    }
}

/// Sizes, slots and orders, drawn beforehand.
pub struct Draws {
    sizes: Vec<u16>,
    slots: Vec<u16>,
    order: Vec<u32>,
    /// Where the blocks are kept: getting memory for that is no part of what is measured.
    blocks: Vec<Cell<*mut u8>>,
}

impl Draws {
    /// The same draws every time.
    pub fn new() -> Draws {
        let mut random = SplitMix::new(1);
        let mut order: Vec<u32> = (0..HELD as u32).collect();
        for end in (1..HELD).rev() {
            order.swap(end, random.below(end as u64 + 1) as usize);
        }
        Draws {
            sizes: (0..HELD).map(|_| 1 + random.below(512) as u16).collect(),
            slots: (0..HELD)
                .map(|_| random.below(SLOTS as u64) as u16)
                .collect(),
            order,
            blocks: vec![Cell::new(ptr::null_mut()); HELD],
        }
    }
}

impl Default for Draws {
    fn default() -> Draws {
        Draws::new()
    }
}

/// Uses an allocator; answers with how many pairs of calls it made.
pub fn exercise<S: Subject>(subject: &mut S, usage: Usage, draws: &Draws) -> usize {
    match usage {
        Usage::Pairs => {
            for _ in 0..PAIRS {
                // SAFETY: freed once, and not used.
                unsafe {
                    let block = subject.malloc(black_box(64));
                    subject.free(black_box(block));
                }
            }
            PAIRS
        }
        Usage::Slots => {
            let mut held = [ptr::null_mut(); SLOTS];
            for (&slot, &size) in draws.slots.iter().zip(&draws.sizes) {
                let block = &mut held[usize::from(slot)];
                // SAFETY: null or live; replaced at once.
                unsafe {
                    subject.free(*block);
                    *block = subject.malloc(usize::from(size));
                }
            }
            for block in held {
                // SAFETY: as above.
                unsafe { subject.free(block) };
            }
            HELD
        }
        Usage::LastFirst => held(subject, draws, (0..HELD).rev()),
        Usage::FirstFirst => held(subject, draws, 0..HELD),
        Usage::AnyOrder => {
            let order = draws.order.iter();
            held(subject, draws, order.map(|&turn| turn as usize))
        }
    }
}

/// Makes many blocks, each with its turn to be freed, and frees them. They are kept by turn: looking them up would be
/// waited for among the calls to `free`, whosever they are.
fn held<S: Subject>(subject: &mut S, draws: &Draws, turns: impl Iterator<Item = usize>) -> usize {
    for (&size, turn) in draws.sizes.iter().zip(turns) {
        // SAFETY: any size may be asked for.
        draws.blocks[turn].set(unsafe { subject.malloc(usize::from(size)) });
    }
    for block in &draws.blocks {
        // SAFETY: every block has a turn of its own.
        unsafe { subject.free(block.get()) };
    }
    HELD
}

/// One block in so many is kept of a heap that was used before.
const KEPT: usize = 997;

/// Uses an allocator and keeps a few blocks, some in every arena: mapping arenas and giving them back is the kernel's
/// work, and all allocators would be measured by that.
pub fn broken_in<S: Subject>(subject: &mut S, draws: &Draws) -> Vec<*mut u8> {
    let mut kept = Vec::new();
    let mut all = Vec::with_capacity(HELD);
    for &size in &draws.sizes {
        // SAFETY: any size may be asked for.
        all.push(unsafe { subject.malloc(usize::from(size)) });
    }
    for (index, block) in all.into_iter().enumerate() {
        if index % KEPT == 0 {
            kept.push(block);
        } else {
            // SAFETY: live, and forgotten.
            unsafe { subject.free(block) };
        }
    }
    kept
}

/// The reference without hooks, as a program that wants an allocator would have it.
pub fn reference() -> Box<Pymalloc<P16kR64>> {
    Box::new(Pymalloc::new(DefaultRaw::new(), Mmap::new()))
}

pub(super) fn measure() -> Vec<Measure> {
    let draws = Draws::new();
    let others: Vec<(String, Native)> = std::iter::once(("glibc".to_owned(), c_library()))
        .chain(cpython())
        .chain(LIBRARIES.iter().filter_map(|library| library.open()))
        .collect();
    for (_, other) in &others {
        // What is kept is kept for good: the process ends soon.
        broken_in(&mut { *other }, &draws);
    }
    let mut measures = Vec::new();
    for usage in Usage::ALL {
        let mut ours = Vec::new();
        let mut ratios = vec![Vec::new(); others.len()];
        let mut heap = reference();
        broken_in(&mut *heap, &draws);
        for turn in 0..=TURNS {
            let mut pairs = 0;
            let time = timed(|| pairs = exercise(&mut *heap, usage, &draws)).as_secs_f64();
            let beside: Vec<f64> = others
                .iter()
                .map(|&(_, mut other)| timed(|| exercise(&mut other, usage, &draws)).as_secs_f64())
                .collect();
            // The first turn meets cold caches and untouched pages.
            if turn > 0 {
                ours.push(time * 1e9 / (2 * pairs) as f64);
                for (ratios, other) in ratios.iter_mut().zip(beside) {
                    ratios.push(time / other);
                }
            }
        }
        let words = usage.words();
        measures.push(Measure::new(Subjects::Reference, words, median(ours), "ns"));
        for ((name, _), ratios) in others.iter().zip(ratios) {
            let what = format!("{words}: beside {name}");
            let measure = Measure::new(Subjects::Reference, what, median(ratios), "x");
            measures.push(if name.starts_with("CPython") {
                measure.with_target(Target::AtMost(0.8))
            } else {
                measure
            });
        }
    }
    measures
}

/// A library with an allocator that can be opened.
struct Library {
    name: &'static str,
    file: &'static str,
    malloc: &'static str,
    free: &'static str,
}

const LIBRARIES: [Library; 2] = [
    Library {
        name: "mimalloc",
        file: "libmimalloc.so.2",
        malloc: "mi_malloc",
        free: "mi_free",
    },
    Library {
        name: "jemalloc",
        file: "libjemalloc.so.2",
        malloc: "malloc",
        free: "free",
    },
];

impl Library {
    fn open(&self) -> Option<(String, Native)> {
        let native = open(self.file, self.malloc, self.free)?;
        Some((self.name.to_owned(), native))
    }
}

/// CPython's own allocator, if there is an interpreter as a library that lets it be called before it was initialised:
/// 3.11 and earlier do. The layout of the reference is that of 3.10 and 3.11.
pub fn cpython() -> Option<(String, Native)> {
    let usual = ["11", "10"].map(|minor| format!("libpython3.{minor}.so.1.0"));
    let asked = interpreters().filter_map(library_of);
    let opened = |file: String| {
        let native = open(&file, "PyObject_Malloc", "PyObject_Free")?;
        let version = file.split("libpython").nth(1)?.split(".so").next()?;
        Some((format!("CPython {version}"), native))
    };
    usual.into_iter().chain(asked).find_map(opened)
}

fn interpreters() -> impl Iterator<Item = &'static str> {
    ["python3.11", "python3.10"].into_iter()
}

/// The path of an interpreter's shared library, if it has one.
fn library_of(interpreter: &str) -> Option<String> {
    const ASK: &str = "import sysconfig as s; \
                       print(s.get_config_var('LIBDIR') + '/' + s.get_config_var('INSTSONAME'))";
    let output = Command::new(interpreter).args(["-c", ASK]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    path.trim().contains(".so").then(|| path.trim().to_owned())
}

/// The two functions of a library that can be found and opened.
fn open(file: &str, malloc: &str, free: &str) -> Option<Native> {
    let file = CString::new(file).ok()?;
    // SAFETY: runs the constructors of a library that is known to have none that hurt.
    let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return None;
    }
    let mut native = Native::default();
    for (name, symbol) in [("malloc", malloc), ("free", free)] {
        let address = symbol_of(handle, symbol)?;
        // SAFETY: functions of these names have the types of malloc and free.
        unsafe { native.set(name, address) };
    }
    Some(native)
}

fn symbol_of(handle: *mut c_void, symbol: &str) -> Option<*mut c_void> {
    let symbol = CString::new(symbol).ok()?;
    // SAFETY: the handle is open; the name is a C string.
    let address = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
    (!address.is_null()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usage_gives_back_what_it_takes() {
        let draws = Draws::new();
        let mut heap = reference();
        for usage in Usage::ALL {
            assert!(exercise(&mut *heap, usage, &draws) > 0);
            assert_eq!(heap.allocated_blocks(), 0, "{usage:?}");
        }
    }
}
