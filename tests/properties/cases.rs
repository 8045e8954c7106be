//! How many cases each property is tried with, and what a case is made of.

use allocspec::program::{Decoder, Program, Vocabulary};
use arbitrary::Unstructured;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// Cases of each property.
const CASES: u32 = 1000;

/// The configuration of every property here. A case that fails is kept in `regressions` beside this file, and tried first
/// from then on.
pub fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("tests/properties/regressions.txt");
    ProptestConfig {
        cases: CASES,
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(regressions)),
        ..ProptestConfig::default()
    }
}

/// Bytes for a program. A failure shows the program and not these.
#[derive(Clone)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Bytes for a program, which proptest shrinks: bytes that are left out are operations that are left out.
pub fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..3200).prop_map(Bytes)
}

/// The program that the bytes stand for.
pub fn program(vocabulary: &Vocabulary, bytes: &Bytes) -> Program {
    let mut decoder = Decoder::new(vocabulary, usize::MAX);
    decoder.feed(&mut Unstructured::new(&bytes.0));
    decoder.finish()
}
