//! What the supervisor and the agent in an interpreter say to each other, and where.
//!
//! Commands come down the interpreter's standard input, answers go up its standard output, one word each; everything
//! large lies in memory that both have mapped. Compiled twice, as [`stage`](super::stage) is.

use super::play::Step;
use super::stage::WORDS_EACH;

/// Steps played at most between two answers.
pub const STEPS: usize = 1 << 14;
/// Words of record they may take.
pub const WORDS: usize = STEPS * WORDS_EACH;
/// Bytes of text.
pub const TEXT: usize = 32 << 10;

/// Play so many steps: the command is their number. Answered with the number of words recorded.
pub const MOST_STEPS: u64 = STEPS as u64;
/// Put the statistics into [`Board::text`]. Answered with the number of bytes.
pub const STATISTICS: u64 = MOST_STEPS + 1;

/// The first answer: all is well.
pub const READY: u64 = 1;
/// The first answer: the memory at fixed addresses cannot be had.
pub const NO_MEMORY: u64 = 2;
/// The first answer: the allocator asked for no arena where it must.
pub const NO_ARENAS: u64 = 3;

/// The memory shared by both.
#[repr(C)]
pub struct Board {
    /// The distance of two blocks of the smallest class.
    pub alignment: u64,
    /// The distance of pools.
    pub pool: u64,
    /// The size of an arena.
    pub arena: u64,
    /// The bytes for which the vector of arenas would have been resized next: twice what it has, all in use.
    pub vector: u64,
    /// Requests failed on purpose so far.
    pub failed: u64,
    /// Text, of the length that was answered.
    pub text: [u8; TEXT],
    /// The steps to play.
    pub steps: [Step; STEPS],
    /// What came of them.
    pub record: [u64; WORDS],
}
