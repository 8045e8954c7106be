//! The rules of CPython's small-object allocator, for subjects whose sources can be watched.
//!
//! What such a subject returns is one half of its conduct; the other is what it asks of the raw domain and of the arena
//! allocator, and when. Both are compared here with what a request of that kind must lead to. The comparison knows the
//! constants of the layout and nothing of the implementation.

mod requests;
mod resizing;
mod sources;

use super::block::Block;
use super::model::{At, Checked, Reply, Request, Shadow};
use super::{Event, Evidence};
use crate::program::{Call, Op};
use crate::spec::RuleId;

/// Largest request served from pools.
const THRESHOLD: u64 = 512;
/// Distance of size classes, and alignment of blocks in pools.
const ALIGNMENT: u64 = 16;
/// Bytes of a pool, at a multiple of as many.
const POOL: u64 = 16 << 10;
/// Bytes of an arena.
const ARENA: u64 = 1 << 20;
/// Size classes.
const CLASSES: usize = (THRESHOLD / ALIGNMENT) as usize;
/// `PY_SSIZE_T_MAX`.
const SIGNED_MAX: u64 = i64::MAX as u64;
/// Bytes of the two kinds of radix node, which are no user's request.
const NODES: [usize; 2] = [131_072, 262_144];

/// What is remembered between operations.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Where arenas are.
    arenas: Vec<u64>,
    /// Bytes by which arenas are displaced at present.
    shift: u64,
    /// Blocks the subject counted after the last operation.
    counted: Option<usize>,
    /// The last block handed out of each class.
    last: [u64; CLASSES],
    /// Whether a block was given back or moved since the program began.
    used: bool,
}

/// One operation with what it led to.
struct Deed<'e> {
    at: At<'e>,
    before: Block,
    /// The address returned, 0 for none.
    address: u64,
    /// The bytes asked for.
    size: u64,
    events: &'e [Event],
}

impl Deed<'_> {
    /// Whether an arena, or what it takes to have one, was refused.
    fn arena_refused(&self) -> bool {
        self.events.iter().any(|event| match *event {
            Event::ArenaAlloc { result, .. } => result == 0,
            Event::RawRealloc { block, result, .. } => {
                let own = self.before.address;
                result == 0 && (own == 0 || block as u64 != own)
            }
            Event::RawCalloc {
                count: 1,
                size,
                result,
            } => result == 0 && NODES.contains(&size),
            _ => false,
        })
    }

    /// The requests to the raw domain that are about the block and not about the allocator's own books.
    fn requests(&self) -> impl Iterator<Item = Event> {
        let own = self.before.address;
        let asked = self.size;
        let null = !self.before.is_live() && self.at.op.call == Call::Realloc;
        self.events
            .iter()
            .copied()
            .filter(move |event| match *event {
                Event::RawMalloc { .. } | Event::RawFree { .. } => true,
                Event::RawCalloc { count, size, .. } => !(count == 1 && NODES.contains(&size)),
                Event::RawRealloc { block, size, .. } => {
                    // The vector of arenas also begins with the realloc of nothing.
                    own != 0 && block as u64 == own || null && block == 0 && size as u64 == asked
                }
                Event::Library { .. } | Event::ArenaAlloc { .. } | Event::ArenaFree { .. } => false,
            })
    }

    /// Whether a request about the block was refused by the raw domain.
    fn raw_refused(&self) -> bool {
        self.requests().any(|event| {
            matches!(
                event,
                Event::RawMalloc { result: 0, .. }
                    | Event::RawCalloc { result: 0, .. }
                    | Event::RawRealloc { result: 0, .. }
            )
        })
    }

    /// What reached the raw domain, in words.
    fn found(&self) -> String {
        let requests: Vec<String> = self.requests().map(in_words).collect();
        match requests.as_slice() {
            [] => "no raw request".into(),
            some => some.join(", "),
        }
    }
}

fn in_words(event: Event) -> String {
    match event {
        Event::RawMalloc { size, .. } => format!("raw malloc({size})"),
        Event::RawCalloc { count, size, .. } => format!("raw calloc({count}, {size})"),
        Event::RawRealloc { block, size, .. } => format!("raw realloc({block:#x}, {size})"),
        Event::RawFree { block } => format!("raw free({block:#x})"),
        Event::Library { count, size } => format!("{count} x {size} bytes of the C library"),
        Event::ArenaAlloc { size, .. } => format!("an arena of {size} bytes"),
        Event::ArenaFree { base, size } => format!("arena free({base:#x}, {size})"),
    }
}

