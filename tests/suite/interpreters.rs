//! The allocators of real Python interpreters: Debian's, and any others that are found.

use crate::report::{Report, operations, text};
use crate::room::{Room, Run, open_to_all, skip};
use allocspec::pymalloc::Version;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What ci/setup installs.
pub const PYTHON: &str = "/usr/bin/python3";
/// Its debug build.
pub const PYTHON_DEBUG: &str = "/usr/bin/python3-dbg";

/// Whether an interpreter is there; says that the test is skipped if not.
pub fn is_here(python: &str) -> bool {
    let here = Path::new(python).exists();
    if !here {
        skip(&format!("{python} is not installed; ci/setup installs it"));
    }
    here
}

/// CPythons under the home directory, where version managers put them.
pub fn managed() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let versions = fs::read_dir(home.join(".pyenv/versions"));
    let versions = versions.into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin/python"))
        .filter(|python| python.exists() && is_cpython(python))
        .collect();
    found.sort();
    found
}

/// Whether it is CPython, of a version that has been released: other implementations have allocators of their own.
fn is_cpython(python: &Path) -> bool {
    let told = told_by(
        python,
        "import platform, sys; print('%s %s' % (platform.python_implementation(), sys.version_info[3]))",
    );
    let released = told == "CPython final";
    if !released {
        println!("skipped: {} is {told}", python.display());
    }
    released
}

/// The version of an interpreter.
pub fn version_of(python: &Path) -> Version {
    let told = told_by(
        python,
        "import sys; print('%d.%d.%d' % sys.version_info[:3])",
    );
    told.parse().expect("a version")
}

