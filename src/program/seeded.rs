//! Random programs from a seed: a small generator that supplies the decoder with bytes.

use arbitrary::Unstructured;

use super::decode::{Decoder, RECORD};
use super::op::Program;
use super::vocabulary::Vocabulary;

/// Sebastiano Vigna's SplitMix64: enough randomness for test programs in a handful of instructions, and the same
/// everywhere.
pub struct SplitMix(u64);

impl SplitMix {
    /// A generator whose numbers follow from `seed` alone.
    pub const fn new(seed: u64) -> SplitMix {
        SplitMix(seed)
    }

    /// The next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}

impl Program {
    /// The program of `ops` operations that `seed` stands for. The same seed, vocabulary and length give the same
    /// program.
    pub fn random(seed: u64, vocabulary: &Vocabulary, ops: usize) -> Program {
        let mut random = SplitMix::new(seed);
        let mut decoder = Decoder::new(vocabulary, ops);
        let mut bytes = [0; 256 * RECORD];
        while !decoder.is_done() {
            for word in bytes.chunks_exact_mut(8) {
                word.copy_from_slice(&random.next_u64().to_le_bytes());
            }
            decoder.feed(&mut Unstructured::new(&bytes));
        }
        decoder.finish()
    }
}
