//! The JSON report of a check, and what must hold of every one of them.

use crate::room::{Room, Run, compiled, wait};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A whole and consistent report.
pub struct Report {
    /// The exit status that came with it.
    pub status: i32,
    /// The report as it was printed.
    pub json: Value,
}

impl Report {
    /// Reads the one JSON value on stdout and holds it against itself and the exit status. `strict` says that broken
    /// `quality` rules count.
    pub fn read(run: &Run, strict: bool) -> Report {
        let status = run.status.expect("an exit status");
        let json = serde_json::from_str(&run.stdout).unwrap_or_else(|error| {
            panic!(
                "status {status}, {error}\nstdout: {}\nstderr: {}",
                run.stdout, run.stderr
            )
        });
        let report = Report { status, json };
        report.assert_consistent(strict);
        report
    }

    fn assert_consistent(&self, strict: bool) {
        let json = &self.json;
        assert_eq!(json["tool"], "allocspec");
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
        assert!(
            json["subject"]["kind"].is_string() && json["subject"]["name"].is_string(),
            "{json}"
        );
        assert!(
            json["profile"].is_string() && json["seed"].is_u64() && json["facts"].is_object(),
            "{json}"
        );
        assert!(
            json["elapsed_s"]
                .as_f64()
                .is_some_and(|elapsed| elapsed > 0.0),
            "{}",
            json["elapsed_s"]
        );
        for rule in self.rules() {
            let checks = rule["checks"].as_u64().expect("a count");
            let title = &rule["title"];
            assert!(title.is_string() && rule["source"].is_string(), "{rule}");
            match rule["verdict"].as_str() {
                Some("pass") => assert!(checks > 0, "never exercised, so no pass: {rule}"),
                Some("not-exercised" | "not-applicable") => assert_eq!(checks, 0, "{rule}"),
                Some("fail") => assert!(self.has_finding(text(rule, "id")), "{rule}"),
                other => panic!("verdict {other:?}: {rule}"),
            }
        }
        for finding in self.findings() {
            let rule = text(finding, "rule");
            assert_eq!(self.verdict_of(rule), "fail", "{finding}");
            assert!(!text(finding, "message").is_empty(), "{finding}");
            assert!(
                text(finding, "program").starts_with("# allocspec trace 1\n"),
                "{finding}"
            );
            // A finding about the library as a whole has no operations to replay.
            let again = match operations(text(finding, "program")) {
                0 => "allocspec check ",
                _ => "allocspec replay ",
            };
            assert!(text(finding, "replay").starts_with(again), "{finding}");
            assert!(
                finding["op_index"].is_u64() || finding["op_index"].is_null(),
                "{finding}"
            );
            assert!(finding["phase"].is_string(), "{finding}");
        }
        let breaks = |finding: &Value| strict || finding["level"] != "quality";
        let expected = match self.findings().iter().any(breaks) {
            true => ("nonconformant", 1),
            false => ("conformant", 0),
        };
        assert_eq!(
            (text(json, "verdict"), self.status),
            expected,
            "{}",
            self.summary()
        );
    }

    /// The rules in catalogue order.
    pub fn rules(&self) -> &[Value] {
        self.json["rules"].as_array().expect("a list of rules")
    }

    /// The findings.
    pub fn findings(&self) -> &[Value] {
        self.json["findings"]
            .as_array()
            .expect("a list of findings")
    }

    /// The verdict on a rule.
    pub fn verdict_of(&self, id: &str) -> &str {
        let rule = self.rules().iter().find(|rule| rule["id"] == id);
        text(
            rule.unwrap_or_else(|| panic!("{id} is not in the report")),
            "verdict",
        )
    }

    /// Whether the rule was found broken.
    pub fn has_finding(&self, rule: &str) -> bool {
        self.findings()
            .iter()
            .any(|finding| finding["rule"] == rule)
    }

    /// Whether a rule was found broken that must not be: a document demands it, or permits other choices only.
    pub fn breaks_conformance(&self) -> bool {
        self.findings()
            .iter()
            .any(|finding| finding["level"] != "quality")
    }

