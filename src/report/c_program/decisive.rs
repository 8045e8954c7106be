//! The guilty operation, and the one question whose answer is the break.

use super::helpers::Need;
use super::life;
use super::translate::{Block, Translator, number};
use crate::program::{Call, Expect, NO_SLOT, Op, Slot};
use crate::report::evidence::gave_block;
use crate::report::words::errno_name;
use crate::shadow::{Death, Evidence, Moment};
use crate::spec::RuleId;

/// Of the blocks that are live when reading one kills the process, so many are read.
const MAX_READ: usize = 200;

/// Bytes stored in a block that may be none.
const STORED: u64 = 64 << 20;

/// Adds the guilty operation with its check. `false` if the evidence cannot be had from C.
pub fn decide(t: &mut Translator<'_>, index: usize, op: &Op) -> bool {
    let evidence = &t.case.finding.evidence;
    match *evidence {
        Evidence::UnexpectedPointer { .. } => pointer(t, op, "", "must fail"),
        Evidence::UnexpectedNull if is_by_chance(t, index, op) => false,
        Evidence::UnexpectedNull => null(t, index, op),
        // Storing at the end of it damages whatever is there.
        Evidence::BadAddress { .. } | Evidence::Foreign { .. } => bad_address(t, op),
        Evidence::Misaligned { alignment, .. } => misaligned(t, op, alignment),
        Evidence::Overlap {
            other, other_size, ..
        } => overlap(t, index, op, other, other_size),
        Evidence::Contents { slot, .. } => contents(t, index, op, slot),
        Evidence::NotZero { .. } => not_zero(t, op),
        Evidence::NotDiscarded { .. } => not_discarded(t, index, op),
        Evidence::Errno {
            before,
            after,
            wanted,
        } => errno(t, index, op, before, after, wanted),
        Evidence::Threw { .. } => threw(t, index, op),
        Evidence::Code { returned, wanted } => code(t, op, returned, wanted),
        Evidence::Memptr { .. } => memptr(t, op),
        Evidence::Usable { wanted, .. } => usable(t, index, op, wanted),
        Evidence::Moved { from, to } => moved(t, op, from == to),
        Evidence::Died { death, moment, .. } => died(t, index, op, death, moment),
        Evidence::Output { .. } => output(t, index, op),
        Evidence::Growth { allowed, .. } => growth(t, index, op, allowed),
        Evidence::Climb { allowed, .. } => life::climbs(t, allowed),
        Evidence::Requests { .. } if t.case.finding.rule == RuleId::CxxNewHandler => handler(t, op),
        Evidence::Requests { .. } | Evidence::Library { .. } => false,
    }
}

/// Whether a limit refuses the operation in one process and not in another: one that asks for less than the limit leaves
/// depends on what the process had before it. An `operator new` that may never return NULL is asked until it is refused, and
/// what may not be refused although there is nothing left is asked once nothing is.
fn is_by_chance(t: &Translator<'_>, index: usize, op: &Op) -> bool {
    let limit = t.case.program.limit_at(index).unwrap_or(0);
    let asked = t.case.finding.rule == RuleId::CxxNewThrows || must_shrink(t, index, op);
    op.size().unwrap_or(0) < limit && !asked
}

/// Whether a block is to be made smaller while memory is limited.
fn must_shrink(t: &Translator<'_>, index: usize, op: &Op) -> bool {
    let limited = t
        .case
        .program
        .limit_at(index)
        .is_some_and(|limit| limit > 0);
    limited && op.call.reallocates() && op.expect == Expect::Pointer && t.block(op.slot).is_some()
}

/// Begins a loop in which the call is made until a limit refuses it, if one does.
fn until_refused(t: &mut Translator<'_>, index: usize, op: &Op) -> bool {
    const MOST: u64 = 1 << 20;
    let limit = t.case.program.limit_at(index).unwrap_or(0);
    let times = (limit / op.size().unwrap_or(0).max(1) + 1).min(MOST);
    if times > 1 {
        t.open(format!("for (long again = 0; again < {times}; again++)"));
    }
    times > 1
}

/// C expressions that ask whether a call gave a block.
#[derive(Clone, Copy)]
struct Gave {
    yes: &'static str,
    no: &'static str,
}

