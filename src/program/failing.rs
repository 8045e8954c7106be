//! Which system calls fail while a subject is in one of its own calls.
//!
//! An allocator has its memory from a handful of system calls, and each may fail. A program says which are to: one
//! operation, `fail syscall mmap 3`, holds from where it stands to the next of its kind.

use super::op::{Call, NO_SLOT, Op, Program};
use super::seeded::SplitMix;
use std::fmt;

/// The system calls that an allocator has its memory from, and gives it back by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is called what the kernel calls it")]
pub enum Syscall {
    /// Whichever of them comes.
    Any,
    Mmap,
    /// `brk`, where it asks for more. It cannot fail where it gives back.
    Brk,
    Mremap,
    Munmap,
    Madvise,
    Mprotect,
}

impl Syscall {
    /// Every one of them, the general word first.
    pub const ALL: [Syscall; 7] = [
        Syscall::Any,
        Syscall::Mmap,
        Syscall::Brk,
        Syscall::Mremap,
        Syscall::Munmap,
        Syscall::Madvise,
        Syscall::Mprotect,
    ];

    /// The word used in traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Syscall::Any => "any",
            Syscall::Mmap => "mmap",
            Syscall::Brk => "brk",
            Syscall::Mremap => "mremap",
            Syscall::Munmap => "munmap",
            Syscall::Madvise => "madvise",
            Syscall::Mprotect => "mprotect",
        }
    }
}

/// Which of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Which {
    /// The one of this number, from 1, and no other.
    Nth,
    /// The one of this number and all after it.
    From,
    /// About one in four, chosen by this number.
    Some,
}

/// What one `fail syscall` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Which system call is counted and fails.
    pub syscall: Syscall,
    /// Which of them fail.
    pub which: Which,
    /// The number, at least 1.
    pub number: u64,
}

impl Failing {
    /// What the operation says; `None` if it lets all pass, or is of another kind.
    pub fn of(op: &Op) -> Option<Failing> {
        let syscall = Syscall::ALL.get((op.b & 0xff) as usize).copied()?;
        let which = match op.b >> 8 {
            0 => Which::Nth,
            1 => Which::From,
            2 => Which::Some,
            _ => return None,
        };
        (op.call == Call::FailSyscall && op.a != 0).then_some(Failing {
            syscall,
            which,
            number: op.a,
        })
    }

    /// The operation that says so.
    pub const fn op(self) -> Op {
        let words = self.syscall as u64 | (self.which as u64) << 8;
        Op::new(Call::FailSyscall, NO_SLOT, self.number, words)
    }

    /// The operation that lets all pass.
    pub const fn none() -> Op {
        Op::new(Call::FailSyscall, NO_SLOT, 0, 0)
    }

    /// Whether the one of this ordinal fails, from 1, among those that are counted.
    pub fn fails(self, ordinal: u64) -> bool {
        match self.which {
            Which::Nth => ordinal == self.number,
            Which::From => ordinal >= self.number,
            Which::Some => {
                let seed = self.number.wrapping_mul(0x1_0001) ^ ordinal;
                SplitMix::new(seed).below(4) == 0
            }
        }
    }

    /// Reads what follows `fail syscall`; `None` if that is something else.
    pub fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Op> {
        let first = words.next()?;
        if first == "none" {
            return Some(Failing::none());
        }
        let syscall = Syscall::ALL.into_iter().find(|it| it.as_str() == first)?;
        let second = words.next()?;
        let (which, number) = match second {
            "from" => (Which::From, words.next()?),
            "some" => (Which::Some, words.next()?),
            number => (Which::Nth, number),
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|&it: &u64| digits && it > 0)?;
        Some(
            Failing {
                syscall,
                which,
                number,
            }
            .op(),
        )
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = match self.which {
            Which::Nth => "",
            Which::From => "from ",
            Which::Some => "some ",
        };
        write!(f, "{} {which}{}", self.syscall.as_str(), self.number)
    }
}

impl Program {
    /// The program in which no system call fails and no memory is limited.
    #[must_use]
    pub fn unhindered(&self) -> Program {
        let mut program = self.clone();
        program.retain(|op| !matches!(op.call, Call::Limit | Call::FailSyscall));
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unhindered_repeats_no_more_than_before() {
        let parse = |lines: &str| Program::parse(&format!("# allocspec trace 1\n{lines}")).unwrap();
        let hindered = parse(
            "p0 = malloc 1\nfree p0\nlimit 9\nfail syscall any 1\np1 = malloc 2\nfree p1\nrepeat 9 x 4",
        );
        let free = parse("p0 = malloc 1\nfree p0\np1 = malloc 2\nfree p1\nrepeat 9 x 2");
        assert_eq!(hindered.unhindered(), free);
    }

    #[test]
    fn what_is_said_is_read_again() {
        for syscall in Syscall::ALL {
            for which in [Which::Nth, Which::From, Which::Some] {
                let failing = Failing {
                    syscall,
                    which,
                    number: 3,
                };
                let text = failing.to_string();
                let op = Failing::parse(&mut text.split(' '));
                assert_eq!(op, Some(failing.op()), "{text}");
                assert_eq!(Failing::of(&failing.op()), Some(failing));
            }
        }
        assert_eq!(Failing::of(&Failing::none()), None);
        for wrong in [
            "",
            "mmap",
            "mmap 0",
            "mmap x",
            "open 1",
            "mmap from",
            "mmap +1",
        ] {
            assert_eq!(Failing::parse(&mut wrong.split(' ')), None, "{wrong}");
        }
    }

    #[test]
    fn the_right_ones_fail() {
        let fails = |which| {
            let failing = Failing {
                syscall: Syscall::Any,
                which,
                number: 3,
            };
            (1..=4000).filter(|&ordinal| failing.fails(ordinal)).count()
        };
        assert_eq!(fails(Which::Nth), 1);
        assert_eq!(fails(Which::From), 3998);
        assert!(
            (800..1200).contains(&fails(Which::Some)),
            "{}",
            fails(Which::Some)
        );
    }
}
