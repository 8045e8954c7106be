//! What was seen, in words: what an operation gave, and for the guilty one what was expected and what was found.

use super::words::{address, amount, bytes, count, errno, pointer, printable, signal};
use crate::program::{Call, Expect, NO_SLOT, Op, Slot};
use crate::shadow::{Case, Death, Evidence, Measured, Moment, Outcome};
use crate::spec::RuleId;

/// The end of the addresses that a process can have.
const USER_END: u64 = 1 << 47;

/// The two sides of a broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrast {
    /// What had to be; empty if the rule's statement says it all.
    pub expected: String,
    /// What was.
    pub found: String,
}

/// The code that `posix_memalign` returned, if this outcome is of one that failed.
///
/// An [`Outcome`] holds the code or, if that is 0, the address; no address lies in the first page or in the last.
pub fn failure_code(op: &Op, outcome: &Outcome) -> Option<i32> {
    let code = outcome.value.cast_signed();
    let is_code = (-4096..4096).contains(&code) && code != 0;
    (op.call == Call::PosixMemalign && is_code).then(|| i32::try_from(code).unwrap_or_default())
}

/// Whether the operation gave its slot a block.
pub fn gave_block(op: &Op, outcome: &Outcome) -> bool {
    (op.call.allocates() || op.call.reallocates())
        && outcome.value != 0
        && failure_code(op, outcome).is_none()
}

/// What an operation gave; empty if it gives nothing.
pub fn outcome(op: &Op, outcome: &Outcome) -> String {
    let mut text = match op.call {
        Call::PosixMemalign if failure_code(op, outcome).is_some() => errno(outcome.value as i32),
        Call::PosixMemalign => format!("0, {}", pointer(outcome.value)),
        _ if outcome.thrown => "an exception".into(),
        call if call.allocates() || call.reallocates() => pointer(outcome.value),
        Call::UsableSize | Call::Stretch => bytes(outcome.value),
        Call::Trim => outcome.value.to_string(),
        _ => String::new(),
    };
    if let Some(number) = outcome.errno {
        let separator = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{separator}errno {}", errno(number)));
    }
    text
}

/// Both sides of the rule that a case shows to be broken.
pub fn contrast(case: &Case) -> Contrast {
    let (expected, found) = sides(case);
    Contrast { expected, found }
}

