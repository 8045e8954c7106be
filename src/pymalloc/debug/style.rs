//! How the debug layer differs from version to version.

use super::S;
use crate::pymalloc::Version;

/// When a new serial number is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serial {
    /// To every request, even one that fails: until 3.6.
    BeforeTrying,
    /// To every block made or resized: 3.7.
    AfterSuccess,
    /// Never; blocks have none: 3.8 and later (bpo-36611).
    None,
}

/// What is overwritten of a block that is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resizing {
    /// What a shrinking block loses, before the allocator beneath is asked: until 3.3.
    TailErased,
    /// Nothing: 3.4 to 3.6.
    NothingErased,
    /// Both ends, which are put back afterwards: 3.7 and later (bpo-31626). If the block moves, it leaves dead ends.
    EndsErased,
}

/// The debug layer of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// What a new block is filled with (`CLEANBYTE`).
    pub clean: u8,
    /// What a freed block is overwritten with (`DEADBYTE`).
    pub dead: u8,
    /// What stands around a block (`FORBIDDENBYTE`).
    pub forbidden: u8,
    /// Whether and when blocks are given serial numbers.
    pub serial: Serial,
    /// What is overwritten of a block that is resized.
    pub resizing: Resizing,
    /// Whether the size limit takes header and trailer into account, since 3.4.3 (bpo-22335).
    pub knows_limit: bool,
    /// Whether a shrinking block that the allocator beneath cannot shrink is the end: 2.7.15 and later of 2.7.
    pub shrinks_or_dies: bool,
    /// Whether the lock must be held to call the domains that are not for every thread, since 3.6.
    pub checks_gil: bool,
    /// Whether last words name the function, since 3.9.
    pub names_function: bool,
    /// Whether it is said how to find out where a block was made, since 3.6.
    pub hints_at_tracemalloc: bool,
}

impl Style {
    /// The layer of a version. That 3.7.6 is the first of 3.7 with the bytes of 3.8 is believed, not known.
    pub fn of(version: Version) -> Style {
        let [clean, dead, forbidden] = if version >= Version(3, 7, 6) {
            [0xcd, 0xdd, 0xfd]
        } else {
            [0xcb, 0xdb, 0xfb]
        };
        Style {
            clean,
            dead,
            forbidden,
            serial: match version {
                Version(3, 8.., _) => Serial::None,
                Version(3, 7, _) => Serial::AfterSuccess,
                _ => Serial::BeforeTrying,
            },
            resizing: match version {
                Version(3, 7.., _) => Resizing::EndsErased,
                Version(3, 4.., _) => Resizing::NothingErased,
                _ => Resizing::TailErased,
            },
            knows_limit: version >= Version(3, 4, 3),
            shrinks_or_dies: (Version(2, 7, 15)..Version(3, 0, 0)).contains(&version),
            checks_gil: version >= Version(3, 6, 0),
            names_function: version >= Version(3, 9, 0),
            hints_at_tracemalloc: version >= Version(3, 6, 0),
        }
    }

    /// The bytes around a block.
    pub const fn extra(&self) -> usize {
        match self.serial {
            Serial::None => 3 * S,
            _ => 4 * S,
        }
    }
}
