//! What becomes of misuse: a line for each way, and no verdict.

use super::{FAIL, FAINT, HEADING, PASS, WARN};
use crate::report::document::{Document, Misuse};
use crate::report::words::thousands;
use std::io::{self, Write};

/// The columns of the numbers.
const NUMBERS: usize = 10;

pub(super) fn write(document: &Document, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let names = document.misuse.iter().map(|of| of.misuse.len());
    let name = names.max().unwrap_or_default();
    let columns = ["places", "detected", "silent", "corrupting"];
    let head: String = columns
        .iter()
        .map(|word| format!("  {word:>NUMBERS$}"))
        .collect();
    writeln!(out, "  {HEADING}{:name$}{head}{HEADING:#}", "misuse")?;
    for misuse in &document.misuse {
        row(misuse, name, out, width)?;
    }
    let sum = |of: fn(&Misuse) -> u64| thousands(document.misuse.iter().map(of).sum());
    writeln!(
        out,
        "\nof {} places: {} detected, {} silent, {} corrupting; nothing is required",
        sum(|of| of.tried),
        sum(|of| of.detected),
        sum(|of| of.silent),
        sum(|of| of.corrupting)
    )
}

fn row(misuse: &Misuse, name: usize, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let tried = thousands(misuse.tried);
    write!(out, "  {:name$}  {tried:>NUMBERS$}", misuse.misuse)?;
    for (times, style) in [
        (misuse.detected, PASS),
        (misuse.silent, WARN),
        (misuse.corrupting, FAIL),
    ] {
        let share = misuse.percent(times);
        match times {
            0 => write!(out, "  {FAINT}{share:>NUMBERS$}{FAINT:#}")?,
            _ => write!(out, "  {style}{share:>NUMBERS$}{style:#}")?,
        }
    }
    writeln!(out)?;
    let about = match misuse.usual_sign() {
        sign if sign.is_empty() => misuse.title.to_owned(),
        sign => format!("{}: {sign}", misuse.title),
    };
    let room = width.saturating_sub(4);
    let about: String = match about.chars().count() {
        length if length <= room => about,
        _ => about
            .chars()
            .take(room.saturating_sub(1))
            .chain(['…'])
            .collect(),
    };
    writeln!(out, "    {FAINT}{about}{FAINT:#}")
}
