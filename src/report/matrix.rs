//! The mutants and the rules that caught them, as a table.

use super::words::{count, seconds, thousands};
use crate::run::{MutantRow, MutantVerdict};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use std::time::Duration;

/// Writes the matrix and, last, a line that says whether every mutant was caught by its own rule.
///
/// # Errors
///
/// Those of the writer.
pub fn write_matrix(rows: &[MutantRow], out: &mut dyn Write) -> io::Result<()> {
    let name_width = column("mutant", rows.iter().map(|row| row.name.as_str()));
    let rule_width = column("breaks", rows.iter().map(|row| row.breaks));
    let caught: Vec<String> = rows.iter().map(caught_by).collect();
    let caught_width = column("caught by", caught.iter().map(String::as_str));
    writeln!(
        out,
        "          {:name_width$}  {:rule_width$}  {:caught_width$}  {:>12}",
        "mutant", "breaks", "caught by", "operations"
    )?;
    for (row, caught) in rows.iter().zip(&caught) {
        let (style, word) = word(row.verdict);
        let ops = thousands(row.ops_needed);
        writeln!(
            out,
            "{style}{word:8}{style:#}  {:name_width$}  {:rule_width$}  {caught:caught_width$}  {ops:>12}",
            row.name, row.breaks
        )?;
        if row.verdict != MutantVerdict::Caught {
            writeln!(out, "          {}", row.description)?;
        }
    }
    writeln!(out)?;
    summary(rows, out)
}

fn word(verdict: MutantVerdict) -> (Style, &'static str) {
    let bad = AnsiColor::Red.on_default().bold();
    match verdict {
        MutantVerdict::Caught => (AnsiColor::Green.on_default(), "caught"),
        MutantVerdict::Survived => (bad, "SURVIVED"),
        MutantVerdict::Misattributed => (bad, "MISTAKEN"),
    }
}

fn caught_by(row: &MutantRow) -> String {
    if row.caught.is_empty() {
        return "nothing".into();
    }
    row.caught.join(", ")
}

/// The width of a column with this heading and these entries.
fn column<'a>(heading: &str, entries: impl Iterator<Item = &'a str>) -> usize {
    entries
        .map(str::len)
        .max()
        .unwrap_or_default()
        .max(heading.len())
}

fn summary(rows: &[MutantRow], out: &mut dyn Write) -> io::Result<()> {
    let number = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let caught = number(MutantVerdict::Caught);
    let survived = number(MutantVerdict::Survived);
    let mistaken = number(MutantVerdict::Misattributed);
    let elapsed: Duration = rows.iter().map(|row| row.elapsed).sum();
    writeln!(
        out,
        "{}, checked for {} in all: {caught} caught, {survived} survived, {mistaken} caught by another rule",
        count(rows.len(), "mutant"),
        seconds(elapsed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_survivor_stands_out() {
        let row = |name: &str, caught: &[&'static str], verdict| MutantRow {
            name: name.into(),
            breaks: "calloc-zero",
            description: "trusts a stale flag".into(),
            caught: caught.to_vec(),
            verdict,
            ops_needed: 1200,
            elapsed: Duration::from_millis(600),
        };
        let rows = [
            row("stale-zero", &["calloc-zero"], MutantVerdict::Caught),
            row("hides", &[], MutantVerdict::Survived),
        ];
        let mut out = anstream::StripStream::new(Vec::new());
        write_matrix(&rows, &mut out).expect("memory can be written");
        let text = String::from_utf8(out.into_inner()).expect("tables are text");
        insta::assert_snapshot!(text);
    }
}
