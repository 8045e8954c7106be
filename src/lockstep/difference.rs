//! The first difference between an interpreter and the reference, told so that its cause can be found.

use super::play::{CALLOC, FAIL_ARENA, FAIL_RAW, FREE, MALLOC, NO_SLOT, REALLOC, Step};
use super::stage::{ARENA_AREA, FOREIGN, HOME, VALUE, kind};
use super::{LockstepError, LockstepOptions, Pair, Split};
use std::fmt;
use std::ops::Range;

/// What is said of a pool that was never carved.
const UNUSED: &str = "never used";
/// Bytes of a pool's header.
const HEADER: usize = 48;

/// A difference.
#[derive(Debug)]
pub enum Difference {
    /// A step came out differently.
    Step(Box<StepDifference>),
    /// A line of the statistics in the end is not the same.
    Statistics {
        /// The interpreter's.
        interpreter: String,
        /// The reference's.
        reference: String,
    },
}

/// A step that came out differently.
#[derive(Debug)]
pub struct StepDifference {
    /// Its number, from 0.
    pub number: usize,
    /// What it is.
    pub step: String,
    /// Where the block that it works on lies.
    pub block: Option<String>,
    /// What it led to, in the interpreter and in the reference.
    pub events: [Vec<String>; 2],
    /// Pools that it is about: where they are, and their state in the interpreter and in the reference.
    pub pools: Vec<(String, [String; 2])>,
}

/// The step in which two records first differ.
pub(super) fn first(theirs: &[u64], ours: &[u64]) -> usize {
    let same = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
    ends(&ours[..same]).count()
}

/// The words of a step.
pub(super) fn of_step(record: &[u64], step: usize) -> Range<usize> {
    let mut ends = ends(record);
    let start = match step {
        0 => 0,
        _ => ends.nth(step - 1).map_or(record.len(), |end| end + 1),
    };
    let end = ends.next().map_or(record.len(), |end| end + 1);
    start..end
}

/// Where the steps of a record end.
fn ends(record: &[u64]) -> impl Iterator<Item = usize> + '_ {
    let is_last = |&(_, &word): &(usize, &u64)| (word >> 56) as u8 == kind::RESULT;
    record
        .iter()
        .enumerate()
        .filter(is_last)
        .map(|(index, _)| index)
}

/// Plays up to the step again, and looks at what it is about.
pub(super) fn explain(
    options: &LockstepOptions,
    split: Split,
) -> Result<Difference, LockstepError> {
    let mut pair = Pair::start(options)?;
    let pool_size = pair.interpreter.edition.geometry().pool;
    while pair.totals.steps < split.step as u64 {
        if pair
            .advance(split.step as u64 - pair.totals.steps)?
            .is_some()
        {
            break;
        }
    }
    let step = pair.script.next_step();
    let block = pair.reference.slot(step.slot);
    pair.interpreter.play(&[step])?;
    pair.reference.play(&[step]);

    let words = split.interpreter.iter().chain(&split.reference);
    let mut pools: Vec<usize> = words
        .filter_map(|&word| address(word))
        .chain(block)
        .filter(|&offset| offset < ARENA_AREA)
        .map(|offset| offset & !(pool_size - 1))
        .collect();
    pools.sort_unstable();
    pools.dedup();
    let is_used = |(_, states): &(String, [String; 2])| states.iter().any(|state| state != UNUSED);
    let look = |offset: usize| {
        let (mut theirs, mut ours) = ([0; HEADER], [0; HEADER]);
        let seen = pair.interpreter.peek(offset, &mut theirs);
        pair.reference.peek(offset, &mut ours);
        let theirs = match seen {
            Ok(()) => pool(&theirs, HOME),
            Err(error) => format!("cannot be read: {error}"),
        };
        (place(offset), [theirs, pool(&ours, pair.reference.base())])
    };
    Ok(Difference::Step(Box::new(StepDifference {
        number: split.step,
        step: in_words(&step),
        block: block.map(place),
        events: [&split.interpreter, &split.reference].map(|words| events(words)),
        pools: pools.into_iter().map(look).filter(is_used).collect(),
    })))
}

