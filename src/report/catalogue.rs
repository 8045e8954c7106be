//! The catalogue for reading: all rules by section, or one in full.

use super::documents;
use super::words::{beside, count, wrap};
use crate::spec::{Catalogue, Level, Profile, Rule};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

pub(super) const HEADING: Style = Style::new().bold();
const LABEL: usize = 11;
/// The column of titles that stand below their rule.
const NARROW: usize = 4 + 9;

fn style(level: Level) -> Style {
    match level {
        Level::Must => AnsiColor::Green.on_default(),
        Level::Quality => AnsiColor::Yellow.on_default(),
        Level::Fact => AnsiColor::Cyan.on_default(),
    }
}

/// Writes every rule, or those of a profile, a line each.
///
/// # Errors
///
/// Those of the writer.
pub fn write_list(
    catalogue: &Catalogue,
    profile: Option<&Profile>,
    out: &mut dyn Write,
    width: usize,
) -> io::Result<()> {
    let level = |rule: &Rule| match profile {
        Some(profile) => profile.level(rule.id),
        None => Some(rule.level),
    };
    let listed: Vec<(&Rule, Level)> = catalogue
        .rules()
        .iter()
        .filter_map(|rule| level(rule).map(|level| (rule, level)))
        .collect();
    let ids = listed.iter().map(|(rule, _)| rule.id.as_str().len());
    let id_width = ids.max().unwrap_or_default();
    let column = 4 + 9 + id_width + 2;

    if let Some(profile) = profile {
        let title = format!(
            "{}: {} ({})",
            profile.id(),
            profile.title(),
            profile.document()
        );
        for line in wrap(&title, width) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
    }
    let mut section = "";
    for (rule, level) in &listed {
        if rule.section != section {
            section = &rule.section;
            for line in wrap(section, width.saturating_sub(2)) {
                writeln!(out, "  {HEADING}{line}{HEADING:#}")?;
            }
        }
        let style = style(*level);
        write!(out, "    {style}{level:7}{style:#}  ")?;
        let (room, column) = match beside(width, column) {
            Some(room) => {
                write!(out, "{:id_width$}  ", rule.id)?;
                (room, column)
            }
            None => {
                writeln!(out, "{}", rule.id)?;
                write!(out, "{:NARROW$}", "")?;
                (width.saturating_sub(NARROW), NARROW)
            }
        };
        for (number, line) in wrap(&rule.title, room).iter().enumerate() {
            let indent = if number == 0 { 0 } else { column };
            writeln!(out, "{:indent$}{line}", "")?;
        }
    }
    let hint = match profile {
        Some(_) => "`allocspec rules ID` explains one",
        None => "`allocspec rules ID` explains one, `--profile` lists those of a profile",
    };
    writeln!(out)?;
    for line in wrap(&format!("{}; {hint}", count(listed.len(), "rule")), width) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes one rule in full.
///
/// # Errors
///
/// Those of the writer.
pub fn write_rule(
    catalogue: &Catalogue,
    rule: &Rule,
    out: &mut dyn Write,
    width: usize,
) -> io::Result<()> {
    writeln!(out, "{HEADING}{}{HEADING:#}  {}\n", rule.id, rule.title)?;
    for line in wrap(&rule.statement, width.saturating_sub(2)) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out)?;

    for level in [Level::Must, Level::Quality, Level::Fact] {
        let having = catalogue
            .profiles()
            .iter()
            .filter(|profile| profile.level(rule.id) == Some(level));
        let names: Vec<&str> = having.map(Profile::id).collect();
        if !names.is_empty() {
            field(
                out,
                level.as_str(),
                &format!("in {}", names.join(", ")),
                width,
            )?;
        }
    }
    for profile in catalogue.profiles() {
        if let Some(reason) = profile.waiver(rule.id) {
            field(out, "not in", &format!("{}: {reason}", profile.id()), width)?;
        }
    }
    let mut label = "source";
    for source in &rule.sources {
        field(out, label, source, width)?;
        label = "";
    }
    field(out, "checked", &rule.checked, width)?;
    if !rule.calls_all.is_empty() {
        field(out, "needs", &rule.calls_all.join(" and "), width)?;
    }
    if !rule.calls.is_empty() {
        field(out, "needs", &rule.calls.join(" or "), width)?;
    }
    if !rule.mutants.is_empty() {
        field(out, "mutants", &rule.mutants.join(", "), width)?;
    }
    if let Some(note) = &rule.note {
        field(out, "note", note, width)?;
    }
    documents::write_beside(catalogue.statements(), rule.id, out, width)?;
    if !rule.aliases.is_empty() {
        field(out, "also", &rule.aliases.join(", "), width)?;
    }
    Ok(())
}

/// A label and a text beside it.
pub(super) fn field(out: &mut dyn Write, label: &str, text: &str, width: usize) -> io::Result<()> {
    let mut label = label;
    for line in wrap(text, width.saturating_sub(2 + LABEL)) {
        writeln!(out, "  {HEADING}{label:LABEL$}{HEADING:#}{line}")?;
        label = "";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::RuleId;

    fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        write(&mut out).expect("memory can be written");
        String::from_utf8(out.into_inner()).expect("rules are text")
    }

    #[test]
    fn every_rule_is_listed_once() {
        let catalogue = Catalogue::embedded();
        let text = text(|out| write_list(catalogue, None, out, 100));
        for rule in RuleId::ALL {
            let entry = format!("  {rule} ");
            assert_eq!(text.matches(&entry).count(), 1, "{rule}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }

    #[test]
    fn narrow_terminals_are_kept_to() {
        let text = text(|out| write_list(Catalogue::embedded(), None, out, 40));
        for line in text.lines() {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn a_profile_lists_its_own() {
        let catalogue = Catalogue::embedded();
        let c99 = catalogue.profile("c99").expect("c99 is a profile");
        let text = text(|out| write_list(catalogue, Some(&c99), out, 100));
        assert!(text.starts_with("c99: ISO C99"), "{text}");
        assert!(text.contains(" calloc-zero "), "{text}");
        assert!(!text.contains(" pma-einval "), "{text}");
    }

    #[test]
    fn a_rule_in_full() {
        let catalogue = Catalogue::embedded();
        let rule = catalogue.rule(RuleId::FreeMakesAvailable);
        insta::assert_snapshot!(text(|out| write_rule(catalogue, rule, out, 100)));
    }

    #[test]
    fn a_list() {
        let catalogue = Catalogue::embedded();
        let c99 = catalogue.profile("c99").expect("c99 is a profile");
        insta::assert_snapshot!(text(|out| write_list(catalogue, Some(&c99), out, 100)));
    }
}
