//! Expectations written from what was seen.
//!
//! What stands in a file stays as it is, comments and reasons included, except where it is contradicted. Every change is
//! told in a line: nobody accepts a deviation without reading its name.

use super::GateError;
use crate::report::document::{Complaint, ComplaintKind, Document, Judgement};
use crate::spec::RuleId;
use std::path::Path;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// Facts that tell how far something goes rather than what was chosen: that depends on the machine and on the time.
const EXTENTS: [RuleId; 2] = [
    RuleId::AlignExtendedSupported,
    RuleId::AlignedAllocUnsupported,
];

/// The head of a new file.
const HEAD: &str = "# Known deviations, each with its reason, and the choices made where the documents leave one.\n\n";

/// A file of expectations as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blessed {
    /// The text of the file.
    pub text: String,
    /// What is other than before, a line each.
    pub changes: Vec<String>,
}

/// Takes in what was not as expected; `None` if nothing was. A new file records the facts too.
///
/// # Errors
///
/// The file cannot be read, or is no TOML.
pub fn bless(
    path: &Path,
    document: &Document,
    judgement: &Judgement,
) -> Result<Option<Blessed>, GateError> {
    let wrong = |error: &dyn std::fmt::Display| GateError(format!("{}: {error}", path.display()));
    let known = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(wrong(&error)),
    };
    let text = known.as_deref();
    blessed(text, document, &judgement.complaints).map_err(|error| wrong(&error))
}

fn blessed(
    known: Option<&str>,
    document: &Document,
    complaints: &[Complaint],
) -> Result<Option<Blessed>, toml_edit::TomlError> {
    if known.is_some() && complaints.is_empty() {
        return Ok(None);
    }
    let mut file: DocumentMut = known.unwrap_or_default().parse()?;
    let mut changes = Vec::new();
    for complaint in complaints {
        let Some(rule) = complaint.rule.as_deref() else {
            continue;
        };
        match complaint.kind {
            ComplaintKind::NewDeviation => {
                add_deviation(&mut file, rule);
                changes.push(format!(
                    "+ {rule}: accepted as broken; its reason is to be filled in"
                ));
            }
            ComplaintKind::GoneDeviation => {
                remove_deviation(&mut file, rule);
                changes.push(format!("- {rule}: no longer expected to be broken"));
            }
            ComplaintKind::ChangedFact => changes.push(set_fact(&mut file, document, rule)),
            ComplaintKind::NotInstalled | ComplaintKind::Unusable => (),
        }
    }
    if known.is_none() {
        let is_extent = |rule: &str| EXTENTS.iter().any(|extent| extent.as_str() == rule);
        let facts = document.facts.keys();
        for rule in facts.filter(|rule| !is_extent(rule)) {
            changes.push(set_fact(&mut file, document, rule));
        }
    }
    let head = if known.is_none() { HEAD } else { "" };
    Ok(Some(Blessed {
        text: format!("{head}{file}"),
        changes,
    }))
}

fn add_deviation(file: &mut DocumentMut, rule: &str) {
    let list = file
        .entry("deviation")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let mut deviation = Table::new();
    deviation["rule"] = value(rule);
    deviation["reason"] = value("");
    if let Some(list) = list.as_array_of_tables_mut() {
        list.push(deviation);
    }
}

fn remove_deviation(file: &mut DocumentMut, rule: &str) {
    if let Some(list) = file
        .get_mut("deviation")
        .and_then(Item::as_array_of_tables_mut)
    {
        let is_it = |table: &Table| table.get("rule").and_then(Item::as_str) == Some(rule);
        list.retain(|table| !is_it(table));
    }
}

/// Records a fact as it was seen, or forgets it if nothing was; tells which.
fn set_fact(file: &mut DocumentMut, document: &Document, rule: &str) -> String {
    let facts = file
        .entry("facts")
        .or_insert_with(|| Item::Table(Table::new()));
    match document.facts.get(rule) {
        Some(fact) => {
            facts[rule] = value(fact);
            format!("= {rule}: {fact}")
        }
        None => {
            if let Some(facts) = facts.as_table_like_mut() {
                facts.remove(rule);
            }
            format!("- {rule}: nothing was seen of this fact")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::expectations::Expectations;
    use crate::gate::judge::judge;
    use crate::report::document::Standing;
    use crate::report::sample;

    fn judged(text: &str) -> Judgement {
        let expected = Expectations::parse(text).expect("sound expectations");
        judge(&sample::document(), &expected, Path::new("x.toml"))
    }

    fn bless(known: Option<&str>) -> Option<Blessed> {
        let judgement = judged(known.unwrap_or_default());
        blessed(known, &sample::document(), &judgement.complaints).expect("sound TOML")
    }

    #[test]
    fn what_is_blessed_passes() {
        let new = bless(None).expect("something was seen");
        insta::assert_snapshot!(new.text);
        assert_eq!(judged(&new.text).verdict, Standing::Pass);
        assert_eq!(new.changes.len(), 4);
        assert_eq!(bless(Some(&new.text)), None);
    }

    #[test]
    fn what_is_not_contradicted_stays() {
        let known = "\
# mine
[[deviation]]
rule = \"malloc-errno\"
reason = \"because\" # so

[[deviation]]
rule = \"disjoint\"
reason = \"gone\"

[facts]
malloc-zero-choice = \"malloc(0) returns NULL\"
";
        let blessed = bless(Some(known)).expect("something changed");
        assert_eq!(judged(&blessed.text).verdict, Standing::Pass);
        assert!(
            blessed.text.contains("# mine\n") && blessed.text.contains("\"because\" # so\n"),
            "{}",
            blessed.text
        );
        assert_eq!(
            blessed.changes,
            [
                "+ no-output: accepted as broken; its reason is to be filled in",
                "+ realloc-fail-keeps: accepted as broken; its reason is to be filled in",
                "- disjoint: no longer expected to be broken",
                "= malloc-zero-choice: malloc(0) returns a unique pointer",
            ]
        );
    }
}
