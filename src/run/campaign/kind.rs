//! When two findings are the same one, though one rule or another is told of them.

use super::races;
use crate::program::{Call, Condition, Program};
use crate::shadow::{Evidence, Finding, Moment};
use crate::spec::{RuleId, RuleSet};
use std::mem::{Discriminant, discriminant};

/// What kind of finding a candidate must give for it to be the same one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any overlap: which rule it breaks depends on what the program needs to show it.
    Overlap,
    /// Any damage to a block, before it is known which operation did it.
    Damage,
    /// Any byte of a calloc that is not zero.
    Dirt,
    /// Death in a call of this kind, for the same reason.
    Death(Call),
    /// Evidence of this form, at this moment if it is a death, in or after this call: it was laid to circumstances, which may
    /// turn out to have no part in it.
    Laid(Discriminant<Evidence>, Option<Moment>, Option<Call>),
    /// Any harm that threads do to one another: it shows now in one way, now in another. Only that a call hangs, or that
    /// none does, stays as it is.
    Harm { hangs: bool },
    /// Any growth, before it is known what it takes; then that of one rule.
    Growth(Option<RuleId>),
    /// This very rule, broken by this call if that tells two causes apart.
    Rule(RuleId, Call),
}

/// The rules by which an overlap is seen.
const OVERLAPS: &[RuleId] = &[
    RuleId::Disjoint,
    RuleId::DistinctNonzero,
    RuleId::ReallocFailKeeps,
    RuleId::ReallocOldDead,
    RuleId::MallocZeroChoice,
    RuleId::CallocZeroSize,
    RuleId::AlignedZeroSize,
    RuleId::PmaZeroSize,
    RuleId::ZeroMallocDistinct,
    RuleId::CxxNewZero,
    RuleId::UsableDisjoint,
    RuleId::CrossUpFail,
    RuleId::FreeSizedEquiv,
    RuleId::FreeAlignedSizedEquiv,
    RuleId::CxxSizedEquiv,
];
/// The rules by which a byte that is not zero is seen.
const DIRT: &[RuleId] = &[
    RuleId::CallocZero,
    RuleId::CallocZeroAfterOom,
    RuleId::CallocArgsSym,
];
/// The rules by which damage is seen.
const DAMAGES: &[RuleId] = &[
    RuleId::ContentStable,
    RuleId::ReallocContent,
    RuleId::ReallocBounds,
    RuleId::ReallocFailKeeps,
    RuleId::UsableWritable,
    RuleId::CrossUpFail,
    RuleId::FreeSizedEquiv,
    RuleId::FreeAlignedSizedEquiv,
    RuleId::CxxSizedEquiv,
];

/// The rules by which growth is seen.
const GROWTH: &[RuleId] = &[
    RuleId::FreeMakesAvailable,
    RuleId::ReallocOldDead,
    RuleId::BoundedSteady,
    RuleId::BoundedSawtooth,
    RuleId::BoundedAligned,
    RuleId::BoundedRealloc,
    RuleId::BoundedFifo,
    RuleId::BoundedThreads,
    RuleId::BoundedXthreadFree,
    RuleId::BoundedConcurrent,
    RuleId::FreeSizedEquiv,
    RuleId::FreeAlignedSizedEquiv,
    RuleId::CxxSizedEquiv,
];

/// The rules by which harm is seen.
pub(super) fn harms() -> RuleSet {
    let all = [OVERLAPS, DIRT, DAMAGES, &[RuleId::AllocNonnullUsable]];
    all.into_iter().flatten().copied().collect()
}

impl Kind {
    /// The kind of a finding that a program gave.
    pub(super) fn of(finding: &Finding, program: &Program) -> Kind {
        let call = program.ops.get(finding.op_index).map(|op| op.call);
        match (&finding.evidence, call) {
            (Evidence::Overlap { .. }, _) => Kind::Overlap,
            (Evidence::NotZero { .. }, Some(Call::Calloc)) => Kind::Dirt,
            (Evidence::Climb { .. }, _) => Kind::Growth(None),
            // Circumstances may turn out to have no part in it, nor in what is laid to them below.
            (Evidence::Contents { .. }, _) if Condition::RULES.contains(&finding.rule) => {
                Kind::Damage
            }
            (
                Evidence::Died {
                    moment: Moment::Call,
                    ..
                },
                Some(call),
            ) => Kind::Death(call.plain()),
            (Evidence::Died { .. } | Evidence::BadAddress { .. } | Evidence::Foreign { .. }, _)
                if Condition::RULES.contains(&finding.rule) =>
            {
                Kind::laid(finding, call.map(Call::plain))
            }
            _ => Kind::Rule(finding.rule, cause(finding.rule, call)),
        }
    }