fn sides(case: &Case) -> (String, String) {
    let rule = case.finding.rule;
    match &case.finding.evidence {
        Evidence::UnexpectedPointer { address: at } => {
            let expected = match case.op().map(|op| op.call) {
                Some(Call::PosixMemalign) => "an error number",
                Some(call) if throws_for_null(call) => "std::bad_alloc",
                _ => "NULL",
            };
            (expected.into(), format!("a block at {}", address(*at)))
        }
        Evidence::UnexpectedNull => unexpected_null(case),
        Evidence::BadAddress { address: at } => bad_address(case, *at),
        Evidence::Foreign {
            address: at,
            size,
            other,
        } => (
            format!("{} that are nobody else's", bytes(*size)),
            format!(
                "{}, and {} of the way there the program's own memory begins",
                address(*at),
                bytes(other.saturating_sub(*at))
            ),
        ),
        Evidence::Misaligned {
            address: at,
            alignment,
        } => (
            format!("a multiple of {alignment}"),
            format!(
                "{}, which is {} past one",
                address(*at),
                at % (*alignment).max(1)
            ),
        ),
        Evidence::Overlap {
            address: at,
            size,
            other,
            other_address,
            other_size,
        } => overlap((*at, *size), *other, (*other_address, *other_size)),
        Evidence::Contents {
            slot,
            address: at,
            size,
            offset,
            stored,
            found,
        } => (
            format!("{stored:#04x} in byte {offset} of p{slot}, as stored"),
            format!(
                "{found:#04x}; the block is {} at {}",
                bytes(*size),
                address(*at)
            ),
        ),
        Evidence::NotZero {
            address: at,
            size,
            offset,
            found,
        } => (
            format!("{} of zero", bytes(*size)),
            format!(
                "{found:#04x} in byte {offset} of the block at {}",
                address(*at)
            ),
        ),
        Evidence::NotDiscarded {
            address: at,
            size,
            offset,
        } => (
            format!("{} cleared, or given back", bytes(*size)),
            format!(
                "what was stored from byte {offset} on is still at {}",
                address(at.saturating_add(*offset))
            ),
        ),
        Evidence::Errno {
            before,
            after,
            wanted,
        } => errno_sides(*before, *after, *wanted),
        Evidence::Threw { what } => (
            match rule {
                RuleId::CxxNothrowNull => "a block or NULL".into(),
                RuleId::CxxDeleteNothrow => "nothing thrown".into(),
                _ => "a block or std::bad_alloc".into(),
            },
            format!("an exception of type {}", printable(what)),
        ),
        Evidence::Code { returned, wanted } => (
            wanted.map_or("0, EINVAL or ENOMEM returned".into(), |code| {
                format!("{} returned", errno(code))
            }),
            errno(*returned),
        ),
        Evidence::Memptr { before, after } => memptr(rule, *before, *after),
        Evidence::Usable { usable, wanted } => {
            let expected = if matches!(rule, RuleId::UsableStable | RuleId::UsableNull) {
                bytes(*wanted)
            } else {
                format!("{} or more", bytes(*wanted))
            };
            (expected, bytes(*usable))
        }
        Evidence::Moved { from, to } if from == to => (
            "another address".into(),
            format!("{}, where it was", address(*to)),
        ),
        Evidence::Moved { from, to } => (
            format!("the block stays at {}", address(*from)),
            pointer(*to),
        ),
        Evidence::Died {
            death,
            moment,
            said,
        } => died(case, *death, *moment, said),
        Evidence::Output { text } => ("nothing written".into(), format!("\"{}\"", printable(text))),
        Evidence::Growth { bytes, allowed } => (
            format!("at most {} more of resident memory", amount(*allowed)),
            format!("{} more", amount(*bytes)),
        ),
        Evidence::Climb {
            what,
            bytes,
            allowed,
            samples,
        } => climb(*what, *bytes, *allowed, samples.len()),
        Evidence::Requests { wanted, found } => (printable(wanted), printable(found)),
        Evidence::Library { what } => (String::new(), printable(what)),
    }
}

/// Whether the call has an exception for what others return NULL for.
fn throws_for_null(call: Call) -> bool {
    call.is_new() && call.operator().is_some_and(|form| !form.nothrow)
}

fn climb(what: Measured, bytes: u64, allowed: u64, samples: usize) -> (String, String) {
    let what = match what {
        Measured::Resident => "resident",
        Measured::Mapped => "mapped",
    };
    (
        format!(
            "the least that is {what} comes to rest, but for {} at a time",
            amount(allowed)
        ),
        format!(
            "it rises on and on, by {} in the last four fifths of {}",
            amount(bytes),
            count(samples, "measurement")
        ),
    )
}

fn bad_address(case: &Case, at: u64) -> (String, String) {
    match case.op().and_then(Op::size) {
        Some(size) if (4096..USER_END).contains(&at) => (
            format!("{} of user space from the address on", bytes(size)),
            format!("{}, with {} above it", address(at), amount(USER_END - at)),
        ),
        _ => ("an address in user space".into(), address(at)),
    }
}

fn unexpected_null(case: &Case) -> (String, String) {
    let expected = match case.op().map(|op| op.expect) {
        Some(Expect::AsBefore) => "a block, like the allocation before it",
        Some(Expect::AsEarlier) => "a block, like the same request earlier",
        Some(Expect::AsUnhindered) => "a block, as there is one where nothing fails",
        _ => "a block",
    };
    let expected = match case.finding.rule {
        RuleId::CxxNewThrows => "a block or std::bad_alloc",
        _ => expected,
    };
    let found = match (case.op(), case.outcomes.get(case.finding.op_index)) {
        (Some(op), Some(seen)) => outcome(op, seen),
        _ => "NULL".into(),
    };
    (expected.into(), found)
}

