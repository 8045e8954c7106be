//! What an allocation must lead to.

use super::{Deed, SIGNED_MAX};
use crate::program::Call;
use crate::pymalloc::Nothing;
use crate::shadow::model::{Checked, Shadow};
use crate::shadow::{Event, Evidence};
use crate::spec::RuleId;

impl Shadow<'_> {
    /// `malloc(n)` and `realloc(NULL, n)`.
    pub(super) fn audit_malloc(&mut self, deed: &Deed<'_>) -> Checked {
        let null_realloc = deed.at.op.call == Call::Realloc;
        if deed.size > SIGNED_MAX {
            let rule = if null_realloc {
                RuleId::ReallocOversizeEarly
            } else {
                RuleId::LimitSsizeMax
            };
            return self.demand(deed, rule, deed.events.is_empty(), || {
                "no request at all".into()
            });
        }
        if null_realloc && !deed.is_small(deed.size) {
            let as_malloc = deed
                .requests()
                .all(|event| !matches!(event, Event::RawRealloc { .. }));
            self.demand(deed, RuleId::ReallocNullIsMalloc, as_malloc, || {
                format!("raw malloc({})", deed.size)
            })?;
            if !as_malloc {
                return Ok(());
            }
        }
        match deed.size {
            0 => self.audit_nothing(deed),
            size if deed.is_small(size) => self.audit_small(deed, RuleId::Threshold512),
            _ => self.audit_large_malloc(deed),
        }
    }

    /// A request for no bytes goes to the raw domain as it is; only the default there asks for one.
    fn audit_nothing(&mut self, deed: &Deed<'_>) -> Checked {
        let size_asked = deed.requests().find_map(|event| match event {
            Event::RawMalloc { size, .. } => Some(size),
            _ => None,
        });
        self.demand(
            deed,
            RuleId::ZeroNotInPools,
            size_asked.is_some() || deed.address == 0,
            || format!("raw malloc({})", deed.nothing()),
        )?;
        if deed.geometry.nothing != Nothing::OneByte
            && let Some(size) = size_asked
        {
            let library = deed.events.iter().find_map(|event| match *event {
                Event::Library { count: 1, size } => Some(size),
                _ => None,
            });
            let kept = size == 0 && library.is_none_or(|size| size == 1);
            self.demand(deed, RuleId::ZeroBumpInDefaultRaw, kept, || {
                "raw malloc(0), and of the C library 1 byte".into()
            })?;
        }
        let refused = deed.raw_refused() || deed.arena_refused();
        self.demand(
            deed,
            RuleId::ZeroMallocNonnull,
            deed.address != 0 || refused,
            || "a block".into(),
        )
    }

    /// A request that pools serve. `rule` is broken if the raw domain serves it without need.
    pub(super) fn audit_small(&mut self, deed: &Deed<'_>, rule: RuleId) -> Checked {
        let asked_raw = deed
            .requests()
            .any(|event| !matches!(event, Event::RawFree { .. }));
        if deed.arena_refused() {
            let kept = deed.address != 0 || deed.raw_refused();
            self.demand(deed, RuleId::ArenaFailFallback, kept, || {
                format!("a block of {} bytes from the raw domain", deed.size)
            })?;
            return Ok(());
        }
        self.demand(deed, rule, !asked_raw, || {
            "a pool to serve it, and no raw request".into()
        })?;
        if asked_raw || deed.address == 0 {
            return Ok(());
        }
        self.audit_place(deed)
    }

    /// Where in its pool and its arena a block lies.
    fn audit_place(&mut self, deed: &Deed<'_>) -> Checked {
        let address = deed.address;
        self.ledger.count(RuleId::AlignPymalloc);
        let alignment = deed.alignment();
        if !address.is_multiple_of(alignment) {
            let evidence = Evidence::Misaligned { address, alignment };
            return self.broken(deed.at, RuleId::AlignPymalloc, evidence);
        }
        let class = deed.class_size(deed.size);
        self.ledger.count(RuleId::ClassUsable);
        let pool = address & !(deed.pool() - 1);
        let end = pool + deed.pool();
        if address + class > end {
            return self.ruined(
                deed.at,
                RuleId::ClassUsable,
                Evidence::Requests {
                    wanted: format!("{class} bytes before the end of the pool at {end:#x}"),
                    found: format!("a block at {address:#x}, {} bytes before it", end - address),
                },
            );
        }
        // Blocks of a fresh pool lie one class size apart.
        let index = (class / alignment) as usize - 1;
        let last = std::mem::replace(&mut self.books.last[index], address);
        if !self.books.used && last != 0 && last & !(deed.pool() - 1) == pool {
            self.ledger.count(RuleId::ClassIndex);
            if address != last + class {
                return self.ruined(
                    deed.at,
                    RuleId::ClassIndex,
                    Evidence::Requests {
                        wanted: format!("the block {class} bytes after the one before it"),
                        found: format!("one {} bytes from it", address.abs_diff(last)),
                    },
                );
            }
        }
        if self.books.shift != 0 {
            self.ledger.count(RuleId::ArenaAnyAlignment);
        }
        Ok(())
    }

    fn audit_large_malloc(&mut self, deed: &Deed<'_>) -> Checked {
        let wanted = |event: &Event| matches!(*event, Event::RawMalloc { size, .. } if size as u64 == deed.size);
        let asked = deed.requests().any(|event| wanted(&event));
        if self.in_arena(deed.address) {
            return self.demand(deed, RuleId::Threshold512, false, || {
                format!("raw malloc({})", deed.size)
            });
        }
        self.ledger.count(RuleId::Threshold512);
        self.demand(deed, RuleId::HookFallbackRaw, asked, || {
            format!("raw malloc({})", deed.size)
        })
    }

    pub(super) fn audit_calloc(&mut self, deed: &Deed<'_>) -> Checked {
        let (count, size) = (deed.at.op.a, deed.at.op.b);
        if size != 0 && count > SIGNED_MAX / size {
            return self.demand(deed, RuleId::CallocOverflow, deed.events.is_empty(), || {
                "no request at all".into()
            });
        }
        let as_asked = |event: &Event| matches!(*event, Event::RawCalloc { count: c, size: s, .. } if (c as u64, s as u64) == (count, size));
        let asked = deed.requests().any(|event| as_asked(&event));
        let wanted = || format!("raw calloc({count}, {size})");
        let product = count * size;
        if product == 0 {
            let kept = deed.address != 0 || deed.raw_refused();
            self.demand(deed, RuleId::CallocZeroElems, kept, || "a block".into())?;
            let refused_early = deed.address == 0 && !asked;
            return self.demand(
                deed,
                RuleId::CallocZeroRawArg,
                asked || refused_early,
                wanted,
            );
        }
        if deed.is_small(product) {
            let rule = if count > 1 && size > 1 {
                RuleId::ThresholdCalloc
            } else {
                RuleId::CallocSmallNoRaw
            };
            return self.audit_small(deed, rule);
        }
        if count > SIGNED_MAX / size - 1 {
            let asked = deed.requests().next().is_some();
            return self.demand(deed, RuleId::CallocLimitInclusive, asked, wanted);
        }
        if self.in_arena(deed.address) {
            return self.demand(deed, RuleId::ThresholdCalloc, false, wanted);
        }
        self.demand(deed, RuleId::CallocArgsUnmerged, asked, wanted)
    }
}
