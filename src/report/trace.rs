//! A case as a trace: what is replayed, with what each operation gave in comments.

use super::evidence::contrast;
use super::{Report, listing};
use crate::program::Program;
use crate::shadow::Case;
use crate::spec::{Catalogue, Rule};

/// Comments start in this column unless an operation is longer.
const COMMENT: usize = 40;

/// The program of a case, to be parsed again as it is.
pub(super) fn text(report: &Report<'_>, case: &Case) -> String {
    annotated(&report.cited(case.finding.rule), case)
}

/// The same for a case by itself, of this rule.
pub fn annotated(rule: &Rule, case: &Case) -> String {
    let program = case.program.to_string();
    let contrast = contrast(case);
    let mut text = String::new();
    let comments = program.lines().take_while(|line| line.starts_with('#'));
    for line in comments {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!("# breaks {}: {}\n", rule.id, rule.title));
    text.push_str(&format!("# {}\n", rule.sources.join("; ")));
    if !contrast.expected.is_empty() {
        text.push_str(&format!("# expected: {}\n", contrast.expected));
    }
    text.push_str(&format!("# found: {}\n", contrast.found));

    for (index, line) in case.program.lines().enumerate() {
        let mut comment = listing::outcome(case, index);
        if index == case.finding.op_index {
            let separator = if comment.is_empty() { "" } else { "   " };
            comment.push_str(&format!("{separator}breaks {}", rule.id));
        }
        let line = line.to_string();
        if comment.is_empty() {
            text.push_str(&line);
        } else {
            text.push_str(&format!("{line:COMMENT$}  # {comment}"));
        }
        text.push('\n');
    }
    text
}

/// A case as one of the hand-written programs: for the rule that it breaks, and nothing beside the operations.
pub fn vector(catalogue: &Catalogue, case: &Case) -> String {
    let rule = case.finding.rule;
    let program = Program {
        rule: Some(rule),
        ops: case.program.ops.clone(),
    };
    let line = format!("# rule {rule}");
    let why = format!("{line}: {}", catalogue.rule(rule).title);
    program.to_string().replacen(&line, &why, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::report::sample;
    use crate::spec::{Catalogue, RuleId};

    #[test]
    fn a_trace_is_the_program_again() {
        let mut case = sample::realloc_fail_keeps();
        case.program.rule = Some(RuleId::Disjoint);
        let result = sample::result(vec![case.clone()]);
        let report = Report {
            result: &result,
            catalogue: Catalogue::embedded(),
            saved: &[],
            strict: false,
        };
        let text = text(&report, &case);
        assert_eq!(Program::parse(&text), Ok(case.program), "{text}");
        insta::assert_snapshot!(text);
    }
}
