//! Random programs of a plan; each depends on the seed and its number alone.

use super::item::{Item, Share};
use crate::program::{Program, Vocabulary};
use crate::run::phase::Phase;

/// The lengths of random programs, in turn.
const LENGTHS: [usize; 12] = [
    64, 256, 2_000, 128, 500, 20_000, 400, 5_000, 64, 1_000, 100_000, 300,
];
/// One in so many random programs is of several threads, and has at least and at most so many operations: in short ones
/// nothing meets.
const EACH_THREADED: usize = 4;
const FEWEST_THREADED: usize = 1000;
const MOST_THREADED: usize = 20_000;

/// Which random programs there are.
#[derive(Clone, Copy)]
pub struct Random<'a> {
    vocabulary: &'a Vocabulary,
    seed: u64,
    /// Whether there are some of one thread, and some of several.
    kinds: (bool, bool),
}

impl<'a> Random<'a> {
    /// Those that the vocabulary has words for.
    pub fn all(vocabulary: &'a Vocabulary, seed: u64) -> Random<'a> {
        Random {
            vocabulary,
            seed,
            kinds: (true, vocabulary.threads),
        }
    }

    /// Those of one thread alone if asked for, and those of several; `None` if none are left.
    pub fn only(self, alone: bool, threaded: bool) -> Option<Random<'a>> {
        let kinds = (self.kinds.0 && alone, self.kinds.1 && threaded);
        (kinds != (false, false)).then_some(Random { kinds, ..self })
    }

    /// The program of this number.
    pub fn item(self, number: usize) -> Item {
        let seed = self
            .seed
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(number as u64);
        let threaded = match self.kinds {
            (true, true) => number % EACH_THREADED == EACH_THREADED - 1,
            (_, threaded) => threaded,
        };
        let (program, phase) = if threaded {
            let length = length(number).clamp(FEWEST_THREADED, MOST_THREADED);
            (
                Program::random_threads(seed, self.vocabulary, length),
                Phase::Threads,
            )
        } else {
            (
                Program::random(seed, self.vocabulary, length(number)),
                Phase::Random,
            )
        };
        Item {
            once: false,
            share: Share::Rest,
            ..Item::planned(program, format!("{} {number}", phase.as_str()))
        }
    }
}

fn length(number: usize) -> usize {
    LENGTHS[number % LENGTHS.len()]
}

/// What a random program costs, roughly: see [`Program::cost`].
pub fn random_cost(number: usize) -> u64 {
    8 * length(number) as u64
}
