//! Expectations written from what was seen.
//!
//! What stands in a file stays as it is, comments and reasons included, except where it is contradicted. Every change is
//! told in a line: nobody accepts a deviation without reading its name.

use super::GateError;
use super::expectations::Expectations;
use super::judge::judge;
use crate::report::document::{Complaint, ComplaintKind, Document, Judgement};
use crate::spec::RuleId;
use std::path::{Path, PathBuf};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// Facts that tell how far something goes rather than what was chosen: that depends on the machine and on the time.
const EXTENTS: [RuleId; 4] = [
    RuleId::AlignExtendedSupported,
    RuleId::AlignedAllocUnsupported,
    RuleId::MemalignInvalid,
    RuleId::PmaErrno,
];

/// The head of a new file.
const HEAD: &str = "# Known deviations, each with its reason, and the choices made where the documents leave one.\n\n";

/// A file of expectations as it should be.
#[derive(Clone, Debug)]
pub struct Blessed {
    /// Where the file is.
    pub path: PathBuf,
    /// The text of the file.
    pub text: String,
    /// What is other than before, a line each.
    pub changes: Vec<String>,
    /// What the text makes of the check that it was written from.
    pub judgement: Judgement,
}

/// Takes in what was not as expected; `None` if there is nothing to take in. A new file records the facts too. What was
/// not put to the test stays as it is recorded.
///
/// # Errors
///
/// The file as it stands cannot be changed.
pub fn bless(
    path: &Path,
    known: Option<&str>,
    document: &Document,
    judgement: &Judgement,
) -> Result<Option<Blessed>, GateError> {
    let wrong = |error: String| GateError(format!("{}: {error}", path.display()));
    let (text, changes) = changed(known, document, &judgement.complaints)
        .map_err(|error| wrong(error.message().replace('\n', ": ")))?;
    if known.is_some() && changes.is_empty() {
        return Ok(None);
    }
    let expected = Expectations::parse(&text).map_err(wrong)?;
    Ok(Some(Blessed {
        path: path.to_owned(),
        judgement: judge(document, &expected, path),
        text,
        changes,
    }))
}

/// The text with the complaints taken in, and what is other than before.
fn changed(
    known: Option<&str>,
    document: &Document,
    complaints: &[Complaint],
) -> Result<(String, Vec<String>), toml_edit::TomlError> {
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
            ComplaintKind::NotExercised | ComplaintKind::NotInstalled | ComplaintKind::Unusable => {
            }
        }
    }
    if known.is_none() {
        let facts = document.facts.iter();
        for (rule, _) in facts.filter(|(rule, fact)| lasts(rule, fact)) {
            changes.push(set_fact(&mut file, document, rule));
        }
    }
    let head = if known.is_none() { HEAD } else { "" };
    Ok((format!("{head}{file}"), changes))
}

/// Whether a fact is a choice that the next check will see again.
fn lasts(rule: &str, fact: &str) -> bool {
    let is_extent = EXTENTS.iter().any(|extent| extent.as_str() == rule);
    !is_extent && !fact.contains("sometimes") && !fact.contains("at times")
}

fn add_deviation(file: &mut DocumentMut, rule: &str) {
    let list = file
        .entry("deviation")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let mut deviation = Table::new();
    deviation["rule"] = value(rule);
    deviation["reason"] = value("");
    // A list that is written as a value stays one.
    if let Some(list) = list.as_array_mut() {
        list.push(deviation.into_inline_table());
    } else if let Some(list) = list.as_array_of_tables_mut() {
        list.push(deviation);
    }
}

