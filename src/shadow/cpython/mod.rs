//! The rules of CPython's small-object allocator, for subjects whose sources can be watched.
//!
//! What such a subject returns is one half of its conduct; the other is what it asks of the raw domain and of the arena
//! allocator, and when. Both are compared here with what a request of that kind must lead to. The comparison knows the
//! numbers of the layout ([`Shadow::of_layout`]) and nothing of the implementation.

mod requests;
mod resizing;
mod sources;

use super::block::Block;
use super::model::{At, Checked, Reply, Request, Shadow};
use super::{Event, Evidence};
use crate::program::{Call, Op};
use crate::pymalloc::{Geometry, MAX_CLASSES, Nothing};
use crate::spec::RuleId;

/// `PY_SSIZE_T_MAX`.
const SIGNED_MAX: u64 = i64::MAX as u64;

/// What is remembered between operations.
#[derive(Debug)]
pub(super) struct Books {
    /// Where arenas are.
    arenas: Vec<u64>,
    /// Bytes by which arenas are displaced at present.
    shift: u64,
    /// Blocks the subject counted after the last operation.
    counted: Option<usize>,
    /// The last block handed out of each class.
    last: [u64; MAX_CLASSES],
    /// Whether a block was given back or moved since the program began.
    used: bool,
}

impl Books {
    /// Nothing happened yet.
    pub const NEW: Books = Books {
        arenas: Vec::new(),
        shift: 0,
        counted: None,
        last: [0; MAX_CLASSES],
        used: false,
    };
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
    geometry: Geometry,
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
            Event::RawCalloc { result, .. } => result == 0 && self.is_node(*event),
            _ => false,
        })
    }

    /// Whether a request is for a node of the allocator's address map, and not what the caller asked for.
    fn is_node(&self, event: Event) -> bool {
        let Event::RawCalloc { count: 1, size, .. } = event else {
            return false;
        };
        let op = &self.at.op;
        self.geometry.is_node(size) && (op.call, op.a, op.b) != (Call::Calloc, 1, size as u64)
    }

    /// The requests to the raw domain that are about the block and not about the allocator's own books.
    fn requests(&self) -> impl Iterator<Item = Event> {
        let own = self.before.address;
        let asked = self.size;
        let null = !self.before.is_live() && self.at.op.call == Call::Realloc;
        let requests = self.events.iter().copied();
        requests.filter(move |event| match *event {
            Event::RawMalloc { .. } | Event::RawFree { .. } => true,
            Event::RawCalloc { .. } => !self.is_node(*event),
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

    /// Whether pools serve a request of `size` bytes.
    fn is_small(&self, size: u64) -> bool {
        size >= 1 && size <= self.threshold()
    }

    fn threshold(&self) -> u64 {
        self.geometry.threshold as u64
    }

    fn alignment(&self) -> u64 {
        self.geometry.alignment as u64
    }

    /// Bytes of a pool, which lies at a multiple of as many.
    fn pool(&self) -> u64 {
        self.geometry.pool as u64
    }

    fn arena(&self) -> u64 {
        self.geometry.arena as u64
    }

    /// The size of the class that a small request is served from.
    fn class_size(&self, size: u64) -> u64 {
        size.max(1).next_multiple_of(self.alignment())
    }

    /// The size that the raw domain is asked for by a malloc of 0 bytes.
    fn nothing(&self) -> usize {
        usize::from(self.geometry.nothing == Nothing::OneByte)
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
            geometry: self.geometry,
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

    /// What is demanded of an allocator whose sources cannot be seen, and which are not made to fail.
    ///
    /// # Errors
    ///
    /// A finding.
    pub fn audit_unseen(
        &mut self,
        index: usize,
        op: &Op,
        request: &Request,
        reply: &Reply,
    ) -> Checked {
        let rule = match op.call {
            Call::Malloc => RuleId::ZeroMallocNonnull,
            Call::Calloc => RuleId::CallocZeroElems,
            Call::Realloc if request.before.is_live() => RuleId::ReallocZeroKeepsBlock,
            Call::Realloc => RuleId::ZeroMallocNonnull,
            _ => return Ok(()),
        };
        if op.size() != Some(0) || self.is_short() {
            return Ok(());
        }
        self.ledger.count(rule);
        if reply.value != 0 {
            return Ok(());
        }
        self.broken(At { index, op }, rule, Evidence::UnexpectedNull)
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
                // Larger ones are in no pool.
                u32::try_from(deed.class_size(deed.size)).unwrap_or(0)
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
