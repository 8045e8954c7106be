//! The gate, from a broken library to a red gate and back to a green one; and the forms of its report.

use crate::interpreters::{PYTHON, is_here};
use crate::room::{Room, Run};
use serde_json::Value;
use std::fs;
use std::path::Path;

const GATE: &str =
    "time = 3\n[[subject]]\nname = \"mine\"\nsubject = \"libmine.so\"\npackage = \"libmine1\"\n";

/// Runs the gate in `gate.toml` of the room.
fn gate(room: &Room, arguments: &[&str]) -> Run {
    let mut command = room.command(&["gate"]);
    command.arg(room.path("gate.toml")).args(arguments);
    room.run(command)
}

fn assert_gate(run: &Run, status: i32, says: &[&str]) {
    let text = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.status, Some(status), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    for words in says {
        assert!(line.contains(words), "{words}\n{text}");
    }
}

/// Puts a library in the place of the one that the gate names.
fn install(room: &Room, source: &str) -> Option<()> {
    let library = room.compile(source)?;
    fs::rename(library, room.path("libmine.so")).expect("the library can be moved");
    Some(())
}

#[test]
fn red_on_a_broken_library_green_when_blessed_red_when_mended() {
    let room = Room::new();
    fs::write(room.path("gate.toml"), GATE).expect("room for a file");

    assert_gate(
        &gate(&room, &[]),
        0,
        &["skipped", "apt-get install libmine1"],
    );
    assert_gate(&gate(&room, &["--require"]), 1, &["libmine1", "fail"]);

    let Some(()) = install(&room, "faulty/calloc_wraps") else {
        return;
    };
    let run = gate(&room, &[]);
    assert_gate(
        &run,
        1,
        &[
            "FAIL calloc-wrap",
            "calloc-wrap is broken, which",
            "1 not as expected",
        ],
    );
    let last = run.stdout.lines().last().unwrap_or_default();
    assert!(last.ends_with("fail"), "{last}");

    assert_gate(
        &gate(&room, &["--bless"]),
        0,
        &["blessed mine", "+ calloc-wrap: accepted as broken"],
    );
    let expectations = room.path("expectations/mine.toml");
    let blessed = fs::read_to_string(&expectations).expect("expectations were written");
    assert!(
        blessed.contains("rule = \"calloc-wrap\"\nreason = \"\"\n"),
        "{blessed}"
    );
    assert_gate(&gate(&room, &[]), 0, &["pass", "1 as expected"]);

    let fact = "malloc-zero-choice = \"malloc(0) returns a unique pointer\"";
    assert!(blessed.contains(fact), "{blessed}");
    let changed = blessed.replace(fact, "malloc-zero-choice = \"malloc(0) returns NULL\"");
    fs::write(&expectations, changed).expect("room for a file");
    assert_gate(
        &gate(&room, &[]),
        1,
        &["has \"malloc(0) returns NULL\", seen was \"malloc(0) returns a unique pointer\""],
    );

    fs::write(&expectations, &blessed).expect("room for a file");
    install(&room, "odd/plain").expect("a compiler");
    assert_gate(&gate(&room, &[]), 1, &["calloc-wrap now passes: remove it"]);
    fs::write(
        &expectations,
        blessed.replace("reason = \"\"", "reason = \"rare\"\nflaky = 0.1"),
    )
    .expect("room for a file");
    assert_gate(&gate(&room, &[]), 0, &["1 as expected"]);

    fs::write(room.path("libmine.so"), "no library").expect("room for a file");
    assert_gate(
        &gate(&room, &[]),
        2,
        &["ERROR", "could not be checked: mine"],
    );
}

/// Subjects by path and by name, one that is not there, and one that does not start.
#[test]
fn interpreters_are_subjects_too() {
    if !is_here(PYTHON) {
        return;
    }
    let room = Room::new();
    let write = |text: &str| fs::write(room.path("gate.toml"), text).expect("room for a file");
    let mem = "time = 2\n[[subject]]\nname = \"mem\"\npython = \"python3\"\ndomain = \"mem\"\n";
    let none = "[[subject]]\nname = \"none\"\npython = \"./python3\"\npackage = \"python4\"\n";
    write(&format!("{mem}{none}"));
    let report = room.path("gate.json");
    let form = format!("json={}", report.display());
    assert_gate(
        &gate(&room, &["--format", &form]),
        0,
        &["not installed: apt-get install python4", "skipped"],
    );
    let report = json(&report);
    let subjects = report["subjects"].as_array().expect("subjects");
    let subject = &subjects[0]["report"]["subject"];
    assert_eq!(subject["kind"], "interpreter", "{subject}");
    let note = subject["notes"][0].as_str().unwrap_or_default();
    assert!(note.contains("PyMem_*"), "{subject}");

    write(&format!("{mem}malloc = \"nonsense\"\n"));
    assert_gate(&gate(&room, &[]), 2, &["PYTHONMALLOC", "checked: mem"]);
    write(&mem.replace("\"mem\"\n", "\"all\"\n"));
    gate(&room, &[]).assert_usage_error(&["subject all", "`domain`", "raw, mem or obj"]);
}

