//! The reference in every layout against the shadow, with sources that fail.

#![no_main]

use allocspec::fuzz::{self, Layouts};
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::cell::RefCell;

thread_local!(static TARGET: RefCell<Layouts> = RefCell::new(Layouts::default()));

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match TARGET.with_borrow_mut(|target| target.run(bytes)) {
        true => Corpus::Keep,
        false => Corpus::Reject,
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutate(&mut data[..max_size], size, seed, |data, size| {
        fuzzer_mutate(data, size, max_size)
    })
});
