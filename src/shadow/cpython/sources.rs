//! When arenas are asked for and given back, and that they are what they should be.

use super::Deed;
use crate::shadow::model::{Checked, Shadow};
use crate::shadow::{Event, Evidence};
use crate::spec::RuleId;

const PAGE: u64 = 4096;

impl Shadow<'_> {
    pub(super) fn audit_sources(&mut self, deed: &Deed<'_>) -> Checked {
        for &event in deed.events {
            match event {
                Event::ArenaAlloc { size, result } => {
                    self.audit_arena(deed, size as u64, result as u64)?
                }
                Event::ArenaFree { base, size } => {
                    self.audit_arena_free(deed, base as u64, size as u64)?
                }
                _ => {}
            }
        }
        self.audit_bounds(deed)
    }

    fn audit_arena(&mut self, deed: &Deed<'_>, size: u64, base: u64) -> Checked {
        if base != 0 {
            self.books.arenas.push(base);
        }
        self.demand(deed, RuleId::ArenaSizeExact, size == deed.arena(), || {
            format!("an arena of {} bytes", deed.arena())
        })?;
        let small = deed.is_small(deed.size);
        self.ledger.count(RuleId::ArenaOnDemand);
        if !small && deed.at.op.size().is_some() {
            return self.broken(
                deed.at,
                RuleId::ArenaOnDemand,
                Evidence::Requests {
                    wanted: "an arena only for a request that pools serve".into(),
                    found: format!("one for a request of {} bytes", deed.size),
                },
            );
        }
        if base == 0 {
            return Ok(());
        }
        self.ledger.count(RuleId::ArenaDefaultBackend);
        if self.books.shift == 0 && !base.is_multiple_of(PAGE) {
            return self.broken(
                deed.at,
                RuleId::ArenaDefaultBackend,
                Evidence::Requests {
                    wanted: "a mapping of its own, which begins at a page".into(),
                    found: format!("an arena at {base:#x}"),
                },
            );
        }
        Ok(())
    }

    fn audit_arena_free(&mut self, deed: &Deed<'_>, base: u64, size: u64) -> Checked {
        self.demand(deed, RuleId::ArenaSizeExact, size == deed.arena(), || {
            format!("an arena of {} bytes given back", deed.arena())
        })?;
        let known = self.books.arenas.iter().position(|&arena| arena == base);
        self.ledger.count(RuleId::ArenaFreeSamePtr);
        match known {
            Some(index) => self.books.arenas.swap_remove(index),
            None => {
                return self.ruined(
                    deed.at,
                    RuleId::ArenaFreeSamePtr,
                    Evidence::Requests {
                        wanted: "an arena given back by the address it was obtained at".into(),
                        found: format!("{base:#x} given back, which is no arena"),
                    },
                );
            }
        };
        self.ledger.count(RuleId::ArenaDefaultBackend);
        if base.is_multiple_of(PAGE) && is_mapped(base) {
            return self.broken(
                deed.at,
                RuleId::ArenaDefaultBackend,
                Evidence::Requests {
                    wanted: "the mapping gone".into(),
                    found: format!("{base:#x} still mapped"),
                },
            );
        }
        Ok(())
    }

    /// A block must not reach beyond the arena its pool lies in.
    fn audit_bounds(&mut self, deed: &Deed<'_>) -> Checked {
        let address = deed.address;
        let end = |arena: u64| arena + deed.arena();
        let beyond = |&arena: &u64| address >= end(arena) && address < end(arena) + deed.pool();
        let stray = address != 0 && !self.in_arena(address) && deed.requests().next().is_none();
        let arena = self
            .books
            .arenas
            .iter()
            .copied()
            .find(|arena| stray && beyond(arena));
        match arena {
            Some(arena) if !arena.is_multiple_of(deed.pool()) => self.ruined(
                deed.at,
                RuleId::ArenaAnyAlignment,
                Evidence::Requests {
                    wanted: format!("a block before the end of its arena at {:#x}", end(arena)),
                    found: format!("one at {address:#x}"),
                },
            ),
            _ => Ok(()),
        }
    }

    /// Whether an address lies in an arena.
    pub(super) fn in_arena(&self, address: u64) -> bool {
        let arena = self.geometry.arena as u64;
        self.books
            .arenas
            .iter()
            .any(|&base| address >= base && address < base + arena)
    }
}

/// Whether the page at this address is mapped.
fn is_mapped(page: u64) -> bool {
    let mut resident = 0u8;
    // SAFETY: `mincore` touches nothing at the address; it only says whether something is mapped there.
    let result = unsafe {
        libc::mincore(
            std::ptr::without_provenance_mut(page as usize),
            PAGE as usize,
            &raw mut resident,
        )
    };
    result == 0
}
