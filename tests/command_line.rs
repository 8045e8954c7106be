//! The command line from outside: what goes where, and with which exit status.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, is_match};
use serde_json::Value;
use std::process::Stdio;

fn allocspec() -> Command {
    Command::cargo_bin("allocspec").expect("the program is built")
}

/// One line on standard error, nothing on standard output.
fn refused(arguments: &[&str], says: &str) {
    let one_line = is_match(r"\Aallocspec: [^\n]+\n\z").expect("a sound pattern");
    allocspec()
        .args(arguments)
        .assert()
        .code(2)
        .stdout("")
        .stderr(one_line.and(contains(says)));
}

#[test]
fn what_cannot_be_used_is_said_in_one_line() {
    refused(&["rules", "disjiont"], "did you mean disjoint");
    refused(&["rules", "--profile", "c18"], "c17");
    refused(&["check", "--time", "soon"], "10s");
    refused(&["check", "--prefix", "je_"], "path of a .so");
    refused(&["check", "./no-such-file.so"], "no-such-file.so");
    refused(&["check", "--layout", "3.99"], "3.15");
    refused(&["check", "system", "--layout", "3.9"], "--layout");
    refused(&["check", "--rule", "qqqqq"], "allocspec rules");
    refused(&["check", "--output", "/no/such/directory/x"], "--output");
    refused(&["replay", "no-such.trace"], "no-such.trace");
    refused(&["chek"], "check");
}

#[test]
fn errors_have_a_json_form() {
    for arguments in [
        &["check", "./no-such-file.so", "--format", "json"][..],
        &["check", "--format=json", "--time", "soon"],
    ] {
        let output = allocspec()
            .args(arguments)
            .assert()
            .code(2)
            .get_output()
            .stdout
            .clone();
        let value: Value = serde_json::from_slice(&output).expect("standard output is JSON");
        assert_eq!(value["verdict"], "error");
        assert_eq!(value["tool"], "allocspec");
        assert!(value["error"].is_string());
    }
}

#[test]
fn a_trace_with_an_error_names_its_line() {
    allocspec()
        .args(["replay", "-"])
        .write_stdin("# allocspec trace 1\np0 = malloc 10\nfree p1\n")
        .assert()
        .code(2)
        .stderr(contains("line 3"));
}

#[test]
fn rules_are_explained() {
    let explained = contains("calloc-wrap")
        .and(contains("source     "))
        .and(contains("checked    "));
    allocspec()
        .args(["rules", "calloc-wrap"])
        .assert()
        .code(0)
        .stdout(explained);
    let listed = contains("calloc-wrap").and(contains("align-pymalloc").not());
    allocspec()
        .args(["rules", "--profile", "c17"])
        .assert()
        .code(0)
        .stdout(listed);
    let json = allocspec()
        .args(["rules", "--format", "json"])
        .assert()
        .code(0)
        .get_output()
        .stdout
        .clone();
    let value: Value = serde_json::from_slice(&json).expect("standard output is JSON");
    assert!(value.as_array().is_some_and(|rules| rules.len() > 100));
}

#[test]
fn nothing_is_coloured_where_there_is_no_terminal() {
    allocspec()
        .arg("rules")
        .assert()
        .stdout(contains("\x1b").not());
    let forced = allocspec().arg("rules").env("CLICOLOR_FORCE", "1").assert();
    forced.stdout(contains("\x1b"));
}

#[test]
fn shells_and_man_are_served() {
    for shell in ["bash", "zsh", "fish"] {
        allocspec()
            .args(["completions", shell])
            .assert()
            .code(0)
            .stdout(contains("allocspec"));
    }
    allocspec()
        .arg("man")
        .assert()
        .code(0)
        .stdout(contains(".TH allocspec"));
    allocspec()
        .args(["man", "check"])
        .assert()
        .code(0)
        .stdout(contains("max\\-memory"));
    refused(&["man", "chek"], "no subcommand");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("allocspec"))
        .arg("rules")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::create("/dev/full").expect("Linux has /dev/full");
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("allocspec"))
        .arg("rules")
        .stdout(full)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        line.contains("standard output") && line.lines().count() == 1,
        "{line}"
    );
}

#[test]
fn a_replay_is_reported() {
    let trace = "# allocspec trace 1\np0 = malloc 100\nusable p0\nfree p0\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let report = directory.path().join("report.json");
    allocspec()
        .args(["replay", "-", "system", "--format", "json", "--output"])
        .arg(&report)
        .write_stdin(trace)
        .assert()
        .code(0)
        .stdout("");
    let text = std::fs::read(&report).expect("the report is where it was asked for");
    let value: Value = serde_json::from_slice(&text).expect("a report is JSON");
    assert_eq!(value["verdict"], "conformant");
    assert_eq!(value["subject"]["kind"], "system");

    let told = contains("usable-ge").and(contains("not exercised\n").not());
    allocspec()
        .args(["replay", "-", "system"])
        .write_stdin(trace)
        .assert()
        .code(0)
        .stdout(told.and(contains("conformant\n")));
}

/// Expects what the C library rightly does not do.
const BROKEN: &str =
    "# allocspec trace 1\n# rule calloc-wrap\np0 = malloc 100 expect NULL\nfree p0\n";

#[test]
fn findings_are_kept_and_confirmed_by_their_c_program() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("out");
    allocspec()
        .args(["replay", "-", "system", "--out"])
        .arg(&out)
        .write_stdin(BROKEN)
        .assert()
        .code(1)
        .stdout(contains(">> p0 = malloc 100 expect NULL").and(contains("nonconformant\n")));
    let trace = out.join("calloc-wrap.trace");
    allocspec()
        .arg("replay")
        .arg(&trace)
        .arg("system")
        .assert()
        .code(1);

    let program = directory.path().join("t");
    let mut cc = std::process::Command::new("cc");
    let Ok(status) = cc
        .arg(out.join("calloc-wrap.c"))
        .arg("-o")
        .arg(&program)
        .status()
    else {
        eprintln!("skipped: there is no `cc`");
        return;
    };
    assert!(status.success());
    Command::new(&program)
        .assert()
        .code(1)
        .stdout(contains("broken: malloc(100)"));
}

#[test]
fn where_files_cannot_be_written_is_found_out_before_the_check() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("a file can be written");
    allocspec()
        .args(["replay", "-", "system", "--out"])
        .arg(&file)
        .write_stdin(BROKEN)
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains("--out"));
}

#[test]
fn an_input_of_a_fuzz_target_becomes_a_program_of_its_rule() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let crash = directory.path().join("crash");
    let trace = "# allocspec trace 1\np1 = malloc 8\np0 = malloc 112\np0 = realloc p0 300\n";
    std::fs::write(&crash, trace).expect("a file can be written");
    let shrunk = "# allocspec trace 1\n# rule realloc-content: ";
    allocspec()
        .arg("trace")
        .arg(&crash)
        .args(["mutant:move-copies-short", "--time", "4s"])
        .assert()
        .success()
        .stdout(predicates::str::starts_with(shrunk).and(contains("malloc 8\n").not()));

    // Any other bytes are records.
    std::fs::write(&crash, [7; 400]).expect("a file can be written");
    allocspec()
        .arg("trace")
        .arg(&crash)
        .args(["--time", "2s"])
        .assert()
        .success()
        .stdout(predicates::str::starts_with("# allocspec trace 1\np0 = "))
        .stderr(contains("no rule is broken"));
    refused(&["trace", "./no-such-input"], "no-such-input");
}
