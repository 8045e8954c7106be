//! Why an operation may not stand where it does.

use super::{MAX_OPS, MAX_REPEATED, MAX_SLOTS};
use crate::program::op::{Call, Expect, Slot};
use crate::program::threads::{MAX_ROUNDS, MAX_THREADS};
use crate::program::under::Condition;

/// Why an operation may not stand where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// An allocation into a slot that is live.
    #[error("p{0} already holds a block; free it first or name another slot")]
    Live(Slot),
    /// A use of a slot that nothing was allocated into.
    #[error("p{0} holds no block here; allocate into it first")]
    Empty(Slot),
    /// A sized free of a block that C does not define it for.
    #[error("free_sized is for a block of malloc, calloc or realloc, which p{0} does not hold")]
    NotSized(Slot),
    /// An aligned sized free of a block that C does not define it for.
    #[error("free_aligned_sized is for a block of aligned_alloc, which p{0} does not hold")]
    NotAlignedSized(Slot),
    /// An operation of C on a block that is not of C.
    #[error("`{call}` is not for a block of operator new, which p{1} holds", call = .0.as_str())]
    OfNew(Call, Slot),
    /// A delete of what its own form of new has not made.
    #[error("`{call}` is for a block of its own form of new, which p{1} does not hold", call = .0.as_str())]
    NotOfNew(Call, Slot),
    /// An operation without a slot that needs one.
    #[error("`{}` needs a block to work on, such as p0", .0.as_str())]
    NeedsSlot(Call),
    /// A slot for an operation that works on none.
    #[error("`{}` works on no slot", .0.as_str())]
    NeedsNoSlot(Call),
    /// A slot number out of range.
    #[error("p{0} is out of range; slots are p0 to p{max}", max = MAX_SLOTS - 1)]
    SlotRange(Slot),
    /// Too many operations.
    #[error("a program has at most {MAX_OPS} operations")]
    TooLong,
    /// An argument the call does not take is not 0.
    #[error("`{}` takes fewer arguments", .0.as_str())]
    Arguments(Call),
    /// An expectation about a call that returns no block.
    #[error("`{}` returns no block to expect anything of", .0.as_str())]
    NothingReturned(Call),
    /// An expectation about the old address of a block that has none.
    #[error("`expect {expect}` is for the realloc of a block; p{1} holds none here", expect = .0.as_str())]
    NoOldAddress(Expect, Slot),
    /// `as before` without an allocation, or for a bound without a bound, before.
    #[error("`expect as before` needs an allocation before it; that of a bound, a bound")]
    NothingBefore,
    /// `as earlier` without the same request before.
    #[error("`expect as earlier` needs the same call with the same arguments before it")]
    NothingEarlier,
    /// A repetition of nothing.
    #[error("repeat at least 1 operation at least 1 time")]
    RepeatNothing,
    /// A repetition of more than [`MAX_REPEATED`] operations.
    #[error("one repeat may stand for at most {MAX_REPEATED} operations")]
    RepeatTooMuch,
    /// A repetition that reaches back over the start of the program or over another repetition.
    #[error(
        "at most {0} of the operations before it can be repeated here: a repeat does not reach over another"
    )]
    RepeatRange(usize),
    /// A repetition of operations of several threads that is not the main thread's, or not of whole sections.
    #[error(
        "a repeat covers operations of one thread, or from the main thread everything from `thread` to `join`"
    )]
    RepeatThreads,
    /// A repetition that would create threads while memory is short, as the first round did not.
    #[error(
        "the repeated operations leave memory short, or give it back, so that their threads would not begin as they did: set the limit before them, or lift it among them"
    )]
    RepeatWhileShort,
    /// A number that no thread has.
    #[error("threads are numbered from 1 to {MAX_THREADS}; `join` goes back to the main one")]
    ThreadNumber,
    /// A call that only the main thread makes.
    #[error("`{}` is for the main thread: write `join` before it", .0.as_str())]
    OnlyMain(Call),
    /// A call that only another thread than the main one makes.
    #[error("`{}` is for a thread: write `thread 1` before it", .0.as_str())]
    OnlyThread(Call),
    /// Threads while memory is short.
    #[error(
        "no thread can be created while memory is short: write `limit none` or `fail syscall none` before it"
    )]
    ThreadWhileShort,
    /// More rounds of destructors than there are sure to be.
    #[error("destructors are sure to be run {MAX_ROUNDS} times, and no more")]
    TooManyRounds,
    /// An expectation that depends on what other threads do.
    #[error("`expect {}` compares with what other threads may do at any time; it is for the main thread", .0.as_str())]
    ExpectInThread(Expect),
    /// A repetition that would start from other slots than the first round did.
    #[error("the repeated operations leave p{0} {now}, but found it {was}; a repeat must return to the slots it started from",
        now = if *.1 { "empty" } else { "live" }, was = if *.1 { "live" } else { "empty" })]
    RepeatDrifts(Slot, bool),
    /// A repetition of a part of what a child does, and of more.
    #[error("a repeat covers `fork` and its `wait`, or neither")]
    RepeatSplitsFork,
    /// A child of a child.
    #[error("a child does not fork; first comes `wait`")]
    ForkInChild,
    /// Waiting for nobody.
    #[error("`wait` needs a `fork` before it")]
    NoChild,
    /// What only the parent may do.
    #[error("`{}` is not for what a child does, between `fork` and `wait`", .0.as_str())]
    InChild(Call),
    /// Words that name no circumstances.
    #[error("`under` what? A number of threads, of microseconds or of bytes is at least 1")]
    UnderNothing,
    /// A measurement every 0th time.
    #[error("`sample` takes a measurement every 1st time at most")]
    SampleNever,
    /// A judgement without measurements.
    #[error("`steady` needs a `sample` before it")]
    NothingSampled,
    /// Circumstances that it is too late for: a stack is in use, or the process has started.
    #[error("`under {}` comes before all other operations", .0.as_str())]
    NotFirst(Condition),
    /// What the harness cannot do itself under such circumstances, without the subject having a part in it.
    #[error("`{}` is not for after `under {}`, under which the harness cannot do it", .0.as_str(), .1.as_str())]
    NotUnder(Call, Condition),
    /// Circumstances brought about again and again.
    #[error("a repeat covers no `under`, which holds to the end of the program")]
    RepeatUnder,
}

impl Illegal {
    /// Whether the operation would be legal without its expectation.
    pub(super) fn is_of_expectation(self) -> bool {
        matches!(
            self,
            Illegal::NothingReturned(_)
                | Illegal::NoOldAddress(..)
                | Illegal::NothingBefore
                | Illegal::NothingEarlier
                | Illegal::ExpectInThread(_)
        )
    }
}
