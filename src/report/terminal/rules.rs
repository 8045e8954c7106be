//! The rules, one line each: by section what was put to the test, then facts, then what was not.

use super::{Detail, FACT, FAIL, FAINT, HEADING, PASS, WARN};
use crate::report::Report;
use crate::report::words::{beside, printable, thousands, wrap};
use crate::run::verdict::{RuleResult, Verdict};
use crate::spec::{Level, RuleId};
use anstyle::Style;
use std::io::{self, Write};

pub(super) fn write(
    report: &Report<'_>,
    out: &mut dyn Write,
    width: usize,
    detail: Detail,
) -> io::Result<()> {
    let results = &report.result.rules;
    let ids = results.iter().map(|result| result.rule.as_str().len());
    let table = Table {
        id: ids.max().unwrap_or_default() + 2,
        width,
    };

    let mut section = "";
    for result in results.iter().filter(|result| is_tested(result)) {
        let rule = report.catalogue.rule(result.rule);
        if rule.section != section {
            section = &rule.section;
            heading(out, section, width)?;
        }
        let (style, word) = match result.verdict {
            Verdict::Fail if report.breaks(result.level) => (FAIL, "FAIL"),
            Verdict::Fail => (WARN, "WARN"),
            _ => (PASS, "pass"),
        };
        let checks = thousands(result.checks);
        table.row(out, (style, word), result.rule, &rule.title, &checks)?;
    }

    let facts = facts(report);
    if !facts.is_empty() {
        heading(out, "facts", width)?;
    }
    for (rule, text) in facts {
        table.row(out, (FACT, "fact"), rule, &printable(text), "")?;
    }

    if detail == Detail::Full {
        untested(report, &table, out)?;
    }
    writeln!(out)
}

/// The rules that were not put to the test, and why not if there is a reason.
fn untested(report: &Report<'_>, table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let results = &report.result.rules;
    let mut head = Some("not applicable");
    for result in results {
        if let Verdict::NotApplicable(reason) = &result.verdict {
            if let Some(text) = head.take() {
                heading(out, text, table.width)?;
            }
            table.row(out, (FAINT, "n/a"), result.rule, &printable(reason), "")?;
        }
    }

    let mut head = Some("not exercised");
    for result in results
        .iter()
        .filter(|result| result.verdict == Verdict::NotExercised)
    {
        if let Some(text) = head.take() {
            heading(out, text, table.width)?;
        }
        let title = &report.catalogue.rule(result.rule).title;
        table.row(out, (FAINT, "--"), result.rule, title, "")?;
    }
    Ok(())
}

fn heading(out: &mut dyn Write, text: &str, width: usize) -> io::Result<()> {
    for line in wrap(text, width.saturating_sub(2)) {
        writeln!(out, "  {HEADING}{line}{HEADING:#}")?;
    }
    Ok(())
}

/// Whether the rule was kept or broken; a fact is neither unless it is broken.
fn is_tested(result: &RuleResult) -> bool {
    match result.verdict {
        Verdict::Pass => result.level != Level::Fact,
        Verdict::Fail => true,
        Verdict::NotExercised | Verdict::NotApplicable(_) => false,
    }
}

/// What the subject chose, also where the profile leaves no choice; the title of a fact that has no words.
fn facts<'a>(report: &'a Report<'_>) -> Vec<(RuleId, &'a str)> {
    let told = report
        .result
        .facts
        .iter()
        .map(|(&rule, text)| (rule, text.as_str()));
    let mut facts: Vec<(RuleId, &str)> = told.collect();
    for result in &report.result.rules {
        let untold = !report.result.facts.contains_key(&result.rule);
        if untold && result.level == Level::Fact && result.verdict == Verdict::Pass {
            facts.push((result.rule, &report.catalogue.rule(result.rule).title));
        }
    }
    facts.sort_unstable();
    facts
}

/// The columns of the table.
struct Table {
    id: usize,
    width: usize,
}

impl Table {
    fn row(
        &self,
        out: &mut dyn Write,
        (style, word): (Style, &str),
        rule: RuleId,
        text: &str,
        number: &str,
    ) -> io::Result<()> {
        const INDENT: usize = 4 + 6;
        let id_width = self.id;
        let column = INDENT + id_width;
        let reserved = if number.is_empty() {
            0
        } else {
            number.len() + 2
        };
        write!(out, "    {style}{word:4}{style:#}  ")?;
        let Some(room) = beside(self.width, column + reserved) else {
            let id = rule.as_str();
            let gap = self
                .width
                .saturating_sub(INDENT + id.len() + number.len())
                .max(2);
            match number {
                "" => writeln!(out, "{id}")?,
                _ => writeln!(out, "{id}{:gap$}{number}", "")?,
            }
            for line in wrap(text, self.width.saturating_sub(INDENT)) {
                writeln!(out, "{:INDENT$}{line}", "")?;
            }
            return Ok(());
        };
        let mut lines = wrap(text, room).into_iter();
        let first = lines.next().unwrap_or_default();
        write!(out, "{rule:id_width$}")?;
        if number.is_empty() {
            writeln!(out, "{first}")?;
        } else {
            let gap = self
                .width
                .saturating_sub(column + first.chars().count() + number.len());
            writeln!(out, "{first}{:1$}{number}", "", gap.max(2))?;
        }
        for line in lines {
            writeln!(out, "{:column$}{line}", "")?;
        }
        Ok(())
    }
}
