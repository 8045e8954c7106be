//! What the resizing of a live block, and its release, must lead to.

use super::{Deed, SIGNED_MAX};
use crate::pymalloc::Nothing;
use crate::shadow::model::{Checked, Shadow};
use crate::shadow::{Event, Evidence};
use crate::spec::RuleId;

impl Shadow<'_> {
    pub(super) fn audit_realloc(&mut self, deed: &Deed<'_>) -> Checked {
        if deed.size > SIGNED_MAX {
            return self.demand(
                deed,
                RuleId::ReallocOversizeEarly,
                deed.events.is_empty(),
                || "no request at all".into(),
            );
        }
        if deed.size == 0 && deed.address == 0 {
            self.audit_zero_refused(deed)?;
        }
        if deed.before.pooled {
            self.audit_pooled(deed)
        } else {
            self.audit_raw(deed)
        }
    }

    /// `realloc(p, 0)` gave nothing: right only if the raw domain did not, and then the block is what it was.
    fn audit_zero_refused(&mut self, deed: &Deed<'_>) -> Checked {
        self.ledger.count(RuleId::ReallocZeroKeepsBlock);
        if !deed.raw_refused() {
            return self.ruined(
                deed.at,
                RuleId::ReallocZeroKeepsBlock,
                Evidence::UnexpectedNull,
            );
        }
        self.verify(
            deed.at,
            deed.at.op.slot,
            &deed.before,
            RuleId::ReallocFailKeeps,
        )
    }

    /// A block in a pool stays where it is unless a quarter of it or more is saved, or it outgrows its class.
    fn audit_pooled(&mut self, deed: &Deed<'_>) -> Checked {
        let class = u64::from(deed.before.class);
        let stayed = deed.address == deed.before.address;
        self.books.used |= !stayed;
        if deed.size > class {
            if deed.size > deed.threshold() {
                return self.audit_cross_up(deed);
            }
            return self.audit_move(deed, RuleId::Threshold512);
        }
        let must_stay = 4 * deed.size > 3 * class;
        let moved = |to: u64| Evidence::Moved {
            from: deed.before.address,
            to,
        };
        let rule = match (must_stay, deed.size >= deed.before.requested) {
            (true, true) => RuleId::GrowWithinClass,
            (false, _) if deed.class_size(deed.size) == class => RuleId::ShrinkSameClassMoves,
            _ => RuleId::ShrinkQuarter,
        };
        self.ledger.count(rule);
        if deed.address != 0 && stayed != must_stay {
            return self.broken(deed.at, rule, moved(deed.address));
        }
        if must_stay {
            return Ok(());
        }
        self.audit_move(deed, RuleId::ShrinkMoveTarget)
    }

    /// A block that moves goes where a new one of its size goes.
    fn audit_move(&mut self, deed: &Deed<'_>, rule: RuleId) -> Checked {
        if deed.size > 0 {
            return self.audit_small(deed, rule);
        }
        let nothing = deed.nothing();
        let asked = deed
            .requests()
            .any(|event| matches!(event, Event::RawMalloc { size, .. } if size == nothing));
        self.demand(deed, rule, asked, || format!("raw malloc({nothing})"))
    }

    fn audit_cross_up(&mut self, deed: &Deed<'_>) -> Checked {
        let asked = deed.requests().any(
            |event| matches!(event, Event::RawMalloc { size, .. } if size as u64 == deed.size),
        );
        self.demand(deed, RuleId::CrossUp, asked, || {
            format!("raw malloc({})", deed.size)
        })?;
        if deed.address == 0 {
            let refused = deed.raw_refused();
            self.demand(deed, RuleId::CrossUpFail, refused, || {
                "a failure only of the raw domain's".into()
            })?;
        }
        Ok(())
    }

    /// A raw block is the raw domain's for ever, whatever its size becomes.
    fn audit_raw(&mut self, deed: &Deed<'_>) -> Checked {
        let own = deed.before.address as usize;
        let mut asked = deed.requests().filter_map(|event| match event {
            Event::RawRealloc {
                block,
                size,
                result,
            } if block == own => Some((size, result)),
            _ => None,
        });
        let first = asked.next();
        if deed.size <= deed.threshold() {
            let kept = !self.in_arena(deed.address) && first.is_some();
            self.demand(deed, RuleId::CrossDownStaysRaw, kept, || {
                format!("raw realloc({own:#x}, {})", deed.size)
            })?;
            if !kept {
                return Ok(());
            }
        }
        if deed.size == 0 {
            let modern = deed.geometry.nothing == Nothing::AsItIs;
            let wanted = usize::from(!modern);
            let kept = first.is_none_or(|(size, _)| size == wanted);
            self.demand(deed, RuleId::ReallocZeroRawArg, kept, || {
                format!("raw realloc({own:#x}, {wanted})")
            })?;
            if first.is_some_and(|(_, result)| result == 0) {
                self.ledger.count(RuleId::ReallocZeroFail);
                let address = deed.address;
                let from = own as u64;
                let evidence = match modern {
                    true if address != 0 => Some(Evidence::UnexpectedPointer { address }),
                    false if address == 0 => Some(Evidence::UnexpectedNull),
                    false if address != from => Some(Evidence::Moved { from, to: address }),
                    _ => None,
                };
                if let Some(evidence) = evidence {
                    return self.broken(deed.at, RuleId::ReallocZeroFail, evidence);
                }
            }
        }
        let once = deed.requests().count() == 1 && first.is_some();
        let size_kept = deed.size == 0 || first.is_none_or(|(size, _)| size as u64 == deed.size);
        self.ledger.count(RuleId::RawReallocDelegates);
        if once && size_kept {
            return Ok(());
        }
        // Which of several blocks is the one that lives is anybody's guess.
        self.ruined(
            deed.at,
            RuleId::RawReallocDelegates,
            Evidence::Requests {
                wanted: format!("raw realloc({own:#x}, {}) and nothing else", deed.size),
                found: deed.found(),
            },
        )
    }

    pub(super) fn audit_free(&mut self, deed: &Deed<'_>) -> Checked {
        let own = deed.before.address as usize;
        if own == 0 {
            return self.demand(deed, RuleId::FreeNull, deed.events.is_empty(), || {
                "no request at all".into()
            });
        }
        self.books.used = true;
        if deed.before.pooled {
            let kept = deed.requests().count() == 0;
            return self.demand(deed, RuleId::HookPairing, kept, || "no raw request".into());
        }
        let freed = deed
            .requests()
            .filter(|event| matches!(*event, Event::RawFree { block } if block == own))
            .count();
        self.demand(deed, RuleId::HookPairing, freed == 1, || {
            format!("raw free({own:#x})")
        })
    }
}