/// The address in a word, as a distance from the start of the region.
fn address(word: u64) -> Option<usize> {
    let value = word & VALUE;
    let is_address = matches!(
        (word >> 56) as u8,
        kind::RESULT | kind::GOT | kind::FREE | kind::REALLOC | kind::ARENA_FREE
    );
    (is_address && value != 0 && value != FOREIGN).then(|| value as usize - 1)
}

/// A step as it is written in traces.
pub(super) fn in_words(step: &Step) -> String {
    let Step { call, slot, a, b } = *step;
    match (call, slot) {
        (MALLOC, _) => format!("p{slot} = malloc {a}"),
        (CALLOC, _) => format!("p{slot} = calloc {a} {b}"),
        (REALLOC, _) => format!("p{slot} = realloc p{slot} {a}"),
        (FREE, NO_SLOT) => "free null".into(),
        (FREE, _) => format!("free p{slot}"),
        (FAIL_RAW, _) => format!("fail raw {a}"),
        (FAIL_ARENA, _) => format!("fail arena {a}"),
        _ => format!("shift arena {a}"),
    }
}

/// What a step led to, one line an event.
fn events(words: &[u64]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for &word in words {
        let value = word & VALUE;
        let at = || match (value, address(word)) {
            (0, _) => "NULL".into(),
            (_, Some(offset)) => place(offset),
            _ => "a block from before".into(),
        };
        match (word >> 56) as u8 {
            kind::MALLOC => lines.push(format!("raw malloc {value}")),
            kind::CALLOC => lines.push(format!("raw calloc {value}")),
            kind::REALLOC => lines.push(format!("raw realloc {}", at())),
            kind::FREE => lines.push(format!("raw free {}", at())),
            kind::ARENA => lines.push(format!("arena of {value} bytes")),
            kind::ARENA_FREE => lines.push(format!("arena free {}", at())),
            kind::RESULT => lines.push(format!("returns {}", at())),
            kind::SIZE => {
                if let Some(line) = lines.last_mut() {
                    line.push_str(&format!(" {value}"));
                }
            }
            _ => {
                if let Some(line) = lines.last_mut() {
                    line.push_str(&format!(": {}", at()));
                }
            }
        }
    }
    lines
}

fn place(offset: usize) -> String {
    format!("+{offset:#x}")
}

/// A pool's header in words, in a region that starts at `base`.
fn pool(header: &[u8; HEADER], base: usize) -> String {
    let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap_or_default());
    let free = u64::from_ne_bytes(header[8..16].try_into().unwrap_or_default()) as usize;
    if header.iter().all(|&byte| byte == 0) {
        return UNUSED.into();
    }
    format!(
        "class {}, {} blocks in use, first free {}, virgin from {:#x} to {:#x}, arena {}",
        word(36),
        word(0),
        match free {
            0 => "none".into(),
            _ => place(free.wrapping_sub(base)),
        },
        word(40),
        word(44),
        word(32),
    )
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Statistics {
                interpreter,
                reference,
            } => {
                writeln!(f, "statistics  {interpreter}")?;
                writeln!(f, "reference   {reference}")
            }
            Difference::Step(step) => step.fmt(f),
        }
    }
}

impl fmt::Display for StepDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {}  {}", self.number, self.step)?;
        match &self.block {
            Some(block) => writeln!(f, "  (at {block})")?,
            None => writeln!(f)?,
        }
        for (who, events) in ["interpreter", "reference"].iter().zip(&self.events) {
            for (index, event) in events.iter().enumerate() {
                let who = if index == 0 { who } else { "" };
                writeln!(f, "  {who:12}{event}")?;
            }
        }
        for (place, [theirs, ours]) in &self.pools {
            writeln!(f, "pool {place}, afterwards")?;
            writeln!(f, "  interpreter {theirs}")?;
            writeln!(f, "  reference   {ours}")?;
        }
        Ok(())
    }
}
