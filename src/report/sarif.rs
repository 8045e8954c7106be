//! The report for those who collect the results of analyses: SARIF 2.1.0, a run a subject.

use super::document::{Document, Entry, Finding, Rule, TOOL, VERSION};
use crate::spec::Level;
use serde_json::{Value, json};
use std::io::{self, Write};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes the runs of these subjects.
///
/// A rule has its statement as full description and its sources in the help text. The place of a result is the subject
/// and the guilty line of its program. A deviation that the gate expects is suppressed, with its reason.
///
/// # Errors
///
/// Those of the writer.
pub fn write(entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    let runs: Vec<Value> = entries
        .iter()
        .filter_map(|entry| Some(run(entry, entry.report.as_ref()?)))
        .collect();
    let log = json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": runs });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn run(entry: &Entry, document: &Document) -> Value {
    let results: Vec<Value> = document
        .findings
        .iter()
        .map(|finding| result(entry, document, finding))
        .collect();
    json!({
        "tool": {
            "driver": {
                "name": TOOL,
                "semanticVersion": VERSION,
                "rules": document.rules.iter().map(rule).collect::<Vec<Value>>(),
            }
        },
        // What stands before the last slash is the category: subjects of one log are told apart by it.
        "automationDetails": { "id": format!("allocspec/{}/{}/", document.profile, entry.name) },
        "results": results,
    })
}

fn rule(rule: &Rule) -> Value {
    let mut help = format!(
        "{}\n\nSource: {}\nChecked: {}",
        rule.statement, rule.source, rule.checked
    );
    let mut markdown = format!(
        "{}\n\n**Source** {}\n\n**Checked** {}",
        rule.statement, rule.source, rule.checked
    );
    if let Some(note) = &rule.note {
        help.push_str(&format!("\nNote: {note}"));
        markdown.push_str(&format!("\n\n**Note** {note}"));
    }
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.statement },
        "help": { "text": help, "markdown": markdown },
        "defaultConfiguration": { "level": level(rule.level != Level::Quality) },
        "properties": { "tags": [rule.level.as_str(), rule.section], "source": rule.source },
    })
}

fn level(breaks: bool) -> &'static str {
    if breaks { "error" } else { "warning" }
}

fn result(entry: &Entry, document: &Document, finding: &Finding) -> Value {
    let index = document
        .rules
        .iter()
        .position(|rule| rule.id == finding.rule);
    let name = document.subject.path.as_deref().unwrap_or(&entry.name);
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.breaks),
        "message": { "text": finding.message },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(name) },
                "region": { "startLine": 1 },
            },
            "message": { "text": finding.program },
        }],
        // The same break of the same subject is the same result, wherever it is seen.
        "partialFingerprints": { "ruleAndSubject/v1": format!("{}:{}", entry.name, finding.rule) },
        "properties": {
            "program": finding.program,
            "opIndex": finding.op_index,
            "expected": finding.expected,
            "found": finding.found,
            "replay": finding.replay,
        },
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    if let Some(known) = entry.known(finding.rule) {
        result["suppressions"] = json!([{ "kind": "external", "justification": known.why() }]);
    }
    result
}

/// A path as a reference to a file.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/+,=@".contains(&byte);
    let path = match path.strip_prefix("./") {
        Some(relative) => relative.to_owned(),
        None if path.starts_with('/') => format!("file://{path}"),
        None => path.to_owned(),
    };
    let encoded = path.bytes().enumerate().map(|(index, byte)| match byte {
        b':' if path.starts_with("file://") && index == 4 => ":".into(),
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn what_is_known_is_suppressed() {
        let mut out = Vec::new();
        write(&sample::entries(), &mut out).expect("memory can be written");
        let log: Value = serde_json::from_slice(&out).expect("a log is JSON");
        let results = log["runs"][0]["results"].as_array().expect("results");
        let suppressed: Vec<&Value> = results
            .iter()
            .filter(|result| !result["suppressions"].is_null())
            .map(|result| &result["ruleId"])
            .collect();
        assert_eq!(suppressed, ["malloc-errno"]);
        assert_eq!(
            log["runs"][0]["automationDetails"]["id"],
            "allocspec/linux/fast/"
        );
        let driver = &log["runs"][0]["tool"]["driver"];
        for result in results {
            let index = result["ruleIndex"].as_u64().expect("the rule is listed") as usize;
            assert_eq!(driver["rules"][index]["id"], result["ruleId"]);
        }
    }

    #[test]
    fn paths_are_references() {
        assert_eq!(uri("./lib fast.so"), "lib%20fast.so");
        assert_eq!(uri("/usr/lib/x.so.2"), "file:///usr/lib/x.so.2");
        assert_eq!(uri("system"), "system");
    }
}
