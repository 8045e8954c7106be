//! The gate for people: the findings nobody expected, what was written, and last a table of all subjects.

use super::{FAIL, FAINT, PASS, WARN, finding};
use crate::report::document::{ComplaintKind, Entry, Judgement, Known, Standing};
use crate::report::json::standing;
use crate::report::words::{beside, count, seconds, wrap};
use anstyle::Style;
use std::io::{self, Write};
use std::time::Duration;

/// What was written for one subject: its name, and each change in a line.
pub type Changes<'a> = (&'a str, &'a [String]);

/// Writes the report of a gate; of the findings, those that are new.
///
/// # Errors
///
/// Those of the writer.
pub fn write(
    entries: &[Entry],
    blessed: &[Changes<'_>],
    out: &mut dyn Write,
    width: usize,
) -> io::Result<()> {
    for entry in entries {
        findings(entry, out, width)?;
    }
    for (name, changes) in blessed {
        writeln!(out, "blessed   {name}")?;
        for change in *changes {
            for line in wrap(change, width.saturating_sub(10)) {
                writeln!(out, "          {line}")?;
            }
        }
        writeln!(out)?;
    }
    table(entries, out, width)
}

fn findings(entry: &Entry, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let (Some(document), Some(judgement)) = (&entry.report, &entry.judgement) else {
        return Ok(());
    };
    let is_new = |rule: &str| {
        let mut complaints = judgement.complaints.iter();
        complaints
            .any(|of| of.kind == ComplaintKind::NewDeviation && of.rule.as_deref() == Some(rule))
    };
    let mut heading = Some(format!("{} ({})", entry.name, document.subject.name));
    for finding in document.findings.iter().filter(|of| is_new(of.rule)) {
        if let Some(heading) = heading.take() {
            writeln!(out, "subject  {heading}\n")?;
        }
        finding::write(document, finding, out, width)?;
    }
    Ok(())
}

fn table(entries: &[Entry], out: &mut dyn Write, width: usize) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(
            out,
            "nothing to check: this part of the gate has no subject"
        );
    }
    let names = entries.iter().map(|entry| entry.name.len());
    let column = names.chain([7]).max().unwrap_or_default();
    writeln!(
        out,
        "{FAINT}          {:column$}  {:>6}  {:>5}  {:>6}  {:>5}  {:>8}{FAINT:#}",
        "subject", "broken", "known", "passes", "facts", "time"
    )?;
    for entry in entries {
        row(entry, column, out, width)?;
    }
    writeln!(out)?;
    let number = |wanted: Standing| {
        let judgements = entries.iter().filter_map(|entry| entry.judgement.as_ref());
        judgements.filter(|of| of.verdict == wanted).count()
    };
    let parts = [
        (number(Standing::Pass), "as expected"),
        (number(Standing::Fail), "not as expected"),
        (number(Standing::Error), "could not be checked"),
        (number(Standing::Skipped), "skipped"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    let left = format!("{}: {}", count(entries.len(), "subject"), parts.join(", "));
    let all = standing(entries);
    let (style, _) = word(all);
    let gap = width
        .saturating_sub(left.chars().count() + all.as_str().len())
        .max(2);
    writeln!(
        out,
        "{left}{:gap$}{}{}{style:#}",
        "",
        style.bold(),
        all.as_str()
    )
}

fn word(standing: Standing) -> (Style, &'static str) {
    match standing {
        Standing::Pass => (PASS, "pass"),
        Standing::Fail => (FAIL, "FAIL"),
        Standing::Error => (FAIL, "ERROR"),
        Standing::Skipped => (WARN, "skipped"),
    }
}

fn row(entry: &Entry, column: usize, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let Some(judgement) = &entry.judgement else {
        return Ok(());
    };
    let (style, word) = word(judgement.verdict);
    write!(out, "{style}{word:8}{style:#}  {}", entry.name)?;
    let gap = column - entry.name.len();
    if let Some(document) = &entry.report {
        let tally = document.tally;
        let broken = tally.broken + tally.warnings;
        let time = seconds(Duration::from_secs_f64(document.elapsed_s));
        writeln!(
            out,
            "{:gap$}  {broken:>6}  {:>5}  {:>6}  {:>5}  {time:>8}",
            "",
            judgement.known.len(),
            tally.pass,
            document.facts.len()
        )?;
    } else if let Some(note) = &judgement.note {
        writeln!(out, "{:gap$}  {note}", "")?;
    } else {
        writeln!(out)?;
    }
    complaints(judgement, out, width)
}

fn complaints(judgement: &Judgement, out: &mut dyn Write, width: usize) -> io::Result<()> {
    const INDENT: usize = 12;
    let complaints = judgement.complaints.iter().map(|of| of.message.clone());
    let unseen = judgement.unseen.iter().map(Known::not_seen);
    for message in complaints.chain(unseen) {
        let room = beside(width, INDENT).unwrap_or(width);
        for line in wrap(&message, room) {
            writeln!(out, "{:INDENT$}{line}", "")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_gate() {
        let mut out = anstream::StripStream::new(Vec::new());
        let changes = ["- calloc-wrap: no longer expected to be broken".to_owned()];
        write(&sample::entries(), &[("fast", &changes)], &mut out, 100)
            .expect("memory can be written");
        let text = String::from_utf8(out.into_inner()).expect("reports are text");
        insta::assert_snapshot!(text);
    }
}
