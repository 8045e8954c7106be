//! The debug hooks of real interpreters as they bite, and the reference's debug layer beside them: the same misuse must
//! end in the same way, with the same words.

use crate::interpreters::{scripted, with_hooks};
use allocspec::pymalloc::{Alarm, CLibrary, Debug, Domain, Gil, Raw, Style, Version};
use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::{Command, Output};
use std::rc::Rc;

/// What the interpreter is to do.
const SCRIPT: &str = include_str!("misuse.py");
/// Calls for a block without the lock.
const CALL: &str = "\
import ctypes, sys
malloc = ctypes.CDLL(None).PyObject_Malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
malloc(430)
sys.stderr.write('nothing was noticed\\n')
";
/// Four threads without the lock, each of which fills raw blocks with a byte of its own; fails if one is spoilt.
const THREADS: &str = "\
import ctypes, random, sys, threading
library = ctypes.CDLL(None)
malloc, realloc, free = library.PyMem_RawMalloc, library.PyMem_RawRealloc, library.PyMem_RawFree
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
realloc.restype, realloc.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t]
free.restype, free.argtypes = None, [ctypes.c_void_p]
whole = []
def work(fill):
    some = random.Random(fill)
    for _ in range(5000):
        old, new = int(5001 * some.random()), int(5001 * some.random())
        block = malloc(old)
        ctypes.memset(block, fill[0], old)
        block = realloc(block, new)
        kept = min(old, new)
        if ctypes.string_at(block, kept) != fill * kept:
            return
        free(block)
    whole.append(fill)
threads = [threading.Thread(target=work, args=(fill,)) for fill in (b'a', b'b', b'c', b'd')]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(len(whole) != len(threads))
";
/// Bytes of the block: of a class that the interpreter hardly uses itself, with room after the trailer.
const SIZE: isize = 430;
const DOMAINS: [Domain; 3] = [Domain::Raw, Domain::Mem, Domain::Object];

/// A block misused.
#[derive(Clone, Copy, Debug)]
struct Misuse {
    made_by: Domain,
    /// Where a byte is written, from the start of the block.
    spoilt: Option<isize>,
    /// What is done with it last: `free`, `resize`, or `twice`, which is to free it again.
    last: &'static str,
    by: Domain,
    /// Whether the lock is held then.
    held: bool,
}

const FREED: Misuse = Misuse {
    made_by: Domain::Object,
    spoilt: None,
    last: "free",
    by: Domain::Object,
    held: true,
};

/// What is said of a misuse, to the words that end it, without addresses and serial numbers.
fn words(said: &[u8]) -> String {
    let mut words = String::new();
    for line in String::from_utf8_lossy(said).lines() {
        let mut rest = line;
        while let Some(at) = rest.find("=0x").or_else(|| rest.find("call #")) {
            let digits = at + rest[at..].find(['x', '#']).expect("just found") + 1;
            words += &rest[..digits];
            rest = rest[digits..].trim_start_matches(|c: char| c.is_ascii_hexdigit());
        }
        words += rest;
        words.push('\n');
        if line.starts_with("Fatal Python error") {
            break;
        }
    }
    words
}

fn letter(domain: Domain) -> String {
    char::from(domain as u8).to_string()
}

fn command(python: &Path, malloc: &str, misuse: &Misuse) -> Command {
    let spoilt = misuse.spoilt.map_or("whole".into(), |at| at.to_string());
    let mut command = scripted(python, malloc, SCRIPT);
    command
        .args([letter(misuse.made_by), SIZE.to_string(), spoilt])
        .args([misuse.last, &letter(misuse.by)])
        .arg(if misuse.held { "held" } else { "released" });
    command
}

fn run(python: &Path, malloc: &str, misuse: &Misuse) -> Output {
    let output = command(python, malloc, misuse).output();
    output.expect("the interpreter starts")
}

/// Asserts that the interpreter came to the end of its script.
#[track_caller]
fn assert_unnoticed(output: &Output, case: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}\n{said}");
    assert!(said.contains("nothing was noticed"), "{case}\n{said}");
}

/// What the reference's layer says as it ends, if it notices.
fn reference(version: Version, misuse: &Misuse) -> Option<String> {
    #[derive(Clone, Default)]
    struct Told(Rc<RefCell<Vec<u8>>>);
    impl Alarm for Told {
        fn say(&mut self, text: &[u8]) {
            self.0.borrow_mut().extend_from_slice(text);
        }
        fn end(&mut self, last_words: &[u8]) -> ! {
            self.say(last_words);
            resume_unwind(Box::new(()))
        }
    }
    struct Lock(bool);
    impl Gil for Lock {
        fn is_held(&self) -> bool {
            self.0
        }
    }
    let told = Told::default();
    let style = Style::of(version);
    let layer = |domain, held| Debug::with(CLibrary, domain, style, told.clone(), Lock(held));
    let act = || {
        let block = layer(misuse.made_by, true).malloc(SIZE as usize);
        let mut last = layer(misuse.by, misuse.held);
        // SAFETY: the block is live; what is written lies within what the layer took for it.
        unsafe {
            if let Some(at) = misuse.spoilt {
                block.offset(at).write(0x5a);
            }
            match misuse.last {
                "resize" => {
                    last.realloc(block, 2 * SIZE as usize);
                }
                _ => last.free(block),
            }
        }
    };
    let noticed = catch_unwind(AssertUnwindSafe(act)).is_err();
    noticed.then(|| words(&told.0.take()))
}

