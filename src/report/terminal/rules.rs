//! The rules, one line each: by section what was put to the test, then facts, then what was not.

use super::{Detail, FACT, FAIL, FAINT, HEADING, PASS, WARN};
use crate::report::document::{Document, Rule, RuleVerdict};
use crate::report::words::{beside, count, printable, thousands, wrap};
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

/// The rules that were not put to the test, and why not if there is a reason. A section of which no rule applies takes one
/// line: most libraries have none of the functions of BSD, or of C++.
fn untested(document: &Document, table: &Table, out: &mut dyn Write) -> io::Result<()> {
    for (verdict, head, word) in [
        (RuleVerdict::NotApplicable, "not applicable", "n/a"),
        (RuleVerdict::NotExercised, "not exercised", "--"),
    ] {
        let mut head = Some(head);
        let sections = document.rules.chunk_by(|a, b| a.section == b.section);
        for section in sections {
            let rules: Vec<&Rule> = section
                .iter()
                .filter(|rule| rule.verdict == verdict)
                .collect();
            if rules.is_empty() {
                continue;
            }
            if let Some(text) = head.take() {
                heading(out, text, table.width)?;
            }
            let reasons: Option<Vec<&str>> =
                rules.iter().map(|rule| rule.reason.as_deref()).collect();
            let whole = rules.len() == section.len() && rules.len() > 1;
            if let Some(reason) = reasons
                .filter(|_| whole)
                .and_then(|reasons| in_one(&reasons))
            {
                let text = format!("{}: {}", count(rules.len(), "rule"), printable(&reason));
                table.row(out, (FAINT, word), &section[0].section, &text, "")?;
                continue;
            }
            for rule in rules {
                let text = rule.reason.as_ref().unwrap_or(&rule.title);
                table.row(out, (FAINT, word), rule.id, &printable(text), "")?;
            }
        }
    }
    Ok(())
}

/// Reasons why rules do not apply, in one: all the same, or all for want of functions.
fn in_one(reasons: &[&str]) -> Option<String> {
    const MISSING: &str = " not exported";
    let first = reasons.first()?;
    if reasons.iter().all(|reason| reason == first) {
        return Some((*first).to_owned());
    }
    let lists: Option<Vec<&str>> = reasons
        .iter()
        .map(|reason| reason.strip_suffix(MISSING))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for name in lists?.into_iter().flat_map(|list| list.split(", ")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // Who has no form of an operator has no special one.
    let all = names.clone();
    names.retain(|name| {
        !all.iter()
            .any(|other| name.starts_with(&format!("{other} with ")))
    });
    Some(names.join(", ") + MISSING)
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
        // Names of sections may be longer than those of rules.
        let fits = id.len() < id_width;
        let Some(room) = beside(self.width, column + reserved).filter(|_| fits) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_function_is_there_for_is_told_in_one_line() {
        for (reasons, wanted) in [
            (
                &["concerns others", "concerns others"][..],
                Some("concerns others"),
            ),
            (
                &[
                    "reallocf not exported",
                    "freezero not exported",
                    "reallocf not exported",
                ],
                Some("reallocf, freezero not exported"),
            ),
            (
                &[
                    "operator new with an alignment not exported",
                    "operator new, operator delete not exported",
                    "operator delete with a size not exported",
                ],
                Some("operator new, operator delete not exported"),
            ),
            (&["reallocf not exported", "concerns others"], None),
        ] {
            assert_eq!(in_one(reasons).as_deref(), wanted);
        }
    }
}
