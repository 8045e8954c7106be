//! What documents say that is not so, for reading.

use super::catalogue::{HEADING, field};
use super::words::{count, wrap};
use crate::spec::{RuleId, Statement};
use std::io::{self, Write};

/// Writes every statement in full.
///
/// # Errors
///
/// Those of the writer.
pub fn write_statements(
    statements: &[Statement],
    out: &mut dyn Write,
    width: usize,
) -> io::Result<()> {
    for statement in statements {
        writeln!(out, "{HEADING}{}{HEADING:#}", statement.id)?;
        field(out, "document", &statement.document, width)?;
        field(out, "says", &statement.says, width)?;
        field(out, "really", &statement.really, width)?;
        field(out, "since", &statement.since, width)?;
        if !statement.rules.is_empty() {
            let rules: Vec<&str> = statement.rules.iter().map(|rule| rule.as_str()).collect();
            field(out, "rules", &rules.join(", "), width)?;
        }
        let shown = match statement.shown.as_str() {
            "reference" => "by the reference allocator",
            _ => &format!("by interpreters: {}", statement.shown),
        };
        field(out, "shown", shown, width)?;
        writeln!(out)?;
    }
    let total = count(statements.len(), "statement");
    for line in wrap(
        &format!("{total}; the rules follow what really happens"),
        width,
    ) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes what stands about a rule in documents and is not so.
///
/// # Errors
///
/// Those of the writer.
pub(super) fn write_beside(
    statements: &[Statement],
    rule: RuleId,
    out: &mut dyn Write,
    width: usize,
) -> io::Result<()> {
    for statement in statements.iter().filter(|it| it.rules.contains(&rule)) {
        let document = format!(
            "{} ({}) says: {}",
            statement.document, statement.id, statement.says
        );
        field(out, "not so", &document, width)?;
        field(out, "really", &statement.really, width)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::catalogue::write_rule;
    use crate::spec::Catalogue;

    fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        write(&mut out).expect("memory can be written");
        String::from_utf8(out.into_inner()).expect("statements are text")
    }

    #[test]
    fn every_statement_is_told_within_the_width() {
        let statements = Catalogue::embedded().statements();
        for width in [60, 100] {
            let text = text(|out| write_statements(statements, out, width));
            for statement in statements {
                let heading = format!("{}\n", statement.id);
                assert!(text.contains(&heading), "{heading}{text}");
            }
            assert!(
                text.lines().all(|line| line.chars().count() <= width),
                "{text}"
            );
        }
    }

    #[test]
    fn a_rule_tells_what_is_said_of_it_that_is_not_so() {
        let catalogue = Catalogue::embedded();
        for statement in catalogue.statements() {
            for &rule in &statement.rules {
                let rule = catalogue.rule(rule);
                let text = text(|out| write_rule(catalogue, rule, out, 100));
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(
                    text.contains(&format!("({}) says: ", statement.id)),
                    "{text}"
                );
            }
        }
        let rule = catalogue.rule(RuleId::Disjoint);
        let text = text(|out| write_rule(catalogue, rule, out, 100));
        assert!(!text.contains("not so"), "{text}");
    }
}