/// The call with its result in `q`, and for `posix_memalign` its code in `code`. `None` if it is no call that could
/// give a block.
fn call_into_q(t: &mut Translator<'_>, op: &Op) -> Option<Gave> {
    if !op.call.allocates() && !op.call.reallocates() {
        return None;
    }
    let call = t.call(op)?;
    if op.call == Call::PosixMemalign {
        t.need(Need::Code);
        t.line(format!("code = {call};"));
        Some(Gave {
            yes: "code == 0",
            no: "code != 0",
        })
    } else {
        t.line(format!("q = {call};"));
        Some(Gave {
            yes: "q != NULL",
            no: "q == NULL",
        })
    }
}

/// Puts what is in `q` where it belongs, for the operations that follow in a loop.
fn keep_q(t: &mut Translator<'_>, op: &Op, gave: Gave) {
    if t.in_loop() {
        let variable = t.variable(op.slot);
        t.line(format!("if ({}) {variable} = q;", gave.yes));
    }
}

/// The call as it stands in messages.
fn name(t: &mut Translator<'_>, op: &Op) -> String {
    match t.call(op) {
        Some(call) => call.replacen("_(", "(", 1).replace("\"\"", "std::nothrow"),
        None => op.call.as_str().to_owned(),
    }
}

/// The check of a block that was given.
fn pointer(t: &mut Translator<'_>, op: &Op, condition: &str, what: &str) -> bool {
    let Some(gave) = call_into_q(t, op) else {
        return false;
    };
    let name = name(t, op);
    let and = if condition.is_empty() { "" } else { " && " };
    t.line(format!("if ({}{and}{condition})", gave.yes));
    t.line(format!("    broken(\"{name}: %p: {what}\", q);"));
    keep_q(t, op, gave);
    true
}

/// A block may lie at a multiple of more than a page by luck; of several in a row one does not.
fn misaligned(t: &mut Translator<'_>, op: &Op, alignment: u64) -> bool {
    const BY_LUCK: u64 = 4096;
    let by_luck = alignment > BY_LUCK && op.call.allocates();
    if by_luck {
        t.open("for (int again = 0; again < 64; again++)");
    }
    let condition = format!("(uintptr_t)q % {alignment} != 0");
    let told = pointer(t, op, &condition, &format!("not a multiple of {alignment}"));
    if by_luck {
        t.close();
    }
    told
}

/// Where the address is depends on the run, but storing at both ends of a block that is none ends the process wherever.
fn bad_address(t: &mut Translator<'_>, op: &Op) -> bool {
    let size = op.size().unwrap_or_default();
    let doing = name(t, op);
    t.need(Need::Doing);
    t.line(format!("doing = \"{doing}\";"));
    let end = format!("(uintptr_t)q + {}", number(size.max(1) - 1));
    let condition = format!("((uintptr_t)q < 4096 || ({end}) >> 47 || {end} < (uintptr_t)q)");
    if !pointer(t, op, &condition, "no such address") {
        return false;
    }
    t.need(Need::Fill);
    // The end first: what lies between may be the program's own.
    if size > STORED {
        t.line(format!(
            "if (q != NULL) ((char *)q)[{}] = 1;",
            number(size - 1)
        ));
    }
    t.line(format!("fill(q, {}, 1);", number(size.min(STORED))));
    true
}

fn null(t: &mut Translator<'_>, index: usize, op: &Op) -> bool {
    let name = name(t, op);
    let throws = t.case.outcome(index).is_some_and(|outcome| outcome.thrown);
    if throws {
        t.line(format!("must_not_throw = \"{name}\";"));
    }
    let again = !throws && op.call.is_new() && until_refused(t, index, op);
    if must_shrink(t, index, op) {
        t.use_function("malloc");
        t.need(Need::UseUp);
        t.line("use_up();");
    }
    let Some(gave) = call_into_q(t, op) else {
        return false;
    };
    let condition = match op.expect {
        Expect::AsBefore | Expect::AsEarlier => {
            t.need(Need::Given);
            format!("given && {}", gave.no)
        }
        _ => gave.no.to_owned(),
    };
    t.line(format!("if ({condition})"));
    t.line(match op.call {
        Call::PosixMemalign => format!("    broken(\"{name}: error %d\", code);"),
        _ => format!("    broken(\"{name}: NULL, errno %d\", errno);"),
    });
    match again {
        true => t.close(),
        false => keep_q(t, op, gave),
    }
    true
}

