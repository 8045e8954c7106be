//! What the shadow says to each answer: tables to be read beside the documents.
//!
//! A table takes calls, arguments and answers in every combination that a rule tells apart, and lists the cases by what is
//! said to them. Nothing is allocated: blocks lie in memory of the test's own, wherever an answer says.

mod answers;
mod circumstances;
mod cpython;
mod deaths;
mod expectations;
mod looks;
mod places;
mod releases;
mod resizes;
mod shrunk;

use super::block::Block;
use super::model::Request;
use super::{Choice, Conduct, ERRNO_BEFORE, Ledger, Muted, Reply, Shadow, Stop};
use crate::program::{Call, Op, Program};
use crate::spec::{RuleId, RuleSet};
use std::fmt::Write;

/// Bytes of the memory that blocks lie in.
const GROUND: usize = 4 << 20;
/// Bytes of it that are as new before each case.
const USED: usize = 1 << 20;

/// The choices that the shadow notes.
const CHOICES: [Choice; 25] = [
    Choice::MallocZeroNull,
    Choice::MallocZeroPointer,
    Choice::MallocZeroErrnoSet,
    Choice::MallocZeroErrnoKept,
    Choice::CallocZeroNull,
    Choice::CallocZeroPointer,
    Choice::AlignedZeroNull,
    Choice::AlignedZeroPointer,
    Choice::PmaZeroNull,
    Choice::PmaZeroPointer,
    Choice::PmaZeroError,
    Choice::ReallocNullZeroNull,
    Choice::ReallocNullZeroPointer,
    Choice::ReallocZeroNull,
    Choice::ReallocZeroPointer,
    Choice::ReallocZeroErrnoSet,
    Choice::ReallocZeroErrnoKept,
    Choice::ReallocZeroFreed,
    Choice::MemalignInvalidNull,
    Choice::MemalignInvalidRounded,
    Choice::MemalignInvalidPointer,
    Choice::PmaErrnoSet,
    Choice::PmaErrnoKept,
    Choice::PmaEinvalErrnoSet,
    Choice::PmaEinvalErrnoKept,
];

/// Rules that only subjects of CPython's kind are held to, and which would hide those of C.
const OF_CPYTHON: [RuleId; 8] = [
    RuleId::CallocOverflow,
    RuleId::ReallocOversizeEarly,
    RuleId::LimitSsizeMax,
    RuleId::ZeroMallocDistinct,
    RuleId::ZeroMallocNonnull,
    RuleId::ReallocZeroKeepsBlock,
    RuleId::CrossUpFail,
    RuleId::ZeroBlockOwned,
];

fn all() -> RuleSet {
    RuleId::ALL.iter().copied().collect()
}

fn of_c() -> RuleSet {
    without(all(), &OF_CPYTHON)
}

fn without(mut rules: RuleSet, left_out: &[RuleId]) -> RuleSet {
    for &rule in left_out {
        rules.remove(rule);
    }
    rules
}

/// Memory that begins where every alignment in the tables is met, 128 KiB in and after each 64 KiB from there.
struct Ground(*mut u8);

impl Ground {
    fn new() -> Ground {
        // SAFETY: a mapping of its own, never unmapped.
        let start = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), 2 * GROUND, protection, flags, -1, 0)
        };
        assert_ne!(start, libc::MAP_FAILED);
        let start = start.cast::<u8>();
        Ground(start.wrapping_add(start.align_offset(GROUND)))
    }

    fn at(&self, offset: u64) -> u64 {
        self.0.expose_provenance() as u64 + offset
    }

    fn byte(&self, offset: u64) -> *mut u8 {
        self.0.wrapping_add(offset as usize)
    }

    fn renew(&self) {
        // SAFETY: so much of it there is.
        unsafe { self.0.write_bytes(0, USED) };
    }

    fn copy(&self, from: u64, to: u64, bytes: u64) {
        // SAFETY: the tables name no place beyond its end.
        unsafe { std::ptr::copy(self.byte(from), self.byte(to), bytes as usize) };
    }

    fn damage(&self, offset: u64) {
        // SAFETY: as in `copy`.
        unsafe { *self.byte(offset) ^= 0xff };
    }
}

fn block(address: u64) -> Reply {
    Reply {
        value: address,
        errno: ERRNO_BEFORE,
        ..Reply::default()
    }
}

fn failed(errno: i32) -> Reply {
    Reply {
        errno,
        ..Reply::default()
    }
}

fn op(call: Call, slot: u32, a: u64, b: u64) -> Op {
    Op::new(call, slot, a, b)
}

