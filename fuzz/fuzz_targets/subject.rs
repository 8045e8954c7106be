//! The allocator that the environment names against the shadow; `allocspec::fuzz::Subject` says how.

#![no_main]

use allocspec::fuzz::{self, Subject};
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::cell::RefCell;

thread_local!(static TARGET: RefCell<Option<Subject>> = const { RefCell::new(None) });

fn open() {
    match Subject::from_environment() {
        Ok(subject) => TARGET.set(Some(subject)),
        Err(error) => {
            eprintln!("subject: {error}");
            std::process::exit(2);
        }
    }
}

fuzz_target!(init: open(), |bytes: &[u8]| -> Corpus {
    match TARGET.with_borrow_mut(|target| target.as_mut().is_some_and(|target| target.run(bytes))) {
        true => Corpus::Keep,
        false => Corpus::Reject,
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutate(&mut data[..max_size], size, seed, |data, size| {
        fuzzer_mutate(data, size, max_size)
    })
});
