//! Programs as text: what is stored, shown, edited by hand and replayed.
//!
//! One operation a line, slots `p0`, `p1` …, numbers in decimal, `#` to the end of the line a comment. The first line
//! is `# allocspec trace 1`; a line `# rule ID: why` before the first operation says what the program was made for.
//! What is written is what is run: a text that parses is a legal program, and a program prints as a text that parses
//! to it again.

use std::fmt;

use super::failing::Failing;
use super::legal::{Checker, uses_block};
use super::op::{Call, Expect, NO_SLOT, Op, Program, Slot};
use super::threads::Schedule;
use super::under::Under;
use crate::spec::RuleId;

/// The first line of every trace.
const HEADER: &str = "# allocspec trace 1";

/// A text that is not a trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TraceError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it and what would be right.
    pub message: String,
}

/// Whether these bytes begin as a trace does; nothing else that is read as a program may.
pub fn begins_as_trace(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER.as_bytes())
}

impl Program {
    /// Reads a trace.
    ///
    /// # Errors
    ///
    /// Names the first line that is not an operation, or not a legal one where it stands.
    pub fn parse(text: &str) -> Result<Program, TraceError> {
        let mut lines = text.lines();
        if lines.next().map(str::trim_end) != Some(HEADER) {
            return Err(TraceError {
                line: 1,
                message: format!("not a trace; the first line of a trace is `{HEADER}`"),
            });
        }
        let mut program = Program::default();
        let mut checker = Checker::default();
        for (index, line) in lines.enumerate() {
            read_line(&mut program, &mut checker, line).map_err(|message| TraceError {
                line: index + 2,
                message,
            })?;
        }
        Ok(program)
    }
}

fn read_line(program: &mut Program, checker: &mut Checker, line: &str) -> Result<(), String> {
    let (code, comment) = match line.split_once('#') {
        Some((code, comment)) => (code.trim(), comment.trim()),
        None => (line.trim(), ""),
    };
    if code.is_empty() {
        if let Some(text) = comment.strip_prefix("rule ")
            && program.ops.is_empty()
        {
            read_rule(program, text)?;
        }
        return Ok(());
    }
    let op = read_op(code, checker)?;
    checker
        .admit(&program.ops, &op)
        .map_err(|illegal| illegal.to_string())?;
    program.ops.push(op);
    Ok(())
}

fn read_rule(program: &mut Program, text: &str) -> Result<(), String> {
    let id = text.split(':').next().unwrap_or(text).trim();
    if let Some(rule) = program.rule {
        return Err(format!("the trace is for rule {rule} already"));
    }
    program.rule = Some(
        RuleId::parse(id)
            .ok_or_else(|| format!("no rule is named `{id}`; `allocspec rules` lists them"))?,
    );
    Ok(())
}

fn read_op(code: &str, checker: &Checker) -> Result<Op, String> {
    let mut words = code.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    let op = match read_slot(first)? {
        Some(slot) => {
            if words.next() != Some("=") {
                return Err(format!("write `{first} = malloc 100` or the like"));
            }
            read_making(slot, &mut words, checker)?
        }
        None => read_other(first, &mut words)?,
    };
    let expect = read_expectation(words)?;
    Ok(op.expecting(expect))
}

/// What follows `p0 =`: a call that returns a block.
fn read_making<'a>(
    slot: Slot,
    words: &mut impl Iterator<Item = &'a str>,
    checker: &Checker,
) -> Result<Op, String> {
    let word = words.next().unwrap_or_default();
    let call = call_named(word)
        .filter(|call| call.allocates() || call.reallocates())
        .ok_or_else(|| format!("`{word}` is not a call that returns a block; {MAKING}"))?;
    if call.reallocates() {
        let old = words.next().unwrap_or_default();
        let right = if checker.is_live(slot) {
            format!("p{slot}")
        } else {
            "null".to_owned()
        };
        if old != right {
            return Err(format!(
                "here it is `p{slot} = {word} {right} …`: {why}",
                why = if checker.is_live(slot) {
                    "a block keeps its slot"
                } else {
                    "the slot holds no block"
                }
            ));
        }
    }
    let a = number(words)?;
    let b = match call {
        _ if call.takes_count() || call.takes_alignment() => number(words)?,
        _ => 0,
    };
    Ok(Op::new(call, slot, a, b))
}

