//! The JSON Schema of the reports, made of the types and held equal to the published files.

use super::{Document, Entry};
use crate::report::json::{Failure, File, Gate};
use crate::report::{sample, sarif};
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::path::PathBuf;

fn published(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("conformance/schema")
        .join(name)
}

fn schema_of<T: schemars::JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// Compares, or with `ALLOCSPEC_BLESS` set writes, a published schema.
fn assert_published(name: &str, schema: &Value) {
    let path = published(name);
    let text = format!("{schema:#}\n");
    if std::env::var_os("ALLOCSPEC_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the schema can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == text,
        "{} is not what the types say: run the test with ALLOCSPEC_BLESS=1",
        path.display()
    );
}

fn assert_valid(schema: &Value, instance: &Value) {
    let validator = jsonschema::validator_for(schema).expect("a sound schema");
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_schema_of_a_report_is_published_and_reports_obey_it() {
    let schema = schema_of::<File<'_, Document>>();
    assert_published("report.schema.json", &schema);
    let document = serde_json::to_value(File::Report(sample::document()));
    let document = document.expect("documents are JSON");
    assert!(!document["findings"][0]["heap"].is_null());
    assert_valid(&schema, &document);

    // The schema would say so if a name were missing.
    let validator = jsonschema::validator_for(&schema).expect("a sound schema");
    let mut broken = document.clone();
    let findings = &mut broken["findings"][0];
    findings.as_object_mut().expect("an object").remove("rule");
    assert!(!validator.is_valid(&broken));
    let mut nonsense = document;
    nonsense["verdict"] = "error".into();
    assert!(!validator.is_valid(&nonsense));
}

#[test]
fn errors_obey_both_schemas() {
    let error = serde_json::to_value(File::<Document>::Failure(Failure::new("no")));
    let error = error.expect("an error is JSON");
    assert_valid(&schema_of::<File<'_, Document>>(), &error);
    assert_valid(&schema_of::<File<'_, Gate<'_>>>(), &error);
}

#[test]
fn the_schema_of_the_gate_is_published_and_reports_obey_it() {
    let schema = schema_of::<File<'_, Gate<'_>>>();
    assert_published("gate.schema.json", &schema);
    let entries = sample::entries();
    let gate = serde_json::to_value(File::Report(Gate::new(&entries)));
    let gate = gate.expect("documents are JSON");
    assert_valid(&schema, &gate);
    assert_eq!(gate["verdict"], "fail");
}

/// The schema as OASIS publishes it.
#[test]
fn sarif_obeys_its_schema() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/schema/sarif-2.1.0.json");
    let text = std::fs::read_to_string(path).expect("the schema is there");
    // A pattern in it closes a bracket that it never opened, which ECMA-262 forbids; no report names a language.
    let text = text.replace(
        "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$",
        "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$",
    );
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    for entries in [vec![Entry::of(sample::document())], sample::entries()] {
        let mut out = Vec::new();
        sarif::write(&entries, &mut out).expect("memory can be written");
        let log: Value = serde_json::from_slice(&out).expect("a log is JSON");
        assert_eq!(log["runs"][0]["results"].as_array().map(Vec::len), Some(3));
        assert_valid(&schema, &log);
    }
}
