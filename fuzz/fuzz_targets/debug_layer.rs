//! The debug layer against a model of it: legal programs never trip it, planted corruptions always do.

#![no_main]

use allocspec::fuzz::DebugLayer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(difference) = DebugLayer::start().run(bytes) {
        panic!("{difference}");
    }
});
