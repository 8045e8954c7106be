//! The table of CPython's behaviours says where each is put to the test, and all that it names is there.

use allocspec::spec::RuleId;
use allocspec::subject::mutants::Mutant;
use allocspec::{fuzz, lockstep};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Behaviour {
    id: String,
    says: String,
    #[serde(default)]
    rules: Vec<RuleId>,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    mutants: Vec<String>,
    #[serde(default)]
    lockstep: bool,
    none: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    behaviour: Vec<Behaviour>,
}

impl Behaviour {
    fn is_shown(&self) -> bool {
        let names = [&self.tests, &self.mutants];
        self.lockstep || !self.rules.is_empty() || names.iter().any(|names| !names.is_empty())
    }
}

/// A rule that is not in the catalogue cannot be read.
fn table() -> Vec<Behaviour> {
    let text = include_str!("../../conformance/behaviours.toml");
    let table: Table = toml::from_str(text).expect("a table");
    table.behaviour
}

/// Whether a file has a test of this name. Those of `golden` are listed once, and run in every layout.
fn has_test(place: &str) -> bool {
    let (file, name) = place.split_once("::").expect("file::test");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(root.join(file)).unwrap_or_default();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| {
        line.contains(&format!("fn {name}(")) || line.contains(&format!("fn {name}<"))
    }) else {
        return false;
    };
    let listed = include_str!("../../src/pymalloc/tests/golden.rs");
    let is_listed = || file.contains("/golden/") && listed.lines().any(|line| line.trim() == name);
    lines[at.saturating_sub(3)..at].contains(&"#[test]") || is_listed()
}

#[test]
fn every_behaviour_is_shown_or_says_why_not() {
    let mut seen = BTreeSet::new();
    for behaviour in table() {
        let id = &behaviour.id;
        assert!(seen.insert(id.clone()), "{id} stands there twice");
        assert!(behaviour.says.ends_with('.'), "{id} says nothing");
        match &behaviour.none {
            Some(reason) => assert!(!behaviour.is_shown() && reason.ends_with('.'), "{id}"),
            None => assert!(behaviour.is_shown(), "{id} is shown nowhere"),
        }
    }
    assert!(seen.len() > 200, "{} behaviours", seen.len());
}

#[test]
fn what_the_table_names_is_there() {
    let seeded: Vec<&str> = Mutant::seeded().map(Mutant::name).collect();
    let is_mutant = |name: &str| {
        seeded.contains(&name) || lockstep::is_mutant(name) || fuzz::is_debug_mutant(name)
    };
    for behaviour in table() {
        let id = &behaviour.id;
        for test in &behaviour.tests {
            assert!(has_test(test), "{id}: the test {test}");
        }
        for mutant in &behaviour.mutants {
            assert!(is_mutant(mutant), "{id}: the mutant {mutant}");
        }
    }
    assert!(!has_test("tests/suite/behaviours.rs::table"));
    assert!(!has_test("tests/suite/behaviours.rs::no_such_test"));
}
