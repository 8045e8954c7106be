//! Golden traces: what came of a script in a real interpreter, kept in a small file, so that the reference can be held
//! against it where there is no interpreter.
//!
//! A file has the seed and the state it began in, and of every so many steps a hash of the record.

use super::play::Step;
use super::{Interpreter, LockstepError, Script, reference};
use crate::pymalloc::Edition;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The first line of a file.
const MAGIC: &str = "# allocspec golden 1";
/// Steps a line stands for.
const STRIDE: usize = 1 << 12;

/// A golden trace. Its [`Display`](fmt::Display) form is the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// The interpreter it was recorded on.
    pub edition: Edition,
    /// The seed of the script.
    pub seed: u64,
    /// The bytes to which the vector of arenas would have been resized next.
    pub vector: u64,
    /// Hashes of the record, one for every so many steps.
    pub hashes: Vec<u64>,
}

/// What is wrong with a golden trace, or with the reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoldenError {
    /// The text is no golden trace.
    #[error("line {0} is not as it must be in a golden trace")]
    Malformed(usize),
    /// The reference does something else.
    #[error("the reference differs between steps {from} and {to}")]
    Differs {
        /// the first step that may differ
        from: usize,
        /// the first after them
        to: usize,
    },
    /// The machine did not give what is needed.
    #[error("{0}")]
    Machine(String),
}

impl Golden {
    /// Records what becomes of a script in an interpreter, for about so many steps.
    ///
    /// # Errors
    ///
    /// As for [`lockstep`](super::lockstep()).
    pub fn record(python: &Path, seed: u64, steps: u64) -> Result<Golden, LockstepError> {
        let mut interpreter = Interpreter::start(python)?;
        let edition = interpreter.edition;
        let lines = steps.div_ceil(STRIDE as u64);
        let mut script = Script::new(seed, edition.geometry());
        let hashes = (0..lines).map(|_| Ok(hash(interpreter.play(&next(&mut script))?)));
        Ok(Golden {
            edition,
            seed,
            hashes: hashes.collect::<Result<_, _>>()?,
            vector: interpreter.vector,
        })
    }

    /// Holds the reference against the trace.
    ///
    /// # Errors
    ///
    /// When it differs, or memory cannot be had.
    pub fn verify(&self) -> Result<(), GoldenError> {
        let mut reference = reference(self.edition.build, self.vector)
            .map_err(|error| GoldenError::Machine(error.to_string()))?;
        let mut script = Script::new(self.seed, self.edition.geometry());
        for (line, &expected) in self.hashes.iter().enumerate() {
            if hash(reference.play(&next(&mut script))) != expected {
                return Err(GoldenError::Differs {
                    from: line * STRIDE,
                    to: (line + 1) * STRIDE,
                });
            }
        }
        Ok(())
    }
}

fn next(script: &mut Script) -> Vec<Step> {
    script.by_ref().take(STRIDE).collect()
}

/// FNV-1a, by words.
fn hash(record: &[u64]) -> u64 {
    let step = |hash: u64, &word: &u64| {
        (hash ^ word)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23)
    };
    record.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Golden {
            edition,
            seed,
            vector,
            hashes,
        } = self;
        writeln!(f, "{MAGIC}")?;
        writeln!(
            f,
            "# recorded on CPython {}, layout {}",
            edition.version,
            edition.build.layout()
        )?;
        writeln!(f, "edition {edition}\nseed {seed}\nvector {vector}")?;
        hashes
            .iter()
            .try_for_each(|hash| writeln!(f, "{hash:016x}"))
    }
}

impl FromStr for Golden {
    type Err = GoldenError;

    fn from_str(text: &str) -> Result<Golden, GoldenError> {
        let lines: Vec<&str> = text.lines().collect();
        if lines.first() != Some(&MAGIC) {
            return Err(GoldenError::Malformed(1));
        }
        fn field<T: FromStr>(lines: &[&str], at: usize, name: &str) -> Result<T, GoldenError> {
            let value = lines
                .get(at)
                .and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value
                .and_then(|value| value.parse().ok())
                .ok_or(GoldenError::Malformed(at + 1))
        }
        let hash = |(at, line): (usize, &&str)| {
            u64::from_str_radix(line, 16).map_err(|_| GoldenError::Malformed(at + 1))
        };
        Ok(Golden {
            edition: field(&lines, 2, "edition")?,
            seed: field(&lines, 3, "seed")?,
            vector: field(&lines, 4, "vector")?,
            hashes: lines
                .iter()
                .enumerate()
                .skip(5)
                .map(hash)
                .collect::<Result<_, _>>()?,
        })
    }
}