#[test]
fn files_that_cannot_be_used_are_one_line() {
    let room = Room::new();
    let refused = |words: &[&str]| gate(&room, &[]).assert_usage_error(words);
    refused(&["gate.toml", "give the path of a gate file"]);
    fs::write(room.path("gate.toml"), "[[subject]]\nnme = \"x\"\n").expect("room for a file");
    refused(&["gate.toml", "line 2", "nme"]);
    fs::write(room.path("gate.toml"), GATE.replace("libmine.so", "system")).expect("a file");
    let expectations = room.path("gate.toml").with_file_name("expectations");
    fs::create_dir(&expectations).expect("a new directory");
    fs::write(
        expectations.join("mine.toml"),
        "[[deviation]]\nrule = \"x\"\nreason = \"\"\n",
    )
    .expect("room for a file");
    refused(&["mine.toml", "line 2"]);
    gate(&room, &["--only", "yours"]).assert_usage_error(&["yours", "mine"]);
    gate(&room, &["--shard", "3/2"]).assert_usage_error(&["--shard", "1/3"]);
    gate(&room, &["--format", "json=x", "--format", "html=x"])
        .assert_usage_error(&["x", "file of its own"]);
    gate(&room, &["--format", "json", "--format", "html"]).assert_usage_error(&["two forms"]);
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn assert_valid(schema: &str, instance: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(schema);
    let text = fs::read_to_string(path).expect("the schema is there");
    // A pattern in that of SARIF closes a bracket that it never opened; no report names a language.
    let text = text.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$");
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a sound schema");
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn one_check_in_every_form() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/realloc_frees_on_failure") else {
        return;
    };
    let forms = ["json", "junit", "sarif", "markdown", "html"];
    let mut command = room.command(&["check"]);
    command.arg(&library).args(["--time", "4s"]);
    for form in forms {
        let file = room.path(format!("report.{form}"));
        command.args(["--format", &format!("{form}={}", file.display())]);
    }
    let run = room.run(command);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(
        run.stdout.contains("FAIL  realloc-fail-keeps"),
        "{}",
        run.stdout
    );

    let report = json(&room.path("report.json"));
    assert_valid("conformance/schema/report.schema.json", &report);
    assert!(
        report["findings"]
            .as_array()
            .is_some_and(|findings| !findings.is_empty())
    );
    let sarif = json(&room.path("report.sarif"));
    assert_valid("tests/schema/sarif-2.1.0.json", &sarif);
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert!(
        results
            .iter()
            .any(|result| result["ruleId"] == "realloc-fail-keeps")
    );
    for (form, says) in [
        ("junit", "<testcase name=\"realloc-fail-keeps\""),
        ("markdown", "FAIL <code>realloc-fail-keeps</code>"),
        ("html", "id=\"s0-realloc-fail-keeps\""),
    ] {
        let text = fs::read_to_string(room.path(format!("report.{form}"))).expect("a report");
        assert!(text.contains(says), "{form}\n{text}");
    }

    let file = room.path("report.json");
    let mut same = room.command(&["diff"]);
    same.arg(&file).arg(&file);
    let same = room.run(same);
    assert_eq!(same.status, Some(0), "{}", same.stderr);
    assert!(same.stdout.ends_with("no worse\n"), "{}", same.stdout);
    let mut none = room.command(&["diff"]);
    none.arg(&file).arg(room.path("report.html"));
    room.run(none)
        .assert_usage_error(&["report.html", "no report of a check"]);
}

/// The script of the GitHub Action, as its workflow calls it.
#[test]
fn the_action_writes_its_reports() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/calloc_wraps") else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/action");
    let known = room.path("known.toml");
    let act = |expectations: &Path, time: &str| {
        let mut command = std::process::Command::new("bash");
        room.furnish(&mut command);
        command
            .arg(&script)
            .env("ALLOCSPEC", env!("CARGO_BIN_EXE_allocspec"))
            .env("SUBJECT", &library)
            .env("PROFILE", "c17")
            .env("EXPECTATIONS", expectations)
            .env("SECONDS_EACH", time)
            .env("OUTPUT", room.path("reports"))
            .env("GITHUB_OUTPUT", room.path("output"))
            .env("GITHUB_STEP_SUMMARY", room.path("summary"));
        let run = room.run(command);
        (run.status, format!("{}{}", run.stdout, run.stderr))
    };
    for time in ["", "2m"] {
        let (status, text) = act(Path::new(""), time);
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains("give a number of seconds"), "{text}");
    }
    let (status, text) = act(Path::new(""), "3");
    assert_eq!(status, Some(1), "{text}");
    let output = fs::read_to_string(room.path("output")).expect("outputs were set");
    for line in output.lines() {
        let (name, file) = line.split_once('=').expect("NAME=FILE");
        assert!(Path::new(file).is_file(), "{name} is {file}");
    }
    assert!(
        output.contains("junit=") && output.contains("sarif="),
        "{output}"
    );
    let summary = fs::read_to_string(room.path("summary")).expect("a summary");
    assert!(
        summary.contains("FAIL <code>calloc-wrap</code>"),
        "{summary}"
    );
    assert!(room.path("reports/findings/calloc-wrap.c").is_file());

    let text = "[[deviation]]\nrule = \"calloc-wrap\"\nreason = \"known\"\n";
    fs::write(&known, text).expect("room for a file");
    let (status, text) = act(&known, "3");
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("1 as expected"), "{text}");
    fs::write(&known, "").expect("room for a file");
    assert_eq!(act(&known, "3").0, Some(1));
}
