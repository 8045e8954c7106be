//! The report for people: what was checked, the rules by section, facts, what could not be checked, the findings, and
//! last one line that says it all.
//!
//! Colour repeats what words say, never more. Nothing here asks whether there is a terminal: the caller's writer
//! drops colour where it does not belong.

mod finding;
pub mod gate;
mod misuse;
mod rules;
mod subject;

use super::document::{Answer, Document};
use super::words::{count, thousands, wrap};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

/// The width where none is known.
pub const DEFAULT_WIDTH: usize = 100;

const PASS: Style = AnsiColor::Green.on_default();
const FAIL: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
const FACT: Style = AnsiColor::Cyan.on_default();
const FAINT: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// Not the rules that were never put to the test, of which one program leaves most.
    Exercised,
    /// Findings and the last line.
    Findings,
}

/// Writes the report in lines of this many columns where it can.
///
/// # Errors
///
/// Those of the writer.
pub fn write(
    document: &Document,
    out: &mut dyn Write,
    width: usize,
    detail: Detail,
) -> io::Result<()> {
    if detail != Detail::Findings {
        subject::write(document, out, width)?;
    }
    if !document.misuse.is_empty() {
        return misuse::write(document, out, width);
    }
    if detail != Detail::Findings {
        rules::write(document, out, width, detail)?;
    }
    finding::write_all(document, out, width)?;
    summary(document, out, width)
}