    fn laid(finding: &Finding, call: Option<Call>) -> Kind {
        let moment = match finding.evidence {
            Evidence::Died { moment, .. } => Some(moment),
            _ => None,
        };
        Kind::Laid(discriminant(&finding.evidence), moment, call)
    }

    /// The rules to check while looking for it.
    pub(super) fn rules(self, all: RuleSet) -> RuleSet {
        /// What every profile has: what is laid to circumstances may turn out to be one of them.
        const ORDINARY: &[RuleId] = &[
            RuleId::AllocNonnullUsable,
            RuleId::Disjoint,
            RuleId::DistinctNonzero,
            RuleId::ContentStable,
            RuleId::ReallocContent,
            RuleId::CallocZero,
        ];
        let own;
        let wanted = match self {
            Kind::Overlap => OVERLAPS,
            Kind::Damage => DAMAGES,
            Kind::Dirt => DIRT,
            Kind::Growth(_) => GROWTH,
            // A death shows itself whatever is checked.
            Kind::Death(_) | Kind::Laid(..) => &[],
            // Whichever rule it breaks, that it shows is what counts.
            Kind::Harm { .. } => return harms(),
            Kind::Rule(rule, _) => {
                own = [rule];
                &own
            }
        };
        let special = || {
            Condition::RULES
                .into_iter()
                .filter(|&rule| all.contains(rule))
        };
        let ordinary = match self {
            Kind::Overlap | Kind::Dirt | Kind::Damage | Kind::Laid(..)
                if special().next().is_some() =>
            {
                ORDINARY
            }
            _ => &[],
        };
        let wanted = wanted.iter().copied().filter(|&rule| all.contains(rule));
        let special = special().filter(|_| !ordinary.is_empty());
        wanted
            .chain(ordinary.iter().copied())
            .chain(special)
            .collect()
    }

    /// Whether a finding of a program is of this kind.
    pub(super) fn is_it(self, finding: &Finding, program: &Program) -> bool {
        match self {
            Kind::Damage => is_damage(finding),
            Kind::Growth(rule) => {
                matches!(finding.evidence, Evidence::Climb { .. })
                    && rule.is_none_or(|rule| finding.rule == rule)
            }
            Kind::Harm { hangs } => finding.evidence.is_harm() && races::is_hang(finding) == hangs,
            kind @ Kind::Laid(..) => {
                let call = program.ops.get(finding.op_index).map(|op| op.call.plain());
                Kind::laid(finding, call) == kind
            }
            // Among threads what is slow is no sign of what kills.
            Kind::Death(_) if program.has_threads() && races::is_hang(finding) => false,
            kind => Kind::of(finding, program) == kind,
        }
    }
}

/// Whether a block was found damaged.
pub(super) fn is_damage(finding: &Finding) -> bool {
    matches!(finding.evidence, Evidence::Contents { .. })
}

/// Whether it is the lack of a block, and laid to circumstances.
pub(super) fn is_lack_under_circumstances(finding: &Finding) -> bool {
    Condition::RULES.contains(&finding.rule) && matches!(finding.evidence, Evidence::UnexpectedNull)
}

/// What tells two findings of one rule apart: for rules about arguments and errors the entry point, each having a path
/// of its own to fail on; for all others nothing.
pub(super) fn cause(rule: RuleId, call: Option<Call>) -> Call {
    let by_entry_point = matches!(
        rule,
        RuleId::MallocErrno
            | RuleId::MemalignErrno
            | RuleId::ErrnoNeverZeroed
            | RuleId::FreeErrnoExt
            | RuleId::HugeMustFail
            | RuleId::PtrdiffMax
            | RuleId::OomReturnsNull
            | RuleId::FirstCallAny
            | RuleId::CxxNewThrows
            | RuleId::CxxNothrowNull
    );
    call.filter(|_| by_entry_point).unwrap_or(Call::Sweep)
}