/// One operation and what it leads to.
struct Step<'t> {
    op: Op,
    reply: Reply,
    /// What the subject does to memory meanwhile.
    meanwhile: &'t dyn Fn(),
}

const NOTHING: &dyn Fn() = &|| {};

fn step<'t>(op: Op, reply: Reply) -> Step<'t> {
    Step {
        op,
        reply,
        meanwhile: NOTHING,
    }
}

/// Changes a shadow.
type Setting<'s> = &'s dyn Fn(&mut Shadow<'_>);

/// How a case is looked at.
struct View<'v> {
    rules: RuleSet,
    stores: bool,
    closely: bool,
    purpose: Option<RuleId>,
    /// Changes the shadow before the last step.
    setting: Setting<'v>,
}

const UNSET: Setting<'static> = &|_| {};

impl View<'_> {
    fn of_c() -> View<'static> {
        View {
            rules: of_c(),
            stores: true,
            closely: false,
            purpose: None,
            setting: UNSET,
        }
    }

    /// Of answers alone: nothing is stored, so blocks may lie anywhere and be of any size.
    fn of_answers(rules: RuleSet) -> View<'static> {
        View {
            rules,
            stores: false,
            ..View::of_c()
        }
    }

    fn shadow<'l>(&self, ledger: &'l Ledger) -> Shadow<'l> {
        let conduct = Conduct {
            rules: self.rules,
            muted: Muted::NONE,
            stores: self.stores,
            closely: self.closely,
        };
        Shadow::new(ledger, conduct).expect("address space for the tables")
    }
}

/// The rules that are exercised, each with how often if that is more than once.
fn exercised(ledger: &Ledger) -> String {
    let counted = RuleId::ALL
        .iter()
        .map(|&rule| (rule, ledger.checks(rule)))
        .filter(|&(_, times)| times > 0)
        .map(|(rule, times)| match times {
            1 => rule.to_string(),
            times => format!("{rule} x{times}"),
        });
    counted.collect::<Vec<String>>().join(", ")
}

/// What is said to the last of these steps, to all before which nothing may be said.
fn verdict(ground: &Ground, view: &View<'_>, steps: &[Step<'_>]) -> String {
    let ledger = Ledger::new();
    let mut shadow = view.shadow(&ledger);
    let program = Program {
        rule: view.purpose,
        ops: steps.iter().map(|step| step.op).collect(),
    };
    shadow.begin(&program);
    let make = |shadow: &mut Shadow<'_>, index: usize, step: &Step<'_>| {
        let request: Request = shadow.request(&step.op);
        shadow.prepare(index, &step.op, &request)?;
        (step.meanwhile)();
        shadow.settle(index, &step.op, &request, &step.reply)
    };
    let (last, before) = steps.split_last().expect("a case has a step");
    for (index, step) in before.iter().enumerate() {
        let made = make(&mut shadow, index, step);
        let found = shadow.take_finding();
        assert_eq!((made, &found), (Ok(()), &None), "{:?}", step.op);
    }
    ledger.reset();
    (view.setting)(&mut shadow);
    let unaccounted = |shadow: &Shadow<'_>| {
        let (mut blocks, mut bytes) = (0, 0);
        for (_, block) in shadow.live_blocks() {
            blocks += 1;
            bytes += block.size;
        }
        (shadow.live() - blocks, shadow.live_bytes() - bytes)
    };
    let elsewhere = unaccounted(&shadow);
    let (handed_out, before_it) = (shadow.handed_out(), shadow.block(last.op.slot));
    let checked = make(&mut shadow, before.len(), last);
    if checked.is_ok() {
        assert_eq!(unaccounted(&shadow), elsewhere, "{:?}", last.op);
    }
    let case = Case {
        shadow: &shadow,
        last,
        before: before_it,
        handed_out,
    };
    told(ground, &case, checked)
}

/// A case when its last step is made.
struct Case<'s, 'l> {
    shadow: &'s Shadow<'l>,
    last: &'s Step<'s>,
    /// The block that the step is about, before it.
    before: Block,
    handed_out: u64,
}

