//! The three domains, with hooks that come and go, against a model.

#![no_main]

use allocspec::fuzz::domains;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(difference) = domains(bytes) {
        panic!("{difference}");
    }
});
