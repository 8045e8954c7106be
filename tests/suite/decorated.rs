//! What the debug layer writes: every byte in and around blocks, in real interpreters and in the reference.

use crate::interpreters::{scripted, with_hooks};
use allocspec::pymalloc::{Abort, CLibrary, Domain, OneThread, P16kR64, Runtime, Style, Version};
use std::fmt::Write;
use std::path::Path;

/// What the interpreter is to do, and below the reference.
const SCRIPT: &str = include_str!("decorated.py");

/// What the reference's blocks look like.
struct Told {
    runtime: Runtime<P16kR64>,
    domain: Domain,
    extra: usize,
    serials: Vec<u64>,
    text: String,
}

impl Told {
    fn bytes(block: *mut u8, from: isize, len: usize) -> Vec<u8> {
        // SAFETY: of a block that is live, with its header and its trailer, or that pymalloc keeps in a pool.
        unsafe { std::slice::from_raw_parts(block.offset(from), len).to_vec() }
    }

    fn tell(&mut self, name: &str, block: *mut u8, from: isize, len: usize) {
        write!(self.text, "{name} ").expect("room for a text");
        for byte in Told::bytes(block, from, len) {
            write!(self.text, "{byte:02x}").expect("room for a text");
        }
        self.text.push('\n');
    }

    fn made(&mut self, name: &str, block: *mut u8, size: usize) {
        self.tell(name, block, -16, 24 + size);
        if self.extra > 24 {
            let serial = Told::bytes(block, size as isize + 8, 8);
            let serial = serial.try_into().expect("eight bytes");
            self.serials.push(u64::from_be_bytes(serial));
        }
    }

    fn malloc(&self, size: usize) -> *mut u8 {
        self.runtime.domains().malloc(self.domain, size)
    }

    fn resized(&mut self, name: &str, old: usize, new: usize) -> *mut u8 {
        let block = self.malloc(old);
        // SAFETY: the block is live and has so many bytes.
        let resized = unsafe {
            block.write_bytes(0x11, old);
            self.runtime.domains().realloc(self.domain, block, new)
        };
        self.made(name, resized, new);
        block
    }
}

fn reference(version: Version, domain: Domain) -> String {
    let runtime = Runtime::with(version, CLibrary, Abort, OneThread);
    // SAFETY: nothing is live yet.
    unsafe { runtime.set_up_debug_hooks() };
    let mut it = Told {
        runtime,
        domain,
        extra: Style::of(version).extra(),
        serials: Vec::new(),
        text: String::new(),
    };
    it.made("malloc", it.malloc(430), 430);
    it.made("nothing", it.malloc(0), 0);
    let block = it.runtime.domains().calloc(domain, 43, 10);
    it.made("calloc", block, 430);
    it.resized("grown", 430, 435);
    it.resized("shrunk", 430, 419);
    it.resized("halved", 430, 215);
    let old = it.resized("moved", 430, 860);
    if domain != Domain::Raw {
        it.tell("left", old, -8, 438);
        let block = it.malloc(430);
        // SAFETY: the block is live.
        unsafe { it.runtime.domains().free(domain, block) };
        it.tell("freed", block, -8, 438 + it.extra - 16);
    }
    let counted = it.serials.is_sorted_by(|one, next| one < next);
    let counted = if counted { "True" } else { "False" };
    it.text + &format!("counted {counted}\n")
}

fn interpreter(python: &Path, version: Version, domain: Domain) -> String {
    let mut command = scripted(python, "pymalloc_debug", SCRIPT);
    let letter = char::from(domain as u8).to_string();
    command.args([letter, Style::of(version).extra().to_string()]);
    let output = command.output().expect("the interpreter starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{python:?} {domain:?}\n{said}");
    String::from_utf8(output.stdout).expect("digits")
}

#[test]
fn every_byte_is_the_interpreter_s() {
    for (python, version) in with_hooks() {
        for domain in [Domain::Raw, Domain::Mem, Domain::Object] {
            let told = interpreter(&python, version, domain);
            let expected = reference(version, domain);
            assert!(expected.ends_with("counted True\n"));
            for (told, expected) in told.lines().zip(expected.lines()) {
                assert_eq!(told, expected, "{python:?} {domain:?}");
            }
            assert_eq!(told, expected, "{python:?} {domain:?}");
        }
    }
}