/// The size of the class that a small request is served from.
fn class_size(size: u64) -> u64 {
    size.max(1).next_multiple_of(ALIGNMENT)
}

impl Shadow<'_> {
    /// Compares what an operation led to with what CPython's rules say. `counted` is the number of blocks that the
    /// subject counts now, if it was asked.
    ///
    /// # Errors
    ///
    /// A finding, or that the state is ruined.
    pub fn audit(
        &mut self,
        index: usize,
        op: &Op,
        request: &Request,
        reply: &Reply,
        events: &[Event],
        counted: Option<usize>,
    ) -> Checked {
        let deed = Deed {
            at: At { index, op },
            before: request.before,
            address: reply.value,
            size: op.size().unwrap_or(u64::MAX),
            events,
        };
        self.audit_sources(&deed)?;
        self.note_provenance(&deed);
        match op.call {
            Call::Malloc => self.audit_malloc(&deed)?,
            Call::Calloc => self.audit_calloc(&deed)?,
            Call::Realloc if !deed.before.is_live() => self.audit_malloc(&deed)?,
            Call::Realloc => self.audit_realloc(&deed)?,
            Call::Free => self.audit_free(&deed)?,
            _ => {}
        }
        self.audit_count(&deed, counted)
    }

    /// Says by how many bytes arenas are displaced from here on.
    pub fn shift_arenas(&mut self, bytes: u64) {
        self.books.shift = bytes;
    }

    /// Notes whether the block came from a pool, and of which class: it keeps both while it stays where it is.
    fn note_provenance(&mut self, deed: &Deed<'_>) {
        let pooled = self.in_arena(deed.address);
        if let Some(block) = self.blocks.get_mut(deed.at.op.slot as usize)
            && block.is_live()
            && block.address == deed.address
        {
            let stayed = block.address == deed.before.address;
            block.pooled = pooled;
            block.class = if stayed {
                deed.before.class
            } else {
                class_size(deed.size)
            };
        }
    }

    fn demand(
        &self,
        deed: &Deed<'_>,
        rule: RuleId,
        kept: bool,
        wanted: impl Fn() -> String,
    ) -> Checked {
        self.ledger.count(rule);
        if kept {
            return Ok(());
        }
        self.broken(
            deed.at,
            rule,
            Evidence::Requests {
                wanted: wanted(),
                found: deed.found(),
            },
        )
    }

    /// The number of blocks that the subject counts.
    fn audit_count(&mut self, deed: &Deed<'_>, counted: Option<usize>) -> Checked {
        let before = std::mem::replace(&mut self.books.counted, counted);
        let (Some(before), Some(after)) = (before, counted) else {
            return Ok(());
        };
        let change = after as i64 - before as i64;
        let live = deed.before.is_live();
        let gave = deed.address != 0;
        let wanted = match deed.at.op.call {
            Call::Malloc | Call::Calloc => i64::from(gave),
            Call::Realloc => i64::from(gave && !live),
            Call::Free => -i64::from(live),
            _ => return Ok(()),
        };
        let crosses = deed.before.pooled != self.block(deed.at.op.slot).pooled;
        let rule = match deed.at.op.call {
            Call::Realloc if live && !gave => RuleId::CrossUpFail,
            Call::Realloc if live && change < 0 => RuleId::ReallocNeverFree,
            Call::Realloc if live && crosses => RuleId::ReallocCountNeutral,
            Call::Realloc if live => RuleId::ReallocOldDead,
            Call::Free if !live => RuleId::FreeNull,
            Call::Free if deed.before.requested == 0 => RuleId::ZeroBlockOwned,
            Call::Malloc | Call::Realloc if deed.size == 0 => RuleId::ZeroBlockOwned,
            _ => return Ok(()),
        };
        if rule == RuleId::ReallocOldDead || rule == RuleId::ReallocCountNeutral {
            self.ledger.count(RuleId::ReallocNeverFree);
        }
        self.ledger.count(rule);
        if change == wanted {
            return Ok(());
        }
        self.broken(
            deed.at,
            rule,
            Evidence::Requests {
                wanted: format!("the block count to change by {wanted}"),
                found: format!("it changed by {change}"),
            },
        )
    }
}