fn summary(document: &Document, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let tally = document.tally;
    let tested = thousands((tally.broken + tally.warnings + tally.pass) as u64);
    let broken = match tally.broken {
        0 => "no rule broken".into(),
        number => format!("{} broken", count(number, "rule")),
    };
    let mut parts = vec![format!("{} pass", tally.pass)];
    let mut part = |number: usize, text: String| {
        if number > 0 {
            parts.push(text);
        }
    };
    part(tally.warnings, count(tally.warnings, "warning"));
    part(tally.facts, count(tally.facts, "fact"));
    part(
        tally.not_applicable,
        format!("{} not applicable", tally.not_applicable),
    );
    part(
        tally.not_exercised,
        format!("{} not exercised", tally.not_exercised),
    );
    let left = format!("{broken} of {tested} ({})", parts.join(", "));
    let verdict = document.verdict.as_str();
    let style = match document.verdict {
        Answer::Conformant => PASS.bold(),
        Answer::Nonconformant => FAIL,
    };
    let mut lines = wrap(&left, width);
    let last = lines.last().map_or(0, |line| line.chars().count());
    if width < last + 3 + verdict.len() {
        lines.push(String::new());
    }
    let last = lines.pop().unwrap_or_default();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    let gap = width.saturating_sub(last.chars().count() + verdict.len());
    writeln!(out, "{last}{:gap$}{style}{verdict}{style:#}", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, sample};
    use crate::run::verdict::{Conformance, MisuseResult, Sign};
    use crate::shadow::Case;
    use crate::spec::Catalogue;
    use std::collections::BTreeMap;

    fn written(cases: Vec<Case>, detail: Detail) -> String {
        written_in(100, cases, detail)
    }

    fn written_in(width: usize, cases: Vec<Case>, detail: Detail) -> String {
        let result = sample::result(cases);
        let report = Report {
            result: &result,
            catalogue: Catalogue::embedded(),
            saved: &[],
            strict: false,
        };
        written_of(&report, width, detail)
    }

    fn written_of(report: &Report<'_>, width: usize, detail: Detail) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        write(&Document::new(report), &mut out, width, detail).expect("memory can be written");
        String::from_utf8(out.into_inner()).expect("reports are text")
    }

    #[test]
    fn every_verdict_has_its_place() {
        let text = written(vec![sample::realloc_fail_keeps()], Detail::Full);
        let position = |line: &str| text.find(line).unwrap_or_else(|| panic!("{line}\n{text}"));
        let places = [
            "subject  ./libfast.so (preloaded; exports 2 of 4 entry points; libc.so.6 would serve pvalloc: not",
            "profile  linux = c17 + posix-2017 + gnu",
            "seed 7",
            "  addresses and contents\n    pass  disjoint",
            "WARN  no-output",
            "FAIL  realloc-fail-keeps",
            "  facts\n    fact  malloc-zero-choice     malloc(0) returns a unique pointer",
            "  not applicable\n    n/a   reallocarray-overflow  reallocarray is not exported",
            "  not exercised\n    --    calloc-zero-after-oom",
            "FAIL  realloc-fail-keeps   must   ",
            "1 rule broken of 4 (2 pass, 1 warning, 1 fact, 1 not applicable, 1 not exercised)",
        ];
        let found: Vec<usize> = places.iter().map(|line| position(line)).collect();
        assert!(found.is_sorted(), "{found:?}\n{text}");
        assert!(text.ends_with("  nonconformant\n"), "{text}");
    }

    #[test]
    fn a_check_in_full() {
        insta::assert_snapshot!(written(
            vec![sample::realloc_fail_keeps(), sample::malloc_errno()],
            Detail::Full
        ));
    }

    #[test]
    fn a_check_on_a_narrow_terminal() {
        insta::assert_snapshot!(written_in(
            60,
            vec![sample::realloc_fail_keeps()],
            Detail::Findings
        ));
    }

    #[test]
    fn a_check_that_misuses() {
        let mut result = sample::result(Vec::new());
        let mut twice = MisuseResult::new("double-free", "frees a block twice");
        (twice.tried, twice.detected, twice.silent, twice.corrupting) = (1_200, 1_000, 150, 50);
        let sign = Sign {
            signal: Some(libc::SIGABRT),
            message: "free(): double free detected".into(),
        };
        twice.signs = BTreeMap::from([(sign, 1_000)]);
        result.misuse = vec![
            twice,
            MisuseResult::new("write-after-free", "writes to a freed block"),
        ];
        let report = Report {
            result: &result,
            catalogue: Catalogue::embedded(),
            saved: &[],
            strict: false,
        };
        insta::assert_snapshot!(written_of(&report, 100, Detail::Full));
    }

    #[test]
    fn counts_are_aligned_on_the_right() {
        let text = written(Vec::new(), Detail::Full);
        let line = text
            .lines()
            .find(|line| line.contains("disjoint"))
            .unwrap_or_default();
        assert!(line.ends_with("  83,114,902"), "{line}");
        assert_eq!(line.chars().count(), 100);
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }

    #[test]
    fn narrow_terminals_are_kept_to() {
        for width in [40, 50, 60, 80] {
            let text = written_in(width, vec![sample::realloc_fail_keeps()], Detail::Full);
            // What people copy is not broken into lines.
            let is_copied = |line: &str| {
                ["--out DIR", "allocspec ", " = realloc "]
                    .iter()
                    .any(|part| line.contains(part))
            };
            for line in text.lines().filter(|line| !is_copied(line)) {
                assert!(line.chars().count() <= width, "{width}: {line}\n{text}");
            }
        }
        let text = written_in(40, Vec::new(), Detail::Full);
        let row =
            "    pass  disjoint            83,114,902\n          no live block overlaps another\n";
        assert!(text.contains(row), "{text}");
        let text = written_in(80, vec![sample::realloc_fail_keeps()], Detail::Findings);
        assert!(text.contains("overlap: 100 B"), "{text}");
    }

    #[test]
    fn a_finding_shows_its_program_and_how_to_see_it_again() {
        let text = written(vec![sample::realloc_fail_keeps()], Detail::Findings);
        for line in [
            "\n      p0 = realloc p0 9223372036854775807   NULL, errno ENOMEM (12)\n",
            "\n   >> p1 = malloc 100                       0x7f31c4001040\n",
            "\n      expected      no byte in common with p0, which is live\n",
            "\n      found         0x7f31c4001040, the address of p0\n",
            "overlap: 100 B\n",
            "--out DIR",
            "allocspec rules realloc-fail-keeps\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("subject  "), "{text}");
    }

    #[test]
    fn long_programs_lose_their_middle() {
        let mut case = sample::realloc_fail_keeps();
        let filler = crate::program::Op::new(crate::program::Call::Malloc, 7, 8, 0);
        case.program.ops.splice(
            1..1,
            (0..2000).map(|n| crate::program::Op {
                slot: 7 + n,
                ..filler
            }),
        );
        case.outcomes
            .splice(1..1, (0..2000).map(|n| sample::gave(0x1000 + 16 * n)));
        case.finding.op_index += 2000;
        let text = written(vec![case], Detail::Findings);
        assert!(text.contains("      p0 = malloc 100"), "{text}");
        assert!(text.contains("      … 1,992 operations …\n"), "{text}");
        assert!(text.contains("   >> p1 = malloc 100"), "{text}");
        assert!(text.lines().count() < 40, "{text}");
        assert!(
            text.contains("      length        2,003 operations are left"),
            "{text}"
        );
        let short = written(vec![sample::realloc_fail_keeps()], Detail::Findings);
        assert!(!short.contains("length  "), "{short}");
    }

    #[test]
    fn a_clean_result_says_so() {
        let mut result = sample::result(Vec::new());
        result
            .rules
            .retain(|rule| rule.verdict == crate::run::verdict::Verdict::Pass);
        result.conformance = Conformance::Conformant;
        let report = Report {
            result: &result,
            catalogue: Catalogue::embedded(),
            saved: &[],
            strict: false,
        };
        assert_eq!(
            written_of(&report, 60, Detail::Findings),
            "no rule broken of 2 (2 pass, 1 fact)              conformant\n"
        );
    }
}
