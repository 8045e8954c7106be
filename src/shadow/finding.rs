//! A rule broken, with what was seen.

use super::growth::{Measured, Sample};
use crate::program::{Op, Program, Slot};
use crate::spec::RuleId;
use serde::{Deserialize, Serialize};

/// What the harness was doing when a process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Moment {
    /// Nothing of the subject was running.
    Idle,
    /// Inside the subject.
    Call,
    /// Writing into a block that the subject had just returned.
    Touch,
    /// Reading a live block.
    Verify,
    /// Inside the subject, if at all, while a thread ends that has made its last operation.
    Ending,
    /// In another thread than those that make the operations of the program: one that works beside them.
    Beside,
    /// Inside `fork`, which calls what the subject has registered with `pthread_atfork`: in the parent.
    Fork,
    /// The same in the child.
    Born,
}

impl Moment {
    /// The moment of this number; anything unknown is [`Moment::Idle`].
    pub fn from_u8(value: u8) -> Moment {
        match value {
            1 => Moment::Call,
            2 => Moment::Touch,
            3 => Moment::Verify,
            4 => Moment::Ending,
            5 => Moment::Beside,
            6 => Moment::Fork,
            7 => Moment::Born,
            _ => Moment::Idle,
        }
    }
}

/// How a process that ran a program came to its end instead of finishing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Death {
    /// Killed by this signal; the faulting address if the signal has one and it is known.
    Signal {
        /// signal number
        signal: i32,
        /// `si_addr`
        address: Option<u64>,
    },
    /// Ended itself with this status.
    Exit {
        /// exit status
        status: i32,
    },
    /// Made no progress for this long and was killed.
    Hang {
        /// milliseconds without progress
        millis: u64,
    },
}

/// What was seen. Addresses are in the subject's process; they tell blocks apart, nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A block where the call had to fail.
    UnexpectedPointer {
        /// the address returned
        address: u64,
    },
    /// A failure where the call had to give a block.
    UnexpectedNull,
    /// An address no block can have.
    BadAddress {
        /// the address returned
        address: u64,
    },
    /// The block reaches into memory that is not the subject's to give: the program, its stack, the harness's tables.
    Foreign {
        /// the address returned
        address: u64,
        /// bytes
        size: u64,
        /// where that memory begins
        other: u64,
    },
    /// Not a multiple of the alignment.
    Misaligned {
        /// the address returned
        address: u64,
        /// bytes
        alignment: u64,
    },
    /// The block shares bytes with a live one.
    Overlap {
        /// the address returned
        address: u64,
        /// bytes
        size: u64,
        /// the slot of the live block
        other: Slot,
        /// its address
        other_address: u64,
        /// its size
        other_size: u64,
    },
    /// A byte of a live block is not what was stored.
    Contents {
        /// the slot of the block
        slot: Slot,
        /// its address
        address: u64,
        /// its size
        size: u64,
        /// the first wrong byte
        offset: u64,
        /// what was stored
        stored: u8,
        /// what is there
        found: u8,
    },
    /// A byte that had to be zero is not.
    NotZero {
        /// the address of the block
        address: u64,
        /// its size
        size: u64,
        /// the first wrong byte
        offset: u64,
        /// what is there
        found: u8,
    },
    /// Bytes of a block are still there after they had to be cleared.
    NotDiscarded {
        /// the address of the block
        address: u64,
        /// its size
        size: u64,
        /// the first of them
        offset: u64,
    },
    /// `errno` after the call.
    Errno {
        /// before the call
        before: i32,
        /// after it
        after: i32,
        /// what it had to be, if one value was right
        wanted: Option<i32>,
    },
    /// An exception where none, or another, was allowed.
    Threw {
        /// The name of its type, as the C++ ABI has it, such as `St9bad_alloc`.
        what: String,
    },
    /// The value returned by `posix_memalign`.
    Code {
        /// what it was
        returned: i32,
        /// what it had to be, if one value was right
        wanted: Option<i32>,
    },
    /// The pointer variable of `posix_memalign`, or the words beside it.
    Memptr {
        /// before the call
        before: u64,
        /// after it
        after: u64,
    },
    /// `malloc_usable_size`.
    Usable {
        /// what it said
        usable: u64,
        /// the least, or the very value, it had to be
        wanted: u64,
    },
    /// The address did not do as expected over a realloc.
    Moved {
        /// before
        from: u64,
        /// after
        to: u64,
    },
    /// The process ended inside the program.
    Died {
        /// how
        death: Death,
        /// during what
        moment: Moment,
        /// what it said on its standard error, shortened
        said: String,
    },
    /// Bytes on standard output or standard error.
    Output {
        /// what was written, shortened
        text: String,
    },
    /// Resident memory grew.
    Growth {
        /// by this many bytes
        bytes: u64,
        /// and was allowed to by this many
        allowed: u64,
    },
    /// The process grew on and on.
    Climb {
        /// what of it
        what: Measured,
        /// by this many bytes while it was watched
        bytes: u64,
        /// and was allowed to by this many from part to part
        allowed: u64,
        /// what was measured
        samples: Vec<Sample>,
    },
    /// Requests to the sources behind a hooked subject were not as the rule says.
    Requests {
        /// what had to reach them
        wanted: String,
        /// what did
        found: String,
    },
    /// Something about the library as a whole, not about one call.
    Library {
        /// in words
        what: String,
    },
}