    /// How many rules were exercised and held.
    pub fn passes(&self) -> usize {
        self.rules()
            .iter()
            .filter(|rule| rule["verdict"] == "pass")
            .count()
    }

    /// Whether the subject itself provides the entry point, says the report.
    pub fn provides(&self, entry_point: &str) -> bool {
        let entries = self.json["subject"]["entry_points"]
            .as_array()
            .expect("a list of entry points");
        entries.iter().any(|entry| entry == entry_point)
    }

    /// How many operations were executed.
    pub fn ops(&self) -> u64 {
        self.json["ops"].as_u64().expect("a count")
    }

    /// The findings in a line each, for the message of a failed assertion.
    pub fn summary(&self) -> String {
        let mut lines = format!(
            "{}, status {}, {} pass",
            self.json["verdict"],
            self.status,
            self.passes()
        );
        for finding in self.findings() {
            lines += &format!(
                "\n{} {}: {}",
                finding["level"], finding["rule"], finding["message"]
            );
            for operation in text(finding, "program")
                .lines()
                .filter(|line| !line.starts_with('#'))
                .take(12)
            {
                lines += &format!("\n    {operation}");
            }
        }
        lines
    }

    /// Asserts that one of `rules` was found broken, and gives the finding.
    pub fn expect(&self, rules: &[&str]) -> &Value {
        self.findings()
            .iter()
            .find(|finding| rules.iter().any(|rule| finding["rule"] == *rule))
            .unwrap_or_else(|| panic!("none of {rules:?} among the findings: {}", self.summary()))
    }

    /// Asserts that no rule was found broken that must not be, and that at least 20 were put to the test.
    pub fn assert_sound(&self) {
        assert!(
            !self.breaks_conformance() && self.status == 0,
            "{}",
            self.summary()
        );
        self.assert_went_on();
    }

    /// Asserts that most rules were checked, whatever became of the others.
    pub fn assert_went_on(&self) {
        assert!(self.passes() >= 20, "{}", self.summary());
    }
}

/// The file that `--out` wrote a finding's trace to: its replay command names it. `None` if there is nothing to replay.
pub fn trace_file(finding: &Value) -> Option<PathBuf> {
    let command = text(finding, "replay").strip_prefix("allocspec replay ")?;
    command.split(' ').next().map(PathBuf::from)
}

/// A field that is a string.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is no string: {value}"))
}

/// The operations of a trace.
pub fn operations(trace: &str) -> usize {
    trace
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .count()
}

/// How often a C program may run before it must have shown a break that depends on where the kernel puts its memory.
const TRIES: usize = 10;

/// Asserts that the C program of a finding compiles without a warning, and shows the break, or not, with this library
/// preloaded (the C library's own allocator if there is none).
pub fn assert_c_program(room: &Room, c: &Path, library: Option<&Path>, shown: bool) {
    let program = c.with_extension("run");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-O2", "-o"])
        .arg(&program)
        .arg(c);
    if !compiled(&mut cc) {
        return;
    }
    let (status, words) = if shown {
        (1, "broken: ")
    } else {
        (0, "not shown")
    };
    let mut seen = (None, String::new());
    for _ in 0..if shown { TRIES } else { 1 } {
        seen = run_c_program(room, &program, library);
        if seen.0 == Some(status) && seen.1.contains(words) {
            return;
        }
        if seen.0.is_none() {
            break;
        }
    }
    panic!("{c:?}: {seen:?}, not {status} and {words:?}");
}

/// The exit status, if it ended by itself, and what it printed.
fn run_c_program(room: &Room, program: &Path, library: Option<&Path>) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    room.furnish(&mut command);
    if let Some(library) = library {
        command.env("LD_PRELOAD", library);
    }
    let mut child = command.spawn().expect("the program starts");
    let status = wait(&mut child, Duration::from_secs(20));
    child
        .kill()
        .and_then(|()| child.wait())
        .expect("a child can be killed");
    (status.and_then(|status| status.code()), room.read("stdout"))
}