/// What does not start with `p0 =`.
fn read_other<'a>(first: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<Op, String> {
    if let Some(call) = call_named(first).filter(|&call| uses_block(call)) {
        return read_using(call, words);
    }
    let (call, a, b) = match first {
        "sweep" => (Call::Sweep, 0, 0),
        "trim" => (Call::Trim, number(words)?, 0),
        "bounded" => (Call::Bounded, number(words)?, 0),
        "sample" => (Call::Sample, number(words)?, 0),
        "steady" => (Call::Steady, number(words)?, 0),
        "fork" => (Call::Fork, 0, 0),
        "wait" => (Call::Wait, 0, 0),
        "under" => return Under::parse(words).ok_or_else(|| UNDER.into()),
        "repeat" => {
            let times = number(words)?;
            if words.next() != Some("x") {
                return Err("write `repeat 1000 x 2`: how often, and how many operations".into());
            }
            (Call::Repeat, times, number(words)?)
        }
        "thread" => (Call::Thread, number(words)?, 0),
        "join" => (Call::Join, 0, 0),
        "at" => match words.next() {
            Some("exit") => (Call::AtExit, 0, 0),
            _ => return Err("write `at exit`".into()),
        },
        "schedule" => return Schedule::parse(words).ok_or_else(|| SCHEDULE.into()),
        "limit" => match words.next() {
            Some("none") => (Call::Limit, 0, 0),
            Some("0") => return Err("a limit of 0 bytes; `limit none` lifts it".into()),
            word => (Call::Limit, parse_number(word)?, 0),
        },
        "fail" | "shift" => {
            let target = words.next().unwrap_or_default();
            let call = match (first, target) {
                ("fail", "syscall") => {
                    return Failing::parse(words).ok_or_else(|| FAILING.into());
                }
                ("fail", "raw") => Call::FailRaw,
                ("fail", "arena") => Call::FailArena,
                ("shift", "arena") => Call::ShiftArena,
                _ => return Err("write `fail syscall mmap 1`, `fail raw 1`, `fail arena 1` or `shift arena 4112`".into()),
            };
            (call, number(words)?, 0)
        }
        _ if call_named(first).is_some() => {
            return Err(format!("write `p0 = {first} …`: the block needs a slot"));
        }
        _ => {
            return Err(format!(
                "`{first}` is not an operation; {MAKING}, or one of free, free_sized, free_aligned_sized, \
                 freezero, delete and its forms, usable, stretch, sweep, trim, repeat, limit, bounded, fail, shift, \
                 thread, join, at exit, schedule, sample, steady, fork, wait, under"
            ));
        }
    };
    Ok(Op::new(call, NO_SLOT, a, b))
}

/// A call on a block or on `null`.
fn read_using<'a>(call: Call, words: &mut impl Iterator<Item = &'a str>) -> Result<Op, String> {
    let name = call.as_str();
    let block = words.next().unwrap_or_default();
    if block != "null" {
        let slot =
            read_slot(block)?.ok_or_else(|| format!("write `{name} p0`, not `{name} {block}`"))?;
        return Ok(Op::new(call, slot, 0, 0));
    }
    let mut arguments = [0; 2];
    for argument in &mut arguments[..call.told_of_null()] {
        *argument = number(words)?;
    }
    let [a, b] = arguments;
    Ok(Op::new(call, NO_SLOT, a, b))
}

/// What is left of the line: nothing, or an expectation.
fn read_expectation<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Expect, String> {
    match words.next() {
        None => return Ok(Expect::Any),
        Some("expect") => (),
        Some(word) => return Err(format!("`{word}` is one word too many")),
    }
    let text = words.collect::<Vec<_>>().join(" ");
    Expect::ALL
        .iter()
        .copied()
        .find(|expect| expect.as_str() == text)
        .ok_or_else(|| {
            format!("`expect {text}`: one can expect NULL, pointer, as before, as earlier, as unhindered, same pointer or other pointer")
        })
}