fn overlap(block: (u64, u64), other: Slot, other_block: (u64, u64)) -> (String, String) {
    let found = if block.0 == other_block.0 {
        format!("{}, the address of p{other}", address(block.0))
    } else {
        format!(
            "{}: {} shared with p{other}",
            address(block.0),
            bytes(shared(block, other_block))
        )
    };
    (
        format!("no byte in common with p{other}, which is live"),
        found,
    )
}

/// How many bytes two blocks, each an address and a size, have in common.
pub fn shared(a: (u64, u64), b: (u64, u64)) -> u64 {
    let end = |block: (u64, u64)| block.0.saturating_add(block.1);
    end(a).min(end(b)).saturating_sub(a.0.max(b.0))
}

fn errno_sides(before: i32, after: i32, wanted: Option<i32>) -> (String, String) {
    let found = if after == before {
        "errno unchanged".into()
    } else {
        format!("errno {}", errno(after))
    };
    let expected = match wanted {
        Some(wanted) if wanted == before => "errno unchanged".into(),
        Some(wanted) => format!("errno {}", errno(wanted)),
        None if after == 0 => "errno not 0".into(),
        None if after == before => "errno set".into(),
        None => "another errno".into(),
    };
    (expected, found)
}

fn memptr(rule: RuleId, before: u64, after: u64) -> (String, String) {
    match rule {
        RuleId::PmaReturnsError => (
            "an error number, or the pointer variable set".into(),
            format!("0, and the pointer variable {}", pointer(after)),
        ),
        RuleId::PmaMemptrSuccess => (
            "the pointer variable set, the words beside it untouched".into(),
            format!("{} where there was {}", address(after), address(before)),
        ),
        RuleId::PmaMemptrUntouched => (
            format!("the pointer variable still {}", address(before)),
            pointer(after),
        ),
        _ => (
            format!("the pointer variable still {} or NULL", address(before)),
            pointer(after),
        ),
    }
}

fn died(case: &Case, death: Death, moment: Moment, said: &str) -> (String, String) {
    let name = case.op().map_or("the call", |op| op.call.as_str());
    let expected = match (moment, case.op()) {
        (Moment::Call, Some(op)) if op.slot == NO_SLOT && op.call.is_entry_point() => {
            format!("{name} of NULL returns")
        }
        (Moment::Call, Some(_)) if case.finding.rule == RuleId::CxxNewThrows => {
            "a block or std::bad_alloc".into()
        }
        (Moment::Call, Some(_)) => format!("{name} returns"),
        (Moment::Touch, Some(_)) => {
            format!("the block from {name} can be written to its last byte")
        }
        (Moment::Verify, Some(op)) if op.slot != NO_SLOT => format!("p{} can be read", op.slot),
        (Moment::Verify, _) => "live blocks can be read".into(),
        (Moment::Beside, _) => "the threads beside it go on".into(),
        (Moment::Fork, _) => "fork returns".into(),
        (Moment::Born, _) => "fork returns in the child".into(),
        (Moment::Ending, _) => "the thread ends, and the process goes on".into(),
        _ => "the process goes on".into(),
    };
    let mut found = match death {
        Death::Signal {
            signal: number,
            address: Some(at),
        } => format!("{} at address {}", signal(number), address(at)),
        Death::Signal {
            signal: number,
            address: None,
        } => signal(number),
        Death::Exit { status } => format!("the process ended itself with status {status}"),
        Death::Hang { millis } => {
            format!("no return within {}", count(millis as usize, "millisecond"))
        }
    };
    match moment {
        Moment::Beside => found.push_str(", in a thread that works beside it"),
        Moment::Fork => found.push_str(", inside fork, which calls the handlers of pthread_atfork"),
        Moment::Born => {
            found
                .push_str(", in the child inside fork, which calls the handlers of pthread_atfork");
        }
        _ => {}
    }
    // Without the cancellation the call returns, or another rule would be broken.
    if case.finding.rule == RuleId::NotCancellationPoint && moment == Moment::Call {
        found = format!("the call acts on the cancellation that is pending: {found}");
    }
    if !said.trim().is_empty() {
        found.push_str(&format!("; it said \"{}\"", printable(said)));
    }
    (expected, found)
}
