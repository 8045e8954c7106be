//! Which rule a death breaks, and which rule a shrunk program proves broken.
//!
//! A process that dies inside a call breaks the rule that speaks of that call: `free(NULL)` must do nothing, a request
//! that cannot be met must fail. Only a death that no such rule explains is laid to the general one, that calls return.

use super::alignment::alignment_asked;
use super::allocate::{impossible, zero_rule};
use super::operators::{rule_of_failure, rules_of_delete};
use super::reallocate::null_rule;
use super::{Death, Evidence, Finding, Moment};
use crate::program::{Call, Condition, NO_SLOT, Op, Program, TOLD, Under};
use crate::spec::{RuleId, RuleSet};

/// How far past its end a read of an old block may go and still be laid to the realloc that copied it.
const OVERREAD: u64 = 64 << 20;
/// Sizes this near to a power of two, and at least [`LARGE`], are boundaries.
const NEAR: u64 = 4096;
const LARGE: u64 = 1 << 20;
/// So many bytes may always be more than there are.
const SCARCE: u64 = 4 << 30;

/// What is known of a slot from the program alone.
#[derive(Clone, Copy, Default)]
struct Origin {
    maker: Option<Call>,
    alignment: u64,
    size: Option<u64>,
}

/// The rule broken by a process that died at `index` of `program`, of those in `rules`; `resized` is the address and
/// size of the block that was last about to be resized.
pub fn attribute_death(
    program: &Program,
    index: usize,
    moment: Moment,
    death: Death,
    resized: (u64, u64),
    rules: &RuleSet,
) -> RuleId {
    let Some(op) = program.ops.get(index) else {
        return RuleId::CallReturns;
    };
    // Outside the subject only a fault is about the block at hand; any other end came from elsewhere.
    let candidates = match moment {
        _ if is_killed(death) => Vec::new(),
        Moment::Touch | Moment::Verify if !is_fault(death) => Vec::new(),
        Moment::Touch if op.call == Call::Stretch => vec![RuleId::UsableWritable],
        Moment::Touch => vec![RuleId::AllocNonnullUsable],
        Moment::Verify if op.call.reallocates() => vec![RuleId::ReallocContent],
        Moment::Verify => vec![RuleId::ContentStable],
        Moment::Idle | Moment::Ending | Moment::Beside | Moment::Fork | Moment::Born => {
            vec![RuleId::CallReturns]
        }
        Moment::Call => in_call(program, index, op, death, resized),
    };
    // What happens under special circumstances, and there only, is laid to them.
    let special = match rule_of_fork(program, index, moment) {
        None => program.circumstance_at(index),
        rule => rule,
    };
    // Of a program that is to show that calls return it has been found out that they have no part in it.
    let is_apart = program.rule == Some(RuleId::CallReturns);
    let special = special.filter(|_| !is_killed(death) && !is_apart);
    let mut all = special.into_iter().chain(candidates);
    let checked = all.find(|&rule| rules.contains(rule));
    checked.unwrap_or(RuleId::CallReturns)
}

/// The rule about who is inside `fork` at this moment, which is not over there; `None` at all others.
pub fn rule_of_fork(program: &Program, index: usize, moment: Moment) -> Option<RuleId> {
    let is_crowd =
        |op: &Op| Under::of(op).is_some_and(|under| under.condition == Condition::Threads);
    let among_threads = program.ops.iter().take(index).any(is_crowd);
    match moment {
        Moment::Fork | Moment::Born if !among_threads => Some(RuleId::ForkSt),
        Moment::Fork => Some(RuleId::ForkMtParent),
        Moment::Born => Some(RuleId::ForkMtChild),
        _ => None,
    }
}

/// Whether the process was killed, by itself or by another: whatever it was doing has no part in it.
pub fn is_killed(death: Death) -> bool {
    matches!(death, Death::Signal { signal, .. } if signal == libc::SIGKILL)
}

/// Whether memory could not be read or written.
fn is_fault(death: Death) -> bool {
    matches!(death, Death::Signal { signal, .. } if [libc::SIGSEGV, libc::SIGBUS].contains(&signal))
}

