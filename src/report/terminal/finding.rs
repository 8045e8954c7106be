//! The findings, each with its rule, its program, what was expected and found, and how to see it again.

use super::{DEFAULT_WIDTH, FAIL, FAINT, WARN};
use crate::report::document::{Document, Finding};
use crate::report::heap_map;
use crate::report::words::{beside, thousands, wrap};
use std::io::{self, Write};

/// Outcomes start at most in this column of the program.
const OUTCOME: usize = 48;

/// Operations beyond which a program is too long for anybody to follow.
const LONG: u64 = 1000;

/// The column of programs and of all that belongs to them.
const INDENT: usize = 6;

/// The column of what stands beside `expected` and `found`.
const LABEL: usize = 14;

pub(super) fn write_all(document: &Document, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let mut findings: Vec<&Finding> = document.findings.iter().collect();
    findings.sort_by_key(|finding| !finding.breaks);
    for finding in findings {
        write(document, finding, out, width)?;
    }
    Ok(())
}

/// Writes one of the findings of a check.
pub(super) fn write(
    document: &Document,
    finding: &Finding,
    out: &mut dyn Write,
    width: usize,
) -> io::Result<()> {
    let Some(rule) = document.rule(finding.rule) else {
        return Ok(());
    };
    let (style, word) = if finding.breaks {
        (FAIL, "FAIL")
    } else {
        (WARN, "WARN")
    };
    let heading = format!("{}   {}   ", rule.id, finding.level);
    let indent = word.len() + 2;
    match beside(width, indent + heading.len()) {
        Some(room) if rule.source.chars().count() <= room || width >= DEFAULT_WIDTH => {
            writeln!(out, "{style}{word}{style:#}  {heading}{}", rule.source)?;
        }
        _ => {
            writeln!(out, "{style}{word}{style:#}  {}", heading.trim_end())?;
            for line in wrap(&rule.source, width.saturating_sub(indent)) {
                writeln!(out, "{:indent$}{line}", "")?;
            }
        }
    }
    for line in wrap(&rule.statement, width.saturating_sub(2)) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out)?;

    program(finding, out, width)?;
    heap_map(finding, out, width)?;

    if !finding.expected.is_empty() {
        labelled(out, "expected", &finding.expected, width)?;
    }
    labelled(out, "found", &finding.found, width)?;
    let seen = match (finding.reproduced, finding.shown) {
        (true, _) => finding.phase.clone(),
        (false, Some(_)) => format!(
            "{}; no other run of the program above showed it: what threads do at once may meet once in thousands of runs",
            finding.phase
        ),
        (false, None) => format!(
            "{}; the program above did not show it again in a fresh process, so it may need a longer history",
            finding.phase
        ),
    };
    labelled(out, "phase", &seen, width)?;
    if let Some(shown) = finding.shown {
        let often = format!("in {} of {} runs of the program", shown.times, shown.of);
        labelled(out, "shows", &often, width)?;
    }
    if finding.reproduced && finding.steps > LONG {
        let length = format!(
            "{} operations are left of the program: it needs a long history, or more --time to be shrunk",
            thousands(finding.steps)
        );
        labelled(out, "length", &length, width)?;
    }
    again(finding, out)?;
    writeln!(out)
}

fn program(finding: &Finding, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let lines = &finding.listing;
    if lines.is_empty() {
        return Ok(());
    }
    let lengths = lines
        .iter()
        .filter(|line| !line.elided)
        .map(|line| line.text.len());
    let column = lengths.max().unwrap_or_default().min(OUTCOME) + 3;
    for line in lines {
        if line.elided {
            writeln!(out, "      {FAINT}{}{FAINT:#}", line.text)?;
            continue;
        }
        let one_line = format!("{:column$}{}", line.text, line.outcome);
        let fits = INDENT + one_line.chars().count() <= width;
        let text = if fits {
            one_line.trim_end()
        } else {
            &line.text
        };
        if line.guilty {
            writeln!(out, "   {FAIL}>>{FAIL:#} {text}")?;
        } else {
            writeln!(out, "      {text}")?;
        }
        if !fits {
            for line in wrap(&line.outcome, width.saturating_sub(INDENT + 4)) {
                writeln!(out, "{:1$}{line}", "", INDENT + 4)?;
            }
        }
    }
    writeln!(out)
}

fn heap_map(finding: &Finding, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let room = width.saturating_sub(INDENT);
    let lines = finding
        .heap
        .as_ref()
        .map_or(Vec::new(), |map| heap_map::draw(map, room));
    if lines.is_empty() {
        return Ok(());
    }
    for line in lines {
        writeln!(out, "{:INDENT$}{line}", "")?;
    }
    writeln!(out)
}

fn labelled(out: &mut dyn Write, label: &str, text: &str, width: usize) -> io::Result<()> {
    let mut label = label;
    for line in wrap(text, width.saturating_sub(6 + LABEL)) {
        writeln!(out, "      {FAINT}{label:LABEL$}{FAINT:#}{line}")?;
        label = "";
    }
    Ok(())
}

/// The commands; they are not broken into lines, since people copy them.
fn again(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    if finding.is_repeatable() {
        command(out, "shown again", &finding.replay)?;
    }
    if let Some(compile) = finding.compile_kept() {
        command(out, "in C", compile)?;
    }
    if let Some(files) = finding.unkept() {
        command(out, "to keep it", &files)?;
    }
    command(out, "explained", &finding.explain)
}

fn command(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "      {FAINT}{label:LABEL$}{FAINT:#}{text}")
}
