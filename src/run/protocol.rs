//! What a supervisor and a worker say to each other.

use crate::pymalloc::Edition;
use crate::run::Ending;
use crate::run::misuse::Scene;
use crate::shadow::{Conduct, Finding, LiveBlock, Muted, Outcome};
use crate::spec::{RuleId, RuleSet};
use serde::{Deserialize, Serialize};

/// The variable in the environment that makes a process a worker; its value is a [`Calling`].
pub const VARIABLE: &str = "ALLOCSPEC_WORKER";

/// What a worker is told when it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calling {
    /// The descriptor of the shared memory.
    pub fd: i32,
    /// The supervisor, through which the memory can be had if the subject closed the descriptor.
    pub supervisor: u32,
    /// The descriptor there.
    pub supervisor_fd: i32,
    /// Where the subject is found.
    pub carrier: Carrier,
    /// Deal with the order that is already there in this process, and end: nothing is called before it.
    pub once: bool,
    /// The worker is to live in a library that is loaded with the subject, whose constructors have not run.
    pub early: bool,
}

/// What carries the subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carrier {
    /// The reference in the worker itself, of the edition of this name.
    Reference(String),
    /// The mutant of this name in the worker itself.
    Mutant(String),
    /// Symbols that the dynamic linker finds: a preloaded library, or the C library.
    Linked {
        /// The file that must provide them; the C library if none.
        file: Option<FileId>,
        /// C names and the symbols looked up for them.
        symbols: Vec<(String, String)>,
    },
    /// A library to be opened.
    Opened {
        /// The path to open.
        path: String,
        /// The file that must provide the symbols.
        file: FileId,
        /// C names and the symbols looked up for them.
        symbols: Vec<(String, String)>,
    },
    /// The Python interpreter that the worker lives in.
    Interpreter {
        /// The name of the family of functions.
        domain: String,
    },
}

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
}

/// The first report of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Hello {
    /// Ready, with these entry points: C name, symbol, and the file that provides it, if any does.
    Ready(Vec<Found>),
    /// Ready in an interpreter.
    Interpreter {
        /// The edition of CPython that it is of, by name.
        edition: String,
        /// Its entry points.
        found: Vec<Found>,
        /// Why the sources of its allocator cannot be seen, unless they can.
        hidden: Option<String>,
        /// Whether it has pools.
        pools: bool,
        /// Whether it counts its blocks.
        counts: bool,
        /// Whether it runs without a global lock.
        free_threaded: bool,
    },
    /// The library could not be opened, for this reason; or the interpreter could not be used.
    NotOpened(String),
}

/// An entry point looked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The C name.
    pub name: String,
    /// The symbol.
    pub symbol: String,
    /// The object that has it.
    pub object: Option<String>,
    /// Whether that object is the subject.
    pub own: bool,
}

/// What a worker is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Find the sizes at which the subject's size classes end.
    Learn {
        /// When to stop, in nanoseconds of the monotonic clock.
        deadline: u64,
    },
    /// Misuse the subject.
    Misuse(Scene),
    /// Run the program that lies beside the order.
    Run {
        /// The rule it was made for.
        rule: Option<RuleId>,
        /// The rules to check, as words of a set.
        rules: [u64; RuleSet::WORDS],
        /// What is known to be broken: rule and call, by number.
        muted: Vec<(u16, u8)>,
        /// Whether to write into blocks.
        stores: bool,
        /// Whether to look closely.
        closely: bool,
        /// When to stop, in nanoseconds of the monotonic clock.
        deadline: u64,
    },
}

/// What a worker says of a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// How the run ended.
    pub ended: Ended,
    /// What the operations gave, if the run was looked at closely.
    pub outcomes: Vec<Outcome>,
    /// The blocks left, if the run ended with a finding and there are few.
    pub live: Vec<LiveBlock>,
}

impl Report {
    /// Whether a rule was found broken.
    pub fn tells_a_finding(&self) -> bool {
        matches!(self.ended, Ended::Broken(_))
    }
}

/// How a run ended, as told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// To the end.
    Finished,
    /// With a finding.
    Broken(Finding),
    /// In known ruin.
    Abandoned,
    /// For want of time.
    OutOfTime,
    /// The harness could not do its part.
    Failed(String),
}

impl Carrier {
    /// The edition of CPython that the subject is like; the usual one for subjects that are like none.
    pub fn edition(&self) -> Edition {
        match self {
            // The name was made of an edition.
            Carrier::Reference(name) => name.parse().unwrap_or_default(),
            _ => Edition::USUAL,
        }
    }
}

impl From<Ending> for Ended {
    fn from(ending: Ending) -> Ended {
        match ending {
            Ending::Finished => Ended::Finished,
            Ending::Broken(finding) => Ended::Broken(finding),
            Ending::Abandoned => Ended::Abandoned,
            Ending::OutOfTime => Ended::OutOfTime,
        }
    }
}

impl Order {
    /// The order to run a program for `rule` with this conduct.
    pub fn run(rule: Option<RuleId>, conduct: &Conduct, deadline: u64) -> Order {
        Order::Run {
            rule,
            rules: conduct.rules.to_words(),
            muted: conduct.muted.pairs().collect(),
            stores: conduct.stores,
            closely: conduct.closely,
            deadline,
        }
    }
}

/// The conduct that an order carries.
pub fn conduct(
    rules: [u64; RuleSet::WORDS],
    muted: &[(u16, u8)],
    stores: bool,
    closely: bool,
) -> Conduct {
    Conduct {
        rules: RuleSet::from_words(rules),
        muted: Muted::from_pairs(muted),
        stores,
        closely,
    }
}