#[test]
fn what_is_noticed_ends_both_alike() {
    let mut all = Vec::new();
    for last in ["free", "resize"] {
        let misuse = Misuse { last, ..FREED };
        let pads = (-7..0).chain(SIZE..SIZE + 8);
        all.extend(pads.map(|at| Misuse {
            spoilt: Some(at),
            ..misuse
        }));
        for made_by in DOMAINS {
            let others = DOMAINS.into_iter().filter(|&by| by != made_by);
            all.extend(others.map(|by| Misuse {
                made_by,
                by,
                ..misuse
            }));
        }
        for by in [Domain::Mem, Domain::Object] {
            all.push(Misuse {
                made_by: by,
                by,
                held: false,
                ..misuse
            });
        }
    }
    for (python, version) in with_hooks() {
        for misuse in &all {
            let output = run(&python, "debug", misuse);
            let told = format!(
                "{python:?} {misuse:?}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{told}");
            let expected = reference(version, misuse);
            assert_eq!(Some(words(&output.stderr)), expected, "{told}");
        }
    }
}

/// Where allocations are traced it is told where the block was made; otherwise how to find out, see above.
#[test]
fn where_a_traced_block_was_made_is_told() {
    const HINT: &str = "Enable tracemalloc to get the memory block allocation traceback\n\n";
    let made = SCRIPT
        .lines()
        .position(|line| line.starts_with("block = malloc"));
    let line = 1 + made.expect("a block is made");
    let traceback = format!(
        "Memory block allocated at (most recent call first):\n  File \"<string>\", line {line}\n\n"
    );
    for (python, version) in with_hooks() {
        for domain in DOMAINS {
            let misuse = Misuse {
                made_by: domain,
                spoilt: Some(SIZE),
                by: domain,
                ..FREED
            };
            let mut traced = command(&python, "debug", &misuse);
            let output = traced.env("PYTHONTRACEMALLOC", "1").output();
            let output = output.expect("the interpreter starts");
            let untraced = reference(version, &misuse).expect("it is noticed");
            assert!(untraced.contains(HINT), "{untraced}");
            let expected = untraced.replace(HINT, &traceback);
            assert_eq!(words(&output.stderr), expected, "{python:?} {misuse:?}");
        }
    }
}

/// Dead bytes stand where the letter of the domain was. What else is told of the block may be fatal by itself.
#[test]
fn what_is_freed_twice_is_noticed_while_it_is_dead() {
    let twice = Misuse {
        last: "twice",
        ..FREED
    };
    // 3.6 takes `debug` for `malloc_debug`, and the C library writes over dead bytes.
    let all = with_hooks().into_iter();
    for (python, version) in all.filter(|(_, version)| *version >= Version(3, 7, 0)) {
        let output = run(&python, "debug", &twice);
        assert!(output.status.signal().is_some(), "{python:?}");
        let dead = [b"API '".as_slice(), &[Style::of(version).dead], b"'"].concat();
        let said = &output.stderr;
        assert!(
            said.windows(dead.len()).any(|words| words == dead),
            "{python:?}: {}",
            String::from_utf8_lossy(said)
        );
    }
}

/// Nor is it promised: beyond the pads, within the block, and in the raw domain without the lock.
#[test]
fn what_is_not_noticed_by_either() {
    let unnoticed = [
        FREED,
        Misuse {
            spoilt: Some(SIZE + 8),
            ..FREED
        },
        Misuse {
            spoilt: Some(SIZE - 1),
            ..FREED
        },
        Misuse {
            made_by: Domain::Raw,
            by: Domain::Raw,
            held: false,
            ..FREED
        },
    ];
    for (python, version) in with_hooks() {
        for misuse in &unnoticed {
            let output = run(&python, "debug", misuse);
            assert_unnoticed(&output, &format!("{python:?} {misuse:?}"));
            assert_eq!(reference(version, misuse), None, "{misuse:?}");
        }
    }
}

/// From 3.12 on pymalloc finds its pools by way of the thread that holds the lock.
#[test]
fn without_hooks_or_the_lock_new_pools_are_fatal() {
    let released = Misuse {
        held: false,
        ..FREED
    };
    for (python, version) in with_hooks() {
        let fatal = version >= Version(3, 12, 0);
        for (malloc, fatal) in [("pymalloc", fatal), ("malloc", false)] {
            let output = run(&python, malloc, &released);
            let case = format!("{python:?} {malloc}");
            match fatal {
                true => assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{case}"),
                false => assert_unnoticed(&output, &case),
            }
        }
    }
}

/// Where another interpreter was made, these look no more for who holds the lock.
#[test]
fn a_sub_interpreter_blinds_the_hooks_to_the_lock() {
    let create = "import _xxsubinterpreters\n_xxsubinterpreters.create()\n";
    let blind = Version(3, 8, 0)..Version(3, 12, 0);
    let all = with_hooks().into_iter();
    for (python, _) in all.filter(|(_, version)| blind.contains(version)) {
        let call = |script: &str| {
            let output = scripted(&python, "debug", script).output();
            output.expect("the interpreter starts")
        };
        let output = call(CALL);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
        assert!(said.contains("without holding the GIL"), "{said}");
        let output = call(&[create, CALL].concat());
        assert_unnoticed(&output, &format!("{python:?}"));
    }
}

#[test]
fn raw_blocks_need_no_lock() {
    for (python, _) in with_hooks() {
        for malloc in ["debug", "pymalloc", "malloc"] {
            let output = scripted(&python, malloc, THREADS).output();
            let output = output.expect("the interpreter starts");
            let said = String::from_utf8_lossy(&output.stderr);
            let ended = (output.status.code(), said.as_ref());
            assert_eq!(ended, (Some(0), ""), "{python:?} {malloc}");
        }
    }
}