/// What an interpreter prints that runs this.
fn told_by(python: &Path, program: &str) -> String {
    let output = Command::new(python).args(["-S", "-c", program]).output();
    let output = output.expect("the interpreter starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Debian's interpreter and any others that are found, with their versions.
pub fn every() -> Vec<(PathBuf, Version)> {
    let debians = is_here(PYTHON).then(|| PathBuf::from(PYTHON));
    let all = debians.into_iter().chain(managed());
    all.map(|python| {
        let version = version_of(&python);
        (python, version)
    })
    .collect()
}

/// Those with debug hooks to be had by `PYTHONMALLOC`.
pub fn with_hooks() -> Vec<(PathBuf, Version)> {
    let mut all = every();
    all.retain(|(_, version)| *version >= Version(3, 6, 0));
    all
}

/// An interpreter with a value of `PYTHONMALLOC`, to run a script.
pub fn scripted(python: &Path, malloc: &str, script: &str) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-s", "-S", "-c", script])
        .current_dir("/")
        .env("PYTHONMALLOC", malloc);
    command
}

fn run(room: &Room, python: &Path, arguments: &[&str]) -> Run {
    let mut command = room.command(&["check", "--format", "json", "--time", "3s", "--python"]);
    command.arg(python).args(arguments);
    room.run(command)
}

/// Checks an interpreter, which must be conformant, and gives the report.
#[track_caller]
fn assert_conformant(python: &Path, arguments: &[&str]) -> Report {
    let run = run(&Room::new(), python, arguments);
    assert_eq!(
        (run.status, run.stderr.as_str()),
        (Some(0), ""),
        "{python:?} {arguments:?}\n{}",
        run.stdout
    );
    Report::read(&run, false)
}

/// Every rule but the one about the first call, which an interpreter has made long ago, was seen to hold.
#[track_caller]
fn assert_all_pass(report: &Report) {
    for rule in report.rules() {
        let wanted = match rule["id"] == "first-call-any" {
            true => "not-applicable",
            false => "pass",
        };
        assert_eq!(rule["verdict"], wanted, "{rule}");
    }
}

#[track_caller]
fn assert_hidden(report: &Report, reason: &str) {
    for rule in ["threshold-512", "arena-size-exact", "class-index"] {
        let mut rules = report.rules().iter();
        let found = rules.find(|found| found["id"] == rule);
        let found = found.unwrap_or_else(|| panic!("no {rule}"));
        assert_eq!(found["verdict"], "not-applicable", "{found}");
        let told = found["reason"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn every_rule_holds_in_debians() {
    for domain in ["obj", "mem"] {
        if is_here(PYTHON) {
            let report = assert_conformant(Path::new(PYTHON), &["--domain", domain]);
            assert_eq!(report.json["subject"]["kind"], "interpreter");
            assert_all_pass(&report);
        }
        if is_here(PYTHON_DEBUG) {
            let arguments = ["--domain", domain, "--malloc", "pymalloc"];
            assert_all_pass(&assert_conformant(Path::new(PYTHON_DEBUG), &arguments));
        }
    }
}

#[test]
fn what_hides_the_sources_is_told() {
    if is_here(PYTHON) {
        let python = Path::new(PYTHON);
        for (arguments, reason) in [
            (["--domain", "raw"], "raw domain"),
            (["--malloc", "malloc"], "not pymalloc"),
            (["--malloc", "debug"], "debug hooks"),
            (["--malloc", "malloc_debug"], "debug hooks"),
        ] {
            assert_hidden(&assert_conformant(python, &arguments), reason);
        }
    }
    if is_here(PYTHON_DEBUG) {
        assert_hidden(
            &assert_conformant(Path::new(PYTHON_DEBUG), &[]),
            "debug hooks",
        );
    }
}

#[test]
fn other_interpreters_conform() {
    let found = managed();
    if found.is_empty() {
        println!("skipped: no interpreters but Debian's are here");
    }
    for python in found {
        let report = assert_conformant(&python, &["--seed", "2"]);
        // Between these versions it exports how many blocks are live.
        let counts = (Version(3, 4, 0)..Version(3, 12, 0)).contains(&version_of(&python));
        let unseen: &[&str] = match counts {
            true => &["first-call-any"],
            false => &[
                "first-call-any",
                "realloc-never-free",
                "realloc-count-neutral",
            ],
        };
        for rule in report.rules() {
            let seen = !unseen.contains(&text(rule, "id"));
            assert_eq!(rule["verdict"] == "pass", seen, "{python:?} {rule}");
        }
        if version_of(&python) < Version(3, 6, 0) {
            run(&Room::new(), &python, &["--malloc", "debug"])
                .assert_usage_error(&["PYTHONMALLOC", "leave --malloc out"]);
        }
    }
}

#[test]
fn every_domain_has_its_verdict() {
    if !is_here(PYTHON) {
        return;
    }
    let room = Room::new();
    let run = |arguments: &[&str]| run(&room, Path::new(PYTHON), arguments);
    let all = run(&["--domain", "all"]);
    assert_eq!((all.status, all.stderr.as_str()), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_str(&all.stdout).expect("JSON");
    assert_eq!(report["verdict"], "pass");
    let subjects = report["subjects"].as_array().expect("subjects");
    let told = subjects.iter().map(|subject| {
        let note = &subject["report"]["subject"]["notes"][0];
        (
            subject["name"].as_str().unwrap_or_default(),
            subject["report"]["verdict"].as_str().unwrap_or_default(),
            note.as_str().unwrap_or_default(),
        )
    });
    for ((name, verdict, note), (domain, functions)) in told.zip([
        ("raw", "PyMem_Raw*"),
        ("mem", "PyMem_*"),
        ("obj", "PyObject_*"),
    ]) {
        assert_eq!(name, format!("{PYTHON} {domain}"));
        assert_eq!(verdict, "conformant");
        assert!(note.contains(functions), "{note}");
    }
    assert_eq!(subjects.len(), 3);
}

/// An interpreter over a C library that is wrong has a wrong allocator.
#[test]
fn a_faulty_interpreter_is_found_and_replayed() {
    if !is_here(PYTHON) {
        return;
    }
    let room = Room::new();
    let Some(beneath) = room.compile("beneath/calloc_dirty") else {
        return;
    };
    let python = room.path("python");
    let script = format!("#!/bin/sh\nLD_PRELOAD=\"$BENEATH\" exec {PYTHON} \"$@\"\n");
    fs::write(&python, script).expect("room for a file");
    open_to_all(&python);
    let out = room.path("out");
    let check = |arguments: &[&str]| {
        let mut command = room.command(arguments);
        command
            .arg("--python")
            .arg(&python)
            .env("BENEATH", &beneath);
        room.run(command)
    };
    let out_text = out.to_str().expect("a plain path");
    let first = check(&[
        "check", "--format", "json", "--time", "3s", "--out", out_text,
    ]);
    assert_eq!(first.status, Some(1), "{}\n{}", first.stdout, first.stderr);
    let report = Report::read(&first, false);
    let finding = report.expect(&["calloc-zero"]);
    assert!(finding["c"].is_null());
    assert_eq!(operations(text(finding, "program")), 1, "{finding}");
    let trace = out.join("calloc-zero.trace");
    let trace = trace.to_str().expect("a plain path");
    let replay = ["replay", trace, "--format", "json", "--rule", "calloc-zero"];
    let again = check(&replay);
    assert_eq!(again.status, Some(1), "{}\n{}", again.stdout, again.stderr);
    check(&[&replay[..], &["--domain", "all"]].concat()).assert_usage_error(&["one domain"]);
    fs::remove_dir_all(out).expect("it was made");
}

#[test]
fn what_cannot_be_checked_is_refused_in_one_line() {
    let room = Room::new();
    let refuse = |text: &str, words: &[&str]| {
        let script = room.path(format!("fake-{}", text.len()));
        fs::write(&script, format!("#!/bin/sh\n{text}\n")).expect("room for a file");
        open_to_all(&script);
        run(&room, &script, &[]).assert_usage_error(words);
    };
    refuse("exit 3", &["exited with status 3", "Python interpreter"]);
    refuse("kill -9 $$", &["killed by signal 9"]);
    refuse("echo one two; exit 1", &["one two"]);
    refuse("exit 0", &["exited with status 0"]);
    refuse(
        "echo 'Fatal Python error: no such thing' >&2; exit 1",
        &["no such thing"],
    );
    run(&room, Path::new("./none"), &[]).assert_usage_error(&["./none", "No such file"]);
    if is_here(PYTHON) {
        let python = Path::new(PYTHON);
        run(&room, python, &["--malloc", "nonsense"]).assert_usage_error(&["PYTHONMALLOC"]);
        run(&room, python, &["--domain", "any"]).assert_usage_error(&["raw, mem, obj or all"]);
        run(&room, python, &["--layout", "3.9"]).assert_usage_error(&["--layout"]);
        // An interpreter without ctypes.
        refuse(
            "cd / && exec /usr/bin/python3 -c 'import sys
sys.modules[\"ctypes\"] = None
sys.argv = sys.argv[4:]
exec(sys.argv[0])' \"$@\"",
            &["no ctypes"],
        );
    }
}