/// The rules that speak of a death inside this call, most specific first.
fn in_call(
    program: &Program,
    index: usize,
    op: &Op,
    death: Death,
    resized: (u64, u64),
) -> Vec<RuleId> {
    let null = op.slot == NO_SLOT;
    // A call that never returns, or that ends the process by itself, does so for no reason of the block's.
    let crashed = matches!(death, Death::Signal { .. });
    let origin = origin(program, index);
    let zero = crashed && origin.size == Some(0);
    let over_aligned = crashed && origin.alignment > 16;
    let mut rules = Vec::new();
    match op.call {
        Call::Free if null => rules.push(RuleId::FreeNull),
        Call::UsableSize if null => rules.push(RuleId::UsableNull),
        Call::FreeSized | Call::FreeAlignedSized if null => rules.push(RuleId::SizedFreeNull),
        Call::Freezero if null => rules.push(RuleId::FreezeroNull),
        // What is wrong where memory is short is wrong with any free.
        call if call.is_delete() && (null || !program.is_short_at(index)) => {
            rules.extend(rules_of_delete(call, null));
        }
        // Whatever the reason, the operator that finds no memory has its own way to say so.
        call if call.is_new() && may_fail(program, index, op) => rules.push(rule_of_failure(call)),
        Call::FreeSized => rules.push(RuleId::FreeSizedEquiv),
        Call::FreeAlignedSized => rules.push(RuleId::FreeAlignedSizedEquiv),
        _ => {}
    }
    rules.extend_from_slice(impossible(op));
    if op.call.takes_alignment() {
        match op.call {
            Call::AlignedAlloc if !op.a.is_power_of_two() => {
                rules.push(RuleId::AlignedAllocInvalid)
            }
            Call::PosixMemalign if !op.a.is_power_of_two() || op.a < 8 => {
                rules.push(RuleId::PmaEinval)
            }
            Call::PosixMemalign if op.a >= NEAR => rules.push(RuleId::AlignLarge),
            Call::Memalign if !op.a.is_power_of_two() => rules.push(RuleId::MemalignInvalid),
            _ => {}
        }
    }
    // A program in which an ordinary size does as well has that.
    if op.size() == Some(0) && op.call.allocates() {
        rules.push(zero_rule(op.call));
    }
    if program.is_short_at(index) && op.size().is_some() {
        rules.push(RuleId::OomReturnsNull);
    }
    if op.size().is_some_and(|size| size >= SCARCE) {
        rules.push(RuleId::OomReturnsNull);
    }
    if crashed && op.call.reallocates() && origin.maker.is_none() {
        rules.push(null_rule(op.call));
    }
    if op.call.reallocates() && reads_past(death, resized) {
        rules.push(RuleId::ReallocBounds);
    }
    if op.call.reallocates() && over_aligned {
        rules.push(RuleId::AlignReallocFirst);
    }
    if zero && !op.call.allocates() {
        rules.extend([RuleId::ZeroBlockOwned, RuleId::ZeroFreeable]);
    }
    if over_aligned && matches!(op.call, Call::Free | Call::UsableSize | Call::Stretch) {
        rules.push(RuleId::StartAddress);
    }
    rules
}

/// Whether memory may not be enough for the operation.
fn may_fail(program: &Program, index: usize, op: &Op) -> bool {
    program.is_short_at(index) || op.size().is_none_or(|size| size >= SCARCE)
}

/// Where the block in the slot of the operation at `index` comes from.
fn origin(program: &Program, index: usize) -> Origin {
    let slot = program.ops[index].slot;
    let mut origin = Origin::default();
    if slot == NO_SLOT {
        return origin;
    }
    for op in program.ops[..index].iter().filter(|op| op.slot == slot) {
        if op.call.allocates() {
            let alignment = alignment_asked(op);
            origin = Origin {
                maker: Some(op.call),
                alignment,
                size: op.size(),
            };
        } else if op.call.reallocates() {
            origin.maker = origin.maker.or(Some(op.call));
            origin.size = op.size();
        } else if op.call.frees() {
            origin = Origin::default();
        }
    }
    origin
}

/// Whether the fault lies just past the block that was being resized.
fn reads_past(death: Death, (address, size): (u64, u64)) -> bool {
    match death {
        Death::Signal {
            address: Some(fault),
            ..
        } => {
            let end = address.saturating_add(size);
            address != 0 && fault >= end && fault - end < OVERREAD
        }
        _ => false,
    }
}