fn overlap(t: &mut Translator<'_>, index: usize, op: &Op, other: Slot, other_size: u64) -> bool {
    let other_variable = t.variable(other);
    let other_extent = match t.block(other) {
        Some(block) => t.extent(other, block),
        None => number(other_size),
    };
    t.need(Need::Overlap);
    let name = name(t, op);
    let asks = op.call.entry_point() == Some("malloc_usable_size");
    let (block, extent, guard) = if asks {
        let Some(call) = t.call(op) else { return false };
        t.need(Need::Usable);
        t.line(format!("usable = {call};"));
        (t.variable(op.slot), "usable".to_owned(), String::new())
    } else {
        let Some(gave) = call_into_q(t, op) else {
            return false;
        };
        let size = number(op.size().unwrap_or_default());
        ("q".to_owned(), size, format!("{} && ", gave.yes))
    };
    let both = format!("{block}, {extent}, {other_variable}, {other_extent}");
    t.line(format!("if ({guard}overlap({both}))"));
    t.line(format!(
        "    broken(\"{name}: %p overlaps the live block at %p\", {block}, {other_variable});"
    ));
    if t.in_loop() {
        let variable = t.variable(op.slot);
        match asks {
            true => t.plain(index, op),
            false => t.line(format!("if (q != NULL) {variable} = q;")),
        }
    }
    true
}

/// Adds a check that the first bytes of a slot's block are as stored.
fn check_bytes(t: &mut Translator<'_>, slot: Slot, size: &str, byte: u8, when: &str) {
    t.need(Need::FirstWrong);
    t.need(Need::Usable);
    let variable = t.variable(slot);
    t.line(format!("usable = first_wrong({variable}, {size}, {byte});"));
    t.line(format!("if (usable < {size})"));
    t.line(format!(
        "    broken(\"{when}, byte %zu of {variable} is %#x, not {byte:#x}\", usable, ((unsigned char *){variable})[usable]);"
    ));
}

/// Contents are verified before an operation on the block, after a realloc of it, and at the end of the program.
fn contents(t: &mut Translator<'_>, index: usize, op: &Op, slot: Slot) -> bool {
    let name = name(t, op);
    let before = t.block(slot);
    if op.slot == slot
        && let Some(block) = before
    {
        let extent = t.extent(slot, block);
        check_bytes(t, slot, &extent, block.byte, &format!("before {name}"));
        if op.call.reallocates() {
            return resized_contents(t, index, op, block);
        }
    }
    t.plain(index, op);
    let after = t.block(slot);
    if let Some(block) = after {
        let extent = t.extent(slot, block);
        check_bytes(t, slot, &extent, block.byte, &format!("after {name}"));
    }
    before.is_some() || after.is_some()
}

/// Checks what a realloc must keep, before anything else is stored in the block.
fn resized_contents(t: &mut Translator<'_>, index: usize, op: &Op, before: Block) -> bool {
    let name = name(t, op);
    let Some(gave) = call_into_q(t, op) else {
        return false;
    };
    let variable = t.variable(op.slot);
    t.line(format!("if ({}) {variable} = q;", gave.yes));
    let succeeds = t.succeeds(index, op);
    let kept = match op.size() {
        Some(size) if succeeds => number(size.min(before.size)),
        _ => t.extent(op.slot, before),
    };
    check_bytes(t, op.slot, &kept, before.byte, &format!("after {name}"));
    if t.in_loop() && succeeds {
        t.need(Need::Fill);
        let size = number(op.size().unwrap_or_default());
        let byte = Translator::byte(index, op.slot);
        t.line(format!("fill({variable}, {size}, {byte});"));
    }
    true
}

fn not_zero(t: &mut Translator<'_>, op: &Op) -> bool {
    // Of an array that was resized, what it had is not in question.
    let had = t.block(op.slot).map_or(0, |block| block.size);
    let Some(gave) = call_into_q(t, op) else {
        return false;
    };
    let name = name(t, op);
    let size = number(op.size().unwrap_or_default());
    t.need(Need::FirstWrong);
    t.need(Need::Usable);
    let wrong = match had {
        0 => format!("first_wrong(q, {size}, 0)"),
        _ => format!("{had} + first_wrong((char *)q + {had}, {size} - {had}, 0)"),
    };
    t.line(format!("usable = {} ? {wrong} : {size};", gave.yes));
    t.line(format!("if (usable < {size})"));
    t.line(format!(
        "    broken(\"{name}: byte %zu is %#x, not 0\", usable, ((unsigned char *)q)[usable]);"
    ));
    if t.in_loop() {
        t.need(Need::Fill);
        let variable = t.variable(op.slot);
        let byte = Translator::byte(0, op.slot);
        t.line(format!("{variable} = fill(q, {size}, {byte});"));
    }
    true
}

