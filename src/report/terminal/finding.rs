//! The findings, each with its rule, its program, what was expected and found, and how to see it again.

use super::{DEFAULT_WIDTH, FAIL, FAINT, WARN};
use crate::report::c_program::c_program;
use crate::report::evidence::contrast;
use crate::report::heap_map::{self, Block};
use crate::report::listing::{self, Line};
use crate::report::save::Saved;
use crate::report::words::{beside, thousands, wrap};
use crate::report::{Report, commands};
use crate::shadow::{Case, Evidence};
use std::io::{self, Write};
use std::path::Path;

/// Outcomes start at most in this column of the program.
const OUTCOME: usize = 48;

/// Operations beyond which a program is too long for anybody to follow.
const LONG: u64 = 1000;

/// The column of programs and of all that belongs to them.
const INDENT: usize = 6;

/// The column of what stands beside `expected` and `found`.
const LABEL: usize = 14;

pub(super) fn write_all(report: &Report<'_>, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let mut cases: Vec<(&Case, Option<&Saved>)> = report
        .result
        .cases
        .iter()
        .enumerate()
        .map(|(index, case)| (case, report.saved.get(index)))
        .collect();
    cases.sort_by_key(|(case, _)| !report.breaks(report.level(case.finding.rule)));
    for (case, saved) in cases {
        finding(report, case, saved, out, width)?;
    }
    Ok(())
}

fn finding(
    report: &Report<'_>,
    case: &Case,
    saved: Option<&Saved>,
    out: &mut dyn Write,
    width: usize,
) -> io::Result<()> {
    let rule = report.cited(case.finding.rule);
    let level = report.level(rule.id);
    let (style, word) = if report.breaks(level) {
        (FAIL, "FAIL")
    } else {
        (WARN, "WARN")
    };
    let sources = rule.sources.join("; ");
    let heading = format!("{}   {level}   ", rule.id);
    let indent = word.len() + 2;
    match beside(width, indent + heading.len()) {
        Some(room) if sources.chars().count() <= room || width >= DEFAULT_WIDTH => {
            writeln!(out, "{style}{word}{style:#}  {heading}{sources}")?;
        }
        _ => {
            writeln!(out, "{style}{word}{style:#}  {}", heading.trim_end())?;
            for line in wrap(&sources, width.saturating_sub(indent)) {
                writeln!(out, "{:indent$}{line}", "")?;
            }
        }
    }
    for line in wrap(&rule.statement, width.saturating_sub(2)) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out)?;

    program(case, out, width)?;
    heap_map(case, out, width)?;

    let contrast = contrast(case);
    if !contrast.expected.is_empty() {
        labelled(out, "expected", &contrast.expected, width)?;
    }
    labelled(out, "found", &contrast.found, width)?;
    let seen = match case.reproduced {
        true => case.phase.clone(),
        false => format!(
            "{}; the program above did not show it again in a fresh process, so it may need a longer history",
            case.phase
        ),
    };
    labelled(out, "phase", &seen, width)?;
    let steps = case.program.steps();
    if case.reproduced && steps > LONG {
        let length = format!(
            "{} operations are left of the program: it needs a long history, or more --time to be shrunk",
            thousands(steps)
        );
        labelled(out, "length", &length, width)?;
    }
    again(report, case, saved, out)?;
    writeln!(out)
}

fn program(case: &Case, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let lines = listing::lines(case);
    if lines.is_empty() {
        return Ok(());
    }
    let lengths = lines.iter().map(|line| match line {
        Line::Op { text, .. } => text.len(),
        Line::Elided(_) => 0,
    });
    let column = lengths.max().unwrap_or_default().min(OUTCOME) + 3;
    for line in &lines {
        match line {
            Line::Elided(number) => {
                writeln!(out, "      {FAINT}{}{FAINT:#}", Line::elision(*number))?;
            }
            Line::Op {
                text,
                outcome,
                guilty,
            } => {
                let mark = if *guilty { ">>" } else { "  " };
                let one_line = format!("{text:column$}{outcome}");
                let fits = INDENT + one_line.chars().count() <= width;
                let line = if fits { one_line.trim_end() } else { text };
                if *guilty {
                    writeln!(out, "   {FAIL}{mark}{FAIL:#} {line}")?;
                } else {
                    writeln!(out, "   {mark} {line}")?;
                }
                if !fits {
                    for line in wrap(outcome, width.saturating_sub(INDENT + 4)) {
                        writeln!(out, "{:1$}{line}", "", INDENT + 4)?;
                    }
                }
            }
        }
    }
    writeln!(out)
}

fn heap_map(case: &Case, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let Evidence::Overlap {
        address,
        size,
        other,
        other_address,
        other_size,
    } = case.finding.evidence
    else {
        return Ok(());
    };
    let names = [other, case.op().map_or(0, |op| op.slot)].map(|slot| format!("p{slot}"));
    let older = Block {
        name: &names[0],
        address: other_address,
        size: other_size,
    };
    let newer = Block {
        name: &names[1],
        address,
        size,
    };
    let lines = heap_map::draw(older, newer, width.saturating_sub(INDENT));
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
fn again(
    report: &Report<'_>,
    case: &Case,
    saved: Option<&Saved>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rule = report.catalogue.rule(case.finding.rule);
    let subject = &report.result.subject;
    let has_program = !case.program.ops.is_empty();
    if let Some(saved) = saved {
        let again = commands::again(report.result, case, saved.trace.as_deref());
        command(out, "shown again", &again)?;
        if let Some(c) = &saved.c {
            command(out, "in C", &commands::compile_and_run(subject, c))?;
        }
    } else {
        if !has_program {
            command(
                out,
                "shown again",
                &commands::again(report.result, case, None),
            )?;
        }
        let mut files = Vec::new();
        if has_program {
            files.push(format!("{}.trace", rule.id));
        }
        if c_program(case, subject, rule, Path::new("x.c")).is_some() {
            files.push(format!("{}.c", rule.id));
        }
        if !files.is_empty() {
            command(
                out,
                "to keep it",
                &format!("--out DIR writes {}", files.join(" and ")),
            )?;
        }
    }
    command(out, "explained", &format!("allocspec rules {}", rule.id))
}

fn command(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "      {FAINT}{label:LABEL$}{FAINT:#}{text}")
}
