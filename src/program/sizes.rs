//! Which sizes, alignments and factors are worth asking for, drawn from one word of entropy each.
//!
//! Faults sit at the edges of size classes, around powers of two and pages, at zero and where arithmetic wraps; what
//! lies between is covered log-uniformly. Large blocks are rare because every page of them is touched.

use super::vocabulary::Vocabulary;

/// The size of a page; a wrong guess costs coverage, not truth.
const PAGE: u64 = 4096;

/// Takes choices off a word, so that few bits of it are wasted.
pub struct Word(pub u64);

impl Word {
    /// A number below `bound`, which is at least 1 and small beside what is left of the word.
    pub fn below(&mut self, bound: u64) -> u64 {
        let choice = self.0 % bound;
        self.0 /= bound;
        choice
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A number of `bits` significant bits, at least 1 of them.
    fn of_bits(&mut self, bits: u64) -> u64 {
        let top = 1 << (bits - 1);
        top | self.0 & (top - 1)
    }
}

/// A size that an allocator can be expected to supply, 0 included.
pub fn size(word: u64, vocabulary: &Vocabulary) -> u64 {
    let mut word = Word(word);
    match word.below(64) {
        0 => 0,
        1..=18 if !vocabulary.boundaries.is_empty() => {
            // The smaller of two draws: class edges are learned far up, but most blocks should stay small.
            let count = vocabulary.boundaries.len() as u64;
            let index = word.below(count).min(word.below(count));
            let edge = vocabulary.boundaries[index as usize];
            edge.saturating_add(word.below(3)).saturating_sub(1)
        }
        19..=24 => {
            let exponent = word.below(9) + word.below(6);
            beside(1 << exponent, word)
        }
        25 => {
            let pages = 1 + word.below(4) * word.below(8);
            (pages * PAGE + word.below(3)) - 1
        }
        26..=27 => {
            let bits = 11 + word.below(6);
            word.of_bits(bits)
        }
        28 => rare(word),
        _ => {
            let bits = 1 + word.below(11);
            word.of_bits(bits)
        }
    }
}

/// Sizes that only one block in thousands may have, since the harness touches every page of a block.
fn rare(mut word: Word) -> u64 {
    let bits = match word.below(1024) {
        0 => 21 + word.below(6),
        1..=64 => 17 + word.below(4),
        _ => 1 + word.below(16),
    };
    word.of_bits(bits)
}

/// A number next to `power`.
fn beside(power: u64, mut word: Word) -> u64 {
    let distance = word.pick(&[0, 1, 8, 16]);
    if word.below(2) == 0 {
        power + distance
    } else {
        power.saturating_sub(distance)
    }
}

/// A size that no address space holds.
pub fn huge(word: u64) -> u64 {
    let mut word = Word(word);
    match word.below(4) {
        0 => u64::MAX - word.below(4097),
        1 => (1 << 63) - 1 + word.below(2),
        2 => (1 << 63) + word.below(4097),
        _ => {
            let power = 1 << (57 + word.below(7));
            power + word.below(4097)
        }
    }
}

/// Two factors of about `size`, or of exactly 0.
pub fn factors(size: u64, word: u64) -> (u64, u64) {
    let mut word = Word(word);
    let factor = match word.below(4) {
        0 => 1,
        1 => 1 + word.below(16),
        2 => 1 << word.below(11),
        _ => 1 + word.below(1000),
    };
    let (count, each) = if factor >= size {
        (size, 1)
    } else {
        (factor, size / factor)
    };
    if word.below(2) == 0 {
        (count, each)
    } else {
        (each, count)
    }
}

/// Two factors whose product does not fit in 64 bits; what it wraps to is often small or 0.
pub fn overflowing_factors(word: u64) -> (u64, u64) {
    let mut word = Word(word);
    let (count, each) = match word.below(8) {
        0 => (1 << 32, 1 << 32),
        1 => ((1 << 33) + 1, 1 << 31),
        2 => (1 << 63, 2),
        3 => (u64::MAX, u64::MAX),
        _ => {
            let each = 2 + word.below(1 << 16);
            (u64::MAX / each + 1 + word.below(64), each)
        }
    };
    if word.below(2) == 0 {
        (count, each)
    } else {
        (each, count)
    }
}

/// An alignment that is a power of two and at least `least`, itself a power of two.
pub fn alignment(word: u64, least: u64) -> u64 {
    let mut word = Word(word);
    let exponent = match word.below(64) {
        0..=47 => word.below(9),
        48..=59 => 9 + word.below(5),
        _ => 14 + word.below(8),
    };
    (1 << exponent).max(least)
}

/// An alignment that is no power of two.
pub fn invalid_alignment(word: u64) -> u64 {
    let mut word = Word(word);
    match word.below(4) {
        0 => 0,
        1 => word.pick(&[3, 6, 12, 24, 48, 100]),
        2 => (1 << (1 + word.below(62))) + 1,
        _ => 3 << word.below(62),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::seeded::SplitMix;

    fn words() -> impl Iterator<Item = u64> {
        let mut random = SplitMix::new(1);
        (0..400_000).map(move |_| random.next_u64())
    }

    #[test]
    fn sizes_are_mostly_small_and_hit_the_edges() {
        let vocabulary = Vocabulary {
            boundaries: vec![16, 112, 5000],
            ..Vocabulary::default()
        };
        let sizes: Vec<u64> = words().map(|word| size(word, &vocabulary)).collect();
        let share = |wanted: &dyn Fn(u64) -> bool| {
            sizes.iter().filter(|&&size| wanted(size)).count() as f64 / sizes.len() as f64
        };
        assert!(sizes.iter().all(|&size| size <= 64 << 20));
        assert!(share(&|size| size <= 2048) > 0.8);
        assert!(share(&|size| size > 1 << 16) < 0.002);
        assert!(share(&|size| size > 1 << 20) < 0.0001);
        assert!(sizes.iter().any(|&size| size > 1 << 20));
        for edge in [0, 15, 16, 17, 111, 112, 113, 4999, 5000, 5001] {
            assert!(share(&|size| size == edge) > 0.002, "{edge}");
        }
        for edge in [1023, 1024, 1025, 4095, 4096, 4097, 8191, 8193] {
            assert!(sizes.contains(&edge), "{edge}");
        }
    }

    #[test]
    fn what_must_fail_is_beyond_any_address_space() {
        for word in words() {
            assert!(huge(word) > 1 << 56);
            let (count, each) = overflowing_factors(word);
            assert_eq!(count.checked_mul(each), None);
            let invalid = invalid_alignment(word);
            assert!(!invalid.is_power_of_two(), "{invalid}");
        }
    }

    #[test]
    fn factors_ask_for_no_more_than_the_size() {
        for word in words() {
            let size = word % 5000;
            let (count, each) = factors(size, word);
            let product = count * each;
            assert!(product <= size && (size == 0) == (product == 0));
            assert!(product * 2 > size || size == 0);
        }
    }

    #[test]
    fn alignments_are_powers_of_two_from_the_least_on() {
        let mut seen = 0;
        for word in words() {
            let alignment = alignment(word, 8);
            assert!(alignment.is_power_of_two() && alignment >= 8);
            seen |= alignment;
        }
        assert_eq!(seen, (1 << 22) - 8);
    }
}