/// What is said of a case, with the numbers that are its own by name: `p` is what the call returned, `n` what it was asked
/// for, `q` and `m` where the block was before and how large.
fn told(ground: &Ground, case: &Case<'_, '_>, checked: Result<(), Stop>) -> String {
    let Case { shadow, last, .. } = case;
    let text = match (checked, shadow.take_finding()) {
        (Ok(()), None) => {
            let block = shadow.block(last.op.slot);
            match block.is_live() {
                true => format!("{:?}, {} bytes", block.history, block.size),
                false if block.failed => "no block".to_owned(),
                false => "nothing".to_owned(),
            }
        }
        (Err(Stop::Broken), Some(finding)) => format!("{}: {:?}", finding.rule, finding.evidence),
        (Err(Stop::Abandoned), None) => "ruined".to_owned(),
        other => panic!("{other:?}"),
    };
    let handed_out = shadow.handed_out() - case.handed_out;
    let text = format!("{text}; {handed_out} more bytes handed out");
    let names = [
        (last.reply.value, "p"),
        (case.before.address, "q"),
        (last.op.size().unwrap_or(0), "n"),
        (case.before.size, "m"),
    ];
    let text = named(ground, &text, &names);
    let ledger = shadow.ledger;
    let mut text = format!("{text}\n    exercises {}", exercised(ledger));
    let noted = CHOICES.iter().filter(|&&choice| ledger.noted(choice));
    let mut noted: Vec<String> = noted.map(|choice| format!("{choice:?}")).collect();
    if ledger.largest_alignment() > 0 {
        noted.push("the largest alignment".into());
    }
    if ledger.refused_alignment().is_some() {
        noted.push("an alignment refused".into());
    }
    if !noted.is_empty() {
        let _ = write!(text, "\n    notes {}", noted.join(", "));
    }
    text
}

/// A text whose numbers have names where they are above 3, and else are offsets if they are addresses.
fn named(ground: &Ground, text: &str, names: &[(u64, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let (digits, radix) = match from.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (from, 10),
        };
        let length = digits.find(|c: char| !c.is_digit(radix));
        let (digits, after) = digits.split_at(length.unwrap_or(digits.len()));
        out.push_str(before);
        let number = u64::from_str_radix(digits, radix).unwrap_or(0);
        let name = names
            .iter()
            .find(|&&(value, _)| value == number && value > 3);
        let offset = number.checked_sub(ground.at(0));
        match (name, offset.filter(|&offset| offset < GROUND as u64)) {
            (Some((_, name)), _) => out.push_str(name),
            (None, Some(offset)) => {
                let _ = write!(out, "@{offset:#x}");
            }
            (None, None) => out.push_str(digits),
        }
        rest = after;
    }
    out + rest
}

/// A row for each kind of case, a column for each number in which they differ, and a letter for what is said.
#[derive(Default)]
struct Table {
    said: Vec<String>,
    rows: Vec<(String, Vec<(String, usize)>)>,
}

impl Table {
    /// Enters a case: `about` says all of it but the one number in which its neighbours differ.
    fn enter(&mut self, about: impl Into<String>, number: impl ToString, said: String) {
        let (about, number) = (about.into(), number.to_string());
        let known = self.said.iter().position(|other| *other == said);
        let letter = known.unwrap_or_else(|| {
            self.said.push(said);
            self.said.len() - 1
        });
        match self.rows.iter_mut().rfind(|(other, _)| *other == about) {
            Some((_, cells)) => cells.push((number, letter)),
            None => self.rows.push((about, vec![(number, letter)])),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (letter, said) in self.said.iter().enumerate() {
            let _ = writeln!(text, "{:<3} {said}", name(letter));
        }
        let mut head = String::new();
        for (about, cells) in &self.rows {
            let columns: Vec<&str> = cells.iter().map(|(number, _)| number.as_str()).collect();
            let columns = columns.join(" ");
            if columns != head {
                let _ = writeln!(text, "\n{columns}");
                head = columns;
            }
            let mut row = String::new();
            for (number, letter) in cells {
                let _ = write!(row, "{:<width$} ", name(*letter), width = number.len());
            }
            let _ = writeln!(text, "{row}  {about}");
        }
        text
    }
}

/// A to Z, then A1 to Z1 and so on.
fn name(letter: usize) -> String {
    let first = char::from(b'A' + (letter % 26) as u8);
    match letter / 26 {
        0 => first.to_string(),
        times => format!("{first}{times}"),
    }
}

/// A size as one reads it.
fn told_size(size: u64) -> String {
    let near = |power: u32| {
        let whole = 1u128 << power;
        let size = u128::from(size);
        match () {
            () if size == whole => Some(format!("2^{power}")),
            () if size == whole + 1 => Some(format!("2^{power}+1")),
            () if size == whole - 1 => Some(format!("2^{power}-1")),
            () => None,
        }
    };
    let power = (16..=64).find_map(near);
    power.unwrap_or_else(|| size.to_string())
}

fn errno_name(errno: i32) -> &'static str {
    match errno {
        ERRNO_BEFORE => "kept",
        0 => "0",
        libc::ENOMEM => "ENOMEM",
        libc::EAGAIN => "EAGAIN",
        libc::EINVAL => "EINVAL",
        libc::ENOENT => "ENOENT",
        _ => "another",
    }
}
