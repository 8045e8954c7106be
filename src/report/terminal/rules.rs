//! The rules, one line each: by section what was put to the test, then facts, then what was not.

use super::{Detail, FACT, FAIL, FAINT, HEADING, PASS, WARN};
use crate::report::document::{Document, Rule, RuleVerdict};
use crate::report::words::{beside, printable, thousands, wrap};
use crate::spec::Level;
use anstyle::Style;
use std::io::{self, Write};

pub(super) fn write(
    document: &Document,
    out: &mut dyn Write,
    width: usize,
    detail: Detail,
) -> io::Result<()> {
    let ids = document.rules.iter().map(|rule| rule.id.len());
    let table = Table {
        id: ids.max().unwrap_or_default() + 2,
        width,
    };

    let mut section = "";
    for rule in document.rules.iter().filter(|rule| is_tested(rule)) {
        if rule.section != section {
            section = &rule.section;
            heading(out, section, width)?;
        }
        let (style, word) = match rule.verdict {
            RuleVerdict::Fail if document.breaks(rule.level) => (FAIL, "FAIL"),
            RuleVerdict::Fail => (WARN, "WARN"),
            _ => (PASS, "pass"),
        };
        let checks = thousands(rule.checks);
        table.row(out, (style, word), rule.id, &rule.title, &checks)?;
    }

    let mut head = Some("facts");
    for rule in &document.rules {
        // What the subject chose, also where the profile leaves no choice; the title of a fact that has no words.
        let untold = rule.level == Level::Fact && rule.verdict == RuleVerdict::Pass;
        let title = untold.then_some(&rule.title);
        if let Some(text) = document.facts.get(rule.id).or(title) {
            if let Some(text) = head.take() {
                heading(out, text, width)?;
            }
            table.row(out, (FACT, "fact"), rule.id, &printable(text), "")?;
        }
    }

    if detail == Detail::Full {
        untested(document, &table, out)?;
    }
    writeln!(out)
}

/// The rules that were not put to the test, and why not if there is a reason.
fn untested(document: &Document, table: &Table, out: &mut dyn Write) -> io::Result<()> {
    for (verdict, head, word) in [
        (RuleVerdict::NotApplicable, "not applicable", "n/a"),
        (RuleVerdict::NotExercised, "not exercised", "--"),
    ] {
        let mut head = Some(head);
        for rule in document.rules.iter().filter(|rule| rule.verdict == verdict) {
            if let Some(text) = head.take() {
                heading(out, text, table.width)?;
            }
            let text = rule.reason.as_ref().unwrap_or(&rule.title);
            table.row(out, (FAINT, word), rule.id, &printable(text), "")?;
        }
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
fn is_tested(rule: &Rule) -> bool {
    match rule.verdict {
        RuleVerdict::Pass => rule.level != Level::Fact,
        RuleVerdict::Fail => true,
        RuleVerdict::NotExercised | RuleVerdict::NotApplicable => false,
    }
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
        id: &str,
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
        write!(out, "{id:id_width$}")?;
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