const MAKING: &str = "a block comes from malloc, calloc, realloc, reallocarray, reallocf, recallocarray, \
                      aligned_alloc, posix_memalign, memalign, valloc, pvalloc, or new and its forms";

const FAILING: &str = "write `fail syscall mmap 3`, `fail syscall any from 2`, `fail syscall brk some 7` or `fail \
                       syscall none`; the calls are mmap, brk, mremap, munmap, madvise and mprotect";

const UNDER: &str = "write `under signals 100`, `under stack 65536`, `under cancellation`, `under closed descriptors`, \
                     `under no proc`, `under exit`, `under destructors`, `under constructor`, `under spawns 500`, \
                     `under threads 4` or `under new-handler 2`";
const SCHEDULE: &str = "write `schedule free`, `schedule in order` or `schedule shaken 7`";

fn call_named(word: &str) -> Option<Call> {
    Call::ALL.iter().copied().find(|call| call.as_str() == word)
}

/// The slot a word such as `p0` names, `None` if it does not look like one.
fn read_slot(word: &str) -> Result<Option<Slot>, String> {
    let Some(digits) = word.strip_prefix('p') else {
        return Ok(None);
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match digits.parse() {
        Ok(NO_SLOT) | Err(_) => Err(format!("`{word}` is out of range for a slot")),
        Ok(slot) => Ok(Some(slot)),
    }
}

fn number<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<u64, String> {
    parse_number(words.next())
}

fn parse_number(word: Option<&str>) -> Result<u64, String> {
    let word = word.ok_or("a number is missing at the end of the line")?;
    word.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
        .ok_or_else(|| format!("`{word}` is not a decimal number from 0 to {}", u64::MAX))
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(rule) = self.rule {
            writeln!(f, "# rule {rule}")?;
        }
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl Program {
    /// The operations as lines of a trace, without the header.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let mut checker = Checker::default();
        self.ops.iter().enumerate().map(move |(index, op)| {
            let of_null = !checker.is_live(op.slot);
            // An illegal operation is shown as it is; parsing will say what is wrong with it.
            let _ = checker.admit(&self.ops[..index], op);
            Line { op: *op, of_null }
        })
    }
}

/// One operation as it is written in a trace.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    op: Op,
    /// Whether the slot is empty before the operation, so that a realloc is one of `null`.
    of_null: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Op {
            call,
            expect,
            slot,
            a,
            b,
        } = self.op;
        let name = call.as_str();
        match call {
            call if call.allocates() => {
                write!(f, "p{slot} = {name} {a}")?;
                if call.takes_count() || call.takes_alignment() {
                    write!(f, " {b}")?;
                }
            }
            call if call.reallocates() => {
                write!(f, "p{slot} = {name} ")?;
                if self.of_null {
                    write!(f, "null {a}")?;
                } else {
                    write!(f, "p{slot} {a}")?;
                }
                if call.takes_count() {
                    write!(f, " {b}")?;
                }
            }
            call if uses_block(call) && slot == NO_SLOT => {
                write!(f, "{name} null")?;
                for argument in &[a, b][..call.told_of_null()] {
                    write!(f, " {argument}")?;
                }
            }
            call if uses_block(call) => write!(f, "{name} p{slot}")?,
            Call::Sweep | Call::Fork | Call::Wait | Call::Join | Call::AtExit => {
                f.write_str(name)?
            }
            Call::Under => match Under::of(&self.op) {
                Some(under) => write!(f, "{name} {under}")?,
                None => write!(f, "{name} what?")?,
            },
            Call::Schedule => {
                let schedule = Schedule::of(&self.op).unwrap_or(Schedule::Free);
                write!(f, "{name} {schedule}")?;
            }
            Call::Repeat => write!(f, "{name} {a} x {b}")?,
            Call::Limit if a == 0 => write!(f, "{name} none")?,
            Call::FailSyscall => match Failing::of(&self.op) {
                Some(failing) => write!(f, "{name} {failing}")?,
                None => write!(f, "{name} none")?,
            },
            _ => write!(f, "{name} {a}")?,
        }
        if expect != Expect::Any {
            write!(f, " expect {}", expect.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
