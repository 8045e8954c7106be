//! The report for the page of a build: Markdown as GitHub reads it.

use super::document::{Document, Entry, Finding, Judgement, Known, Standing};
use super::words::{count, thousands};
use std::io::{self, Write};

/// Writes a table of the subjects, then for each what is broken and the facts.
///
/// # Errors
///
/// Those of the writer.
pub fn write(entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    let subjects = match entries {
        [entry] => entry.name.clone(),
        _ => count(entries.len(), "allocator"),
    };
    writeln!(out, "## Conformance of {subjects}\n")?;
    writeln!(
        out,
        "| subject | verdict | broken | warnings | pass | not exercised | not applicable | operations |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|")?;
    for entry in entries {
        row(entry, out)?;
    }
    writeln!(out)?;
    for entry in entries {
        details(entry, entries.len() > 1, out)?;
    }
    Ok(())
}

fn row(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let name = cell(&entry.name);
    let Some(document) = &entry.report else {
        let verdict = match &entry.judgement {
            Some(judgement) => unchecked(judgement),
            None => "❌ error".into(),
        };
        return writeln!(out, "| {name} | {} | | | | | | |", cell(&verdict));
    };
    let tally = document.tally;
    let verdict = match &entry.judgement {
        Some(judgement) => gate_verdict(judgement),
        None if !document.misuse.is_empty() => "misused".into(),
        None => match document.verdict.as_str() {
            "conformant" => "✅ conformant".into(),
            other => format!("❌ {other}"),
        },
    };
    writeln!(
        out,
        "| {name} | {verdict} | {} | {} | {} | {} | {} | {} |",
        tally.broken,
        tally.warnings,
        tally.pass + tally.facts,
        tally.not_exercised,
        tally.not_applicable,
        thousands(document.ops)
    )
}

fn gate_verdict(judgement: &Judgement) -> String {
    let known = match judgement.known.len() {
        0 => String::new(),
        number => format!(", {number} known"),
    };
    match judgement.verdict {
        Standing::Pass => format!("✅ as expected{known}"),
        Standing::Fail => format!("❌ not as expected{known}"),
        other => other.as_str().into(),
    }
}

/// How a subject without a report stands, and why.
fn unchecked(judgement: &Judgement) -> String {
    let complaints = judgement.complaints.iter().map(|of| of.message.as_str());
    let why: Vec<&str> = judgement
        .note
        .as_deref()
        .into_iter()
        .chain(complaints)
        .collect();
    let mark = match judgement.verdict {
        Standing::Fail | Standing::Error => "❌ ",
        Standing::Pass | Standing::Skipped => "",
    };
    format!("{mark}{}: {}", judgement.verdict.as_str(), why.join("; "))
}

fn details(entry: &Entry, named: bool, out: &mut dyn Write) -> io::Result<()> {
    let complaints = entry.judgement.iter().flat_map(|of| &of.complaints);
    let unseen = entry.judgement.iter().flat_map(|of| &of.unseen);
    let complaints: Vec<String> = complaints
        .map(|of| of.message.clone())
        .chain(unseen.map(Known::not_seen))
        .collect();
    let Some(document) = &entry.report else {
        return Ok(());
    };
    let nothing = document.findings.is_empty() && document.facts.is_empty();
    if nothing && document.misuse.is_empty() && complaints.is_empty() {
        return Ok(());
    }
    if named {
        writeln!(out, "### {}\n", entry.name)?;
    }
    for complaint in &complaints {
        writeln!(out, "- {complaint}")?;
    }
    if !complaints.is_empty() {
        writeln!(out)?;
    }
    for finding in &document.findings {
        write_finding(entry, document, finding, out)?;
    }
    write_misuse(document, out)?;
    if !document.facts.is_empty() {
        writeln!(out, "<details><summary>Facts</summary>\n")?;
        for (rule, fact) in &document.facts {
            writeln!(out, "- `{rule}`: {fact}")?;
        }
        writeln!(out, "\n</details>\n")?;
    }
    Ok(())
}

/// What became of misuse, if it was about that.
fn write_misuse(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    if document.misuse.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "| misuse | places | detected | silent | corrupting | how it was detected |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|---|")?;
    for of in &document.misuse {
        let [detected, silent, corrupting] =
            [of.detected, of.silent, of.corrupting].map(|times| of.percent(times));
        let sign = cell(&of.usual_sign());
        writeln!(
            out,
            "| {}: {} | {} | {detected} | {silent} | {corrupting} | {sign} |",
            of.misuse, of.title, of.tried
        )?;
    }
    writeln!(out)
}

fn write_finding(
    entry: &Entry,
    document: &Document,
    finding: &Finding,
    out: &mut dyn Write,
) -> io::Result<()> {
    let word = match (entry.known(finding.rule), finding.breaks) {
        (Some(_), _) => "known",
        (None, true) => "FAIL",
        (None, false) => "WARN",
    };
    let rule = document.rule(finding.rule);
    let title = rule.map_or("", |rule| rule.title.as_str());
    writeln!(
        out,
        "<details><summary>{word} <code>{}</code>: {title}</summary>\n",
        finding.rule
    )?;
    if let Some(rule) = rule {
        writeln!(out, "{} ({})\n", rule.statement, rule.source)?;
    }
    if let Some(known) = entry.known(finding.rule) {
        let link = known
            .link
            .as_ref()
            .map_or(String::new(), |link| format!(" <{link}>"));
        writeln!(out, "Known: {}{link}\n", known.why())?;
    }
    writeln!(out, "```")?;
    for line in &finding.listing {
        let mark = if line.guilty { ">>" } else { "  " };
        writeln!(
            out,
            "{}",
            format!("{mark} {:40} {}", line.text, line.outcome).trim_end()
        )?;
    }
    if !finding.expected.is_empty() {
        writeln!(out, "expected  {}", finding.expected)?;
    }
    writeln!(out, "found     {}\n```\n", finding.found)?;
    writeln!(out, "</details>\n")
}

/// A text that is one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{Complaint, ComplaintKind};
    use crate::report::sample;

    fn written(entries: &[Entry]) -> String {
        let mut out = Vec::new();
        write(entries, &mut out).expect("memory can be written");
        String::from_utf8(out).expect("Markdown is text")
    }

    #[test]
    fn a_check() {
        insta::assert_snapshot!(written(&[Entry::of(sample::document())]));
    }

    #[test]
    fn a_gate() {
        insta::assert_snapshot!(written(&sample::entries()));
    }

    #[test]
    fn why_a_subject_was_not_checked() {
        let mut entries = sample::entries();
        let judgement = entries[1].judgement.as_mut().expect("a judgement");
        judgement.verdict = Standing::Error;
        judgement.note = None;
        judgement.complaints = vec![Complaint {
            kind: ComplaintKind::Unusable,
            rule: None,
            message: "no | library".into(),
        }];
        let text = written(&entries);
        assert!(
            text.contains("| absent | ❌ error: no \\| library |"),
            "{text}"
        );
    }
}