/// The rule that a finding proves broken, now that its program has nothing left that it does not need.
pub fn attribute_shrunk(finding: &Finding, program: &Program, rules: &RuleSet) -> RuleId {
    let op = program.ops.get(finding.op_index);
    if matches!(finding.evidence, Evidence::Died { death, .. } if is_killed(death)) {
        return finding.rule;
    }
    if Condition::RULES.contains(&finding.rule) && program.circumstances().is_empty() {
        // What was expected of a call does not come, and not for any circumstance.
        return RuleId::AllocNonnullUsable;
    }
    if matches!(
        finding.rule,
        RuleId::CallocZeroAfterOom | RuleId::CallocArgsSym
    ) {
        let needs = |calls: &[Call]| program.ops.iter().any(|op| calls.contains(&op.call));
        let scarce = needs(&[
            Call::Limit,
            Call::FailRaw,
            Call::FailArena,
            Call::FailSyscall,
        ]);
        let callocs = program
            .ops
            .iter()
            .filter(|op| op.call == Call::Calloc)
            .count();
        let own = if finding.rule == RuleId::CallocArgsSym {
            callocs > 1
        } else {
            scarce
        };
        return if own {
            finding.rule
        } else {
            RuleId::CallocZero
        };
    }
    if finding.rule == RuleId::ReallocContent && rules.contains(RuleId::AlignReallocFirst) {
        // Had an ordinary block shown it as well, the alignment would have been shrunk away.
        let over_aligned = op.is_some_and(|_| origin(program, finding.op_index).alignment > 16);
        return if over_aligned {
            RuleId::AlignReallocFirst
        } else {
            finding.rule
        };
    }
    // Had the plain one shown the same, it would have taken its place.
    let told = program.ops.iter().find_map(Op::rule_of_told);
    let layout = matches!(
        finding.evidence,
        Evidence::Overlap { .. } | Evidence::Misaligned { .. }
    );
    let general = matches!(
        finding.rule,
        RuleId::AllocNonnullUsable
            | RuleId::Disjoint
            | RuleId::DistinctNonzero
            | RuleId::ContentStable
            | RuleId::CallReturns
            | RuleId::MetadataInviolate
    );
    if told.is_none() && TOLD.contains(&finding.rule) {
        // The plain free shows it as well.
        return match finding.evidence {
            Evidence::Overlap { .. } => RuleId::Disjoint,
            Evidence::Contents { .. } => RuleId::ContentStable,
            Evidence::Growth { .. } => RuleId::FreeMakesAvailable,
            Evidence::Died { .. } => RuleId::CallReturns,
            _ => finding.rule,
        };
    }
    if let Some(rule) = told.filter(|&rule| (general || layout) && rules.contains(rule)) {
        return rule;
    }
    if !general {
        return finding.rule;
    }
    let stretched = program.makes(Call::Stretch);
    let damaged = matches!(
        finding.evidence,
        Evidence::Contents { .. } | Evidence::Died { .. }
    );
    let boundary = op.is_some_and(|op| {
        op.size().is_some_and(|size| {
            let above = size
                .checked_next_power_of_two()
                .map_or(u64::MAX, |power| power - size);
            let below = size - (1u64.checked_shl(size.max(1).ilog2()).unwrap_or(0)).min(size);
            size >= LARGE && above.min(below) <= NEAR
        })
    });
    let wanted = if stretched && damaged {
        RuleId::UsableWritable
    } else if program.rule == Some(RuleId::SizeBoundaries) && boundary {
        RuleId::SizeBoundaries
    } else {
        finding.rule
    };
    if rules.contains(wanted) {
        wanted
    } else {
        finding.rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plain_free_shows_as_well_is_not_laid_to_one_that_is_told_the_size() {
        let rules: RuleSet = RuleId::ALL.iter().copied().collect();
        let rule = |free: Call| {
            let program = Program {
                rule: Some(RuleId::CxxSizedEquiv),
                ops: vec![Op::new(Call::New, 0, 8, 0), Op::new(free, 0, 0, 0)],
            };
            let evidence = Evidence::Growth {
                bytes: 2,
                allowed: 1,
            };
            let finding = Finding {
                rule: RuleId::CxxSizedEquiv,
                op_index: 1,
                evidence,
            };
            attribute_shrunk(&finding, &program, &rules)
        };
        assert_eq!(rule(Call::DeleteSized), RuleId::CxxSizedEquiv);
        assert_eq!(rule(Call::Delete), RuleId::FreeMakesAvailable);
    }

    #[test]
    fn only_a_fault_outside_the_subject_is_about_the_block() {
        let program = Program {
            rule: None,
            ops: vec![Op::new(Call::Malloc, 0, 8 << 30, 0)],
        };
        let rules: RuleSet = RuleId::ALL.iter().copied().collect();
        let rule = |moment: Moment, signal: i32| {
            let death = Death::Signal {
                signal,
                address: None,
            };
            attribute_death(&program, 0, moment, death, (0, 0), &rules)
        };
        assert_eq!(
            rule(Moment::Touch, libc::SIGSEGV),
            RuleId::AllocNonnullUsable
        );
        assert_eq!(rule(Moment::Verify, libc::SIGBUS), RuleId::ContentStable);
        assert_eq!(rule(Moment::Call, libc::SIGABRT), RuleId::OomReturnsNull);
        for moment in [Moment::Touch, Moment::Verify, Moment::Call] {
            assert_eq!(rule(moment, libc::SIGKILL), RuleId::CallReturns);
        }
        assert_eq!(rule(Moment::Verify, libc::SIGTERM), RuleId::CallReturns);
    }
}