/// What was stored in a block that is gone, or in what it no longer has, must not be there.
fn not_discarded(t: &mut Translator<'_>, index: usize, op: &Op) -> bool {
    let Some(block) = t.block(op.slot) else {
        return false;
    };
    let name = name(t, op);
    let variable = t.variable(op.slot);
    let byte = block.byte;
    t.need(Need::Old);
    t.need(Need::Remains);
    t.line(format!("old = {variable};"));
    let mut from = "0".to_owned();
    if op.call.reallocates() {
        let Some(gave) = call_into_q(t, op) else {
            return false;
        };
        let kept = number(op.size().unwrap_or_default());
        from = format!("{} && q == old ? {kept} : 0", gave.yes);
        keep_q(t, op, gave);
    } else {
        t.plain(index, op);
    }
    let size = number(block.size);
    t.line(format!("if (remains(old, {from}, {size}, {byte}))"));
    t.line(format!(
        "    broken(\"after {name}, what was stored at %p is still there\", old);"
    ));
    true
}

fn errno(
    t: &mut Translator<'_>,
    index: usize,
    op: &Op,
    before: i32,
    after: i32,
    wanted: Option<i32>,
) -> bool {
    let wrong = match wanted {
        Some(wanted) => format!("errno != {}", errno_constant(wanted)),
        None => format!("errno == {}", errno_constant(after)),
    };
    t.line(format!("errno = {before};"));
    let name = name(t, op);
    let mut guard = String::new();
    if let Some(gave) = call_into_q(t, op) {
        if let Some(outcome) = t.case.outcome(index) {
            guard = match gave_block(op, outcome) {
                true => format!("{} && ", gave.yes),
                false => format!("{} && ", gave.no),
            };
        }
        t.line(format!("if ({guard}{wrong})"));
        t.line(format!("    broken(\"{name}: errno %d\", errno);"));
        keep_q(t, op, gave);
        return true;
    }
    let Some(call) = t.call(op) else { return false };
    t.line(format!("{call};"));
    t.line(format!("if ({wrong})"));
    t.line(format!("    broken(\"{name}: errno %d\", errno);"));
    true
}