fn remove_deviation(file: &mut DocumentMut, rule: &str) {
    let Some(list) = file.get_mut("deviation") else {
        return;
    };
    if let Some(list) = list.as_array_mut() {
        list.retain(|of| {
            let table = of.as_inline_table();
            table.and_then(|table| table.get("rule")?.as_str()) != Some(rule)
        });
    } else if let Some(list) = list.as_array_of_tables_mut() {
        list.retain(|table| table.get("rule").and_then(Item::as_str) != Some(rule));
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
            format!("- {rule}: no fact of this subject any more")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::Standing;
    use crate::report::sample;

    fn bless_of(known: Option<&str>, document: &Document) -> Option<Blessed> {
        let path = Path::new("x.toml");
        let expected = Expectations::parse(known.unwrap_or_default()).expect("sound expectations");
        let judgement = judge(document, &expected, path);
        bless(path, known, document, &judgement).expect("sound TOML")
    }

    fn bless_text(known: Option<&str>) -> Option<Blessed> {
        bless_of(known, &sample::document())
    }

    #[test]
    fn what_is_blessed_passes() {
        let new = bless_text(None).expect("something was seen");
        insta::assert_snapshot!(new.text);
        assert_eq!(new.judgement.verdict, Standing::Pass);
        assert_eq!((new.judgement.known.len(), new.changes.len()), (3, 4));
        assert!(bless_text(Some(&new.text)).is_none());
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
        let blessed = bless_text(Some(known)).expect("something changed");
        assert_eq!(blessed.judgement.verdict, Standing::Pass);
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

    #[test]
    fn a_list_that_is_a_value_is_changed_too() {
        let one = "{ rule = \"malloc-errno\", reason = \"because\" }";
        let gone = "{ rule = \"disjoint\", reason = \"gone\" }";
        for list in [
            "[]".to_owned(),
            format!("[{one}]"),
            format!("[\n    {gone}, # so it was\n    {one},\n]"),
        ] {
            let blessed = bless_text(Some(&format!("# mine\ndeviation = {list}\n")))
                .expect("something changed");
            assert_eq!(
                blessed.judgement.verdict,
                Standing::Pass,
                "{}",
                blessed.text
            );
            assert_eq!(blessed.judgement.known.len(), 3, "{}", blessed.text);
            assert!(blessed.text.starts_with("# mine\n"), "{}", blessed.text);
            assert!(!blessed.text.contains("disjoint"), "{}", blessed.text);
            assert_eq!(list.contains(one), blessed.text.contains(one));
        }
    }

    #[test]
    fn what_was_not_put_to_the_test_stays_and_stays_red() {
        let idle = "[[deviation]]\nrule = \"calloc-zero-after-oom\"\nreason = \"because\"\n";
        let fact = "[facts]\nmalloc-zero-choice = \"malloc(0) returns NULL\"\n";
        let mut document = sample::document();
        document.facts.clear();
        let blessed = bless_of(Some(&format!("{idle}\n{fact}")), &document)
            .expect("the broken rules are taken in");
        assert!(
            blessed.text.contains(idle) && blessed.text.contains(fact),
            "{}",
            blessed.text
        );
        assert_eq!(blessed.judgement.verdict, Standing::Fail);
        let kinds: Vec<ComplaintKind> = blessed
            .judgement
            .complaints
            .iter()
            .map(|of| of.kind)
            .collect();
        assert_eq!(kinds, [ComplaintKind::NotExercised; 2]);
        assert!(bless_of(Some(&blessed.text), &document).is_none());
    }

    #[test]
    fn facts_that_depend_on_the_time_are_not_recorded() {
        let mut document = sample::document();
        for (rule, fact) in [
            (RuleId::ReallocP0, "returns sometimes NULL, sometimes not"),
            (RuleId::CallocZeroSize, "sets errno at times"),
            (RuleId::PmaErrno, "posix_memalign leaves errno alone"),
            (RuleId::MemalignInvalid, "memalign refuses it"),
        ] {
            document.facts.insert(rule.to_string(), fact.into());
        }
        let blessed = bless_of(None, &document).expect("something was seen");
        let facts = Expectations::parse(&blessed.text).expect("sound").facts;
        assert_eq!(
            facts.into_keys().collect::<Vec<_>>(),
            [RuleId::MallocZeroChoice]
        );
    }
}
