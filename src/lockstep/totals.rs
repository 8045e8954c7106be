//! How much was compared.

use super::stage::{VALUE, kind};

/// Counts over a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Steps played.
    pub steps: u64,
    /// Addresses returned.
    pub addresses: u64,
    /// Arenas obtained.
    pub arenas: u64,
    /// Arenas given back.
    pub arenas_freed: u64,
    /// Requests to the raw domain.
    pub raw: u64,
    /// Requests failed on purpose.
    pub failed: u64,
}

impl Totals {
    /// Counts the record of so many steps.
    pub fn count(&mut self, record: &[u64], steps: usize) {
        self.steps += steps as u64;
        let mut last = 0;
        for &word in record {
            let (this, value) = ((word >> 56) as u8, word & VALUE);
            match this {
                kind::RESULT => self.addresses += u64::from(value != 0),
                kind::MALLOC | kind::CALLOC | kind::REALLOC | kind::FREE => self.raw += 1,
                kind::ARENA_FREE => self.arenas_freed += 1,
                kind::GOT if last == kind::ARENA => self.arenas += u64::from(value != 0),
                _ => {}
            }
            last = this;
        }
    }
}