impl Evidence {
    /// Whether memory of one block is that of another or of nobody: a heap in which that happens keeps no promise.
    pub const fn harms_memory(&self) -> bool {
        match self {
            Evidence::BadAddress { .. }
            | Evidence::Foreign { .. }
            | Evidence::Overlap { .. }
            | Evidence::Contents { .. } => true,
            Evidence::Died { moment, .. } => matches!(moment, Moment::Touch | Moment::Verify),
            _ => false,
        }
    }

    /// Whether blocks, or calls that worked before, are lost: what may come of circumstances.
    pub const fn is_breakdown(&self) -> bool {
        matches!(
            self,
            Evidence::UnexpectedNull
                | Evidence::BadAddress { .. }
                | Evidence::Foreign { .. }
                | Evidence::Overlap { .. }
                | Evidence::Contents { .. }
                | Evidence::NotZero { .. }
        )
    }

    /// Whether blocks, or the process, came to harm: what a race may show as, now in one way, now in another.
    pub fn is_harm(&self) -> bool {
        matches!(
            self,
            Evidence::Overlap { .. }
                | Evidence::Foreign { .. }
                | Evidence::BadAddress { .. }
                | Evidence::Contents { .. }
                | Evidence::NotZero { .. }
                | Evidence::Died { .. }
        )
    }
}

/// A rule broken by an operation of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    /// The position of the guilty operation in its program.
    pub op_index: usize,
    /// What was seen.
    pub evidence: Evidence,
}

/// What one operation gave, for the reader of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether the operation was made: not all of a program are when it ends early.
    pub made: bool,
    /// The address or size returned; of `posix_memalign` the code unless that is 0, then the address.
    pub value: u64,
    /// `errno` after the call if it was changed.
    pub errno: Option<i32>,
    /// Whether it threw an exception instead of returning.
    pub thrown: bool,
}

/// The address and size of a live block at the time of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveBlock {
    /// its slot
    pub slot: Slot,
    /// its address
    pub address: u64,
    /// bytes
    pub size: u64,
}

/// A finding made presentable: its program shrunk, run once more, every operation's outcome known.
#[derive(Clone, Debug)]
pub struct Case {
    /// The finding, of the shrunk program.
    pub finding: Finding,
    /// The shrunk program.
    pub program: Program,
    /// What each operation gave, up to the guilty one; shorter if the process died before telling.
    pub outcomes: Vec<Outcome>,
    /// The blocks that were live when it happened.
    pub live: Vec<LiveBlock>,
    /// How the finding was first met: `vector NAME`, `directed RULE`, `random`, `first call`, `loading`.
    pub phase: String,
    /// Whether the program showed it again in a fresh process.
    pub reproduced: bool,
    /// How often it did, of a program with threads.
    pub shown: Option<Shown>,
}

/// In how many runs of a program something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Those runs.
    pub times: u32,
    /// All runs.
    pub of: u32,
}

impl Shown {
    /// In how many of these runs and of those.
    #[must_use]
    pub fn and(self, other: Shown) -> Shown {
        Shown {
            times: self.times + other.times,
            of: self.of + other.of,
        }
    }
}

impl Case {
    /// The guilty operation, if the finding is about one.
    pub fn op(&self) -> Option<&Op> {
        self.program.ops.get(self.finding.op_index)
    }

    /// What the operation at `index` gave, if it was made and that is known: a child that came to its end has told nobody.
    pub fn outcome(&self, index: usize) -> Option<&Outcome> {
        let outcome = self.outcomes.get(index).filter(|outcome| outcome.made)?;
        let told =
            !self.program.is_in_child(index) || self.program.is_in_child(self.finding.op_index);
        told.then_some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_counts_come_to() {
        let [few, more] = [(2, 3), (5, 7)].map(|(times, of)| Shown { times, of });
        assert_eq!(few.and(more), Shown { times: 7, of: 10 });
    }

    #[test]
    fn a_child_that_came_to_its_end_has_told_nobody() {
        let lines = "# allocspec trace 1\np0 = malloc 1\nfork\nfree p0\nwait\nfree p0";
        let program = Program::parse(lines).expect("a program");
        let made = |made| Outcome {
            made,
            ..Outcome::default()
        };
        let mut case = Case {
            finding: Finding {
                rule: RuleId::ForkSt,
                op_index: 4,
                evidence: Evidence::UnexpectedNull,
            },
            outcomes: vec![made(true), made(true), made(true), made(false)],
            program,
            live: Vec::new(),
            phase: String::new(),
            reproduced: true,
            shown: None,
        };
        let known = |case: &Case| [0, 1, 2, 3, 4].map(|index| case.outcome(index).is_some());
        assert_eq!(known(&case), [true, true, false, false, false]);
        assert_eq!(case.op(), Some(&case.program.ops[4]));
        case.finding.op_index = 2;
        assert_eq!(known(&case), [true, true, true, false, false]);
        case.finding.op_index = 9;
        assert_eq!(case.op(), None);
    }
}