/// The number as it stands in C.
pub fn errno_constant(number: i32) -> String {
    errno_name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// What is thrown that must not be ends the program at the handler for what nobody catches.
fn threw(t: &mut Translator<'_>, index: usize, op: &Op) -> bool {
    match t.case.finding.rule {
        RuleId::CxxNothrowNull | RuleId::CxxDeleteNothrow => {}
        RuleId::CxxNewThrows => {
            t.need(Need::BadAlloc);
            t.line("is_allowed = is_bad_alloc;");
        }
        _ => return false,
    }
    let name = name(t, op);
    t.line(format!("must_not_throw = \"{name}\";"));
    let again = op.call.is_new() && until_refused(t, index, op);
    t.plain(index, op);
    if again {
        t.close();
    }
    true
}

/// An `operator new` gives up only once there is no handler.
fn handler(t: &mut Translator<'_>, op: &Op) -> bool {
    let name = name(t, op);
    let Some(call) = t.call(op) else { return false };
    let throws = op.call.operator().is_some_and(|form| !form.nothrow);
    t.line(match throws {
        true => format!("attempt(q = {call});"),
        false => format!("q = {call};"),
    });
    t.line("if (q == NULL && handled)");
    t.line(format!(
        "    broken(\"{name}: gave up, though there is a new handler; calls of it: %d\", asked);"
    ));
    true
}

fn code(t: &mut Translator<'_>, op: &Op, returned: i32, wanted: Option<i32>) -> bool {
    if op.call != Call::PosixMemalign {
        return false;
    }
    let wrong = match (wanted, returned) {
        (Some(wanted), _) => format!("code != {}", errno_constant(wanted)),
        (None, 0) => "code == 0 && (q == &unset || q == NULL)".into(),
        (None, libc::EINVAL | libc::ENOMEM) => format!("code == {}", errno_constant(returned)),
        (None, _) => "code != 0 && code != EINVAL && code != ENOMEM".into(),
    };
    t.need(Need::Unset);
    t.line("q = &unset;");
    let Some(gave) = call_into_q(t, op) else {
        return false;
    };
    let name = name(t, op);
    t.line(format!("if ({wrong})"));
    t.line(format!(
        "    broken(\"{name}: returned %d, pointer %p\", code, q);"
    ));
    keep_q(t, op, gave);
    true
}

fn memptr(t: &mut Translator<'_>, op: &Op) -> bool {
    let Some(call) = t.call(op).filter(|_| op.call == Call::PosixMemalign) else {
        return false;
    };
    for need in [Need::Guarded, Need::Unset, Need::Code] {
        t.need(need);
    }
    let call = call.replacen("&q", "&at.memptr", 1);
    let wrong = match t.case.finding.rule {
        RuleId::PmaReturnsError => "code == 0 && (at.memptr == &unset || at.memptr == NULL)",
        RuleId::PmaMemptrSuccess => "code == 0 && at.memptr == &unset",
        RuleId::PmaMemptrUntouched => "code != 0 && at.memptr != &unset",
        _ => "code != 0 && at.memptr != &unset && at.memptr != NULL",
    };
    t.line("at.below = at.above = 4242, at.memptr = &unset;");
    t.line(format!("code = {call};"));
    t.line("if (at.below != 4242 || at.above != 4242)");
    t.line("    broken(\"posix_memalign: wrote beside the pointer variable\");");
    t.line(format!("if ({wrong})"));
    t.line("    broken(\"posix_memalign: returned %d, pointer variable %p was %p\", code, at.memptr, &unset);");
    if t.in_loop() {
        let variable = t.variable(op.slot);
        t.line(format!("if (code == 0) {variable} = at.memptr;"));
    }
    true
}

fn usable(t: &mut Translator<'_>, index: usize, op: &Op, wanted: u64) -> bool {
    let asks = op.call.entry_point() == Some("malloc_usable_size");
    let ask = Op {
        call: Call::UsableSize,
        ..*op
    };
    if !asks {
        t.plain(index, op);
    }
    let name = name(t, &ask);
    let Some(call) = t.call(&ask) else {
        return false;
    };
    t.need(Need::Usable);
    let wrong = match t.case.finding.rule {
        RuleId::UsableStable if t.usable_slots.contains(&op.slot) => {
            format!("usable != {}", t.usable_variable(op.slot))
        }
        _ if op.slot == NO_SLOT => "usable != 0".into(),
        _ => format!("usable < {}", number(wanted)),
    };
    t.line(format!("usable = {call};"));
    t.line(format!("if ({wrong})"));
    t.line(format!("    broken(\"{name}: %zu\", usable);"));
    if asks && t.in_loop() {
        t.plain(index, op);
    }
    true
}

fn moved(t: &mut Translator<'_>, op: &Op, had_to: bool) -> bool {
    let variable = t.variable(op.slot);
    t.need(Need::Old);
    t.line(format!("old = {variable};"));
    if had_to {
        pointer(t, op, "q == old", "must be another address")
    } else {
        pointer(t, op, "q != old", "must be the old address")
    }
}

fn died(t: &mut Translator<'_>, index: usize, op: &Op, death: Death, moment: Moment) -> bool {
    let doing = match moment {
        Moment::Verify => "reading live blocks".to_owned(),
        _ => name(t, op),
    };
    if !matches!(death, Death::Exit { .. }) {
        t.need(Need::Doing);
        t.line(format!("doing = \"{doing}\";"));
    }
    if matches!(death, Death::Hang { .. }) {
        t.line("alarm(5);");
    }
    if moment == Moment::Verify {
        read(t, op.slot);
    }
    t.plain(index, op);
    if moment == Moment::Verify {
        for slot in t.live_slots().into_iter().take(MAX_READ) {
            read(t, slot);
        }
    }
    true
}

/// Reads the block in the slot, if there is one.
fn read(t: &mut Translator<'_>, slot: Slot) {
    if let Some(block) = t.block(slot) {
        let extent = t.extent(slot, block);
        let variable = t.variable(slot);
        t.need(Need::FirstWrong);
        t.line(format!(
            "first_wrong({variable}, {extent}, {});",
            block.byte
        ));
    }
}

fn output(t: &mut Translator<'_>, index: usize, op: &Op) -> bool {
    let name = name(t, op);
    t.need(Need::Capture);
    t.line("capture();");
    t.plain(index, op);
    t.line("if (captured() > 0)");
    t.line(format!(
        "    broken(\"{name}: wrote to standard output or standard error\");"
    ));
    true
}

fn growth(t: &mut Translator<'_>, index: usize, op: &Op, allowed: u64) -> bool {
    t.need(Need::Start);
    t.plain(index, op);
    t.line(format!("if (memory(1) - start > {})", number(allowed)));
    t.line("    broken(\"%ld more bytes resident\", memory(1) - start);");
    true
}
