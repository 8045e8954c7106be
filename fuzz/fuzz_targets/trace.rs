//! Traces to programs and back.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| allocspec::fuzz::trace(bytes));
