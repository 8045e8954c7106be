//! The reference and real interpreters, address for address: Debian's, and any others that are found.

use crate::interpreters::managed;
use crate::room::{Room, Run, open_to_all, skip};
use std::fs;
use std::path::Path;

/// What ci/setup installs.
const DEBIAN: [&str; 2] = ["/usr/bin/python3", "/usr/bin/python3-dbg"];

fn lockstep(room: &Room, python: &Path, arguments: &[&str]) -> Run {
    let mut command = room.command(&["lockstep", "--python"]);
    command.arg(python).args(arguments);
    room.run(command)
}

#[track_caller]
fn assert_equal(python: &Path, arguments: &[&str]) {
    let run = lockstep(&Room::new(), python, arguments);
    assert_eq!(
        (run.status, run.stderr.as_str()),
        (Some(0), ""),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with("\nequal\n"), "{}", run.stdout);
}

#[test]
fn debians_interpreters_agree() {
    for python in DEBIAN {
        if Path::new(python).exists() {
            for seed in ["1", "2"] {
                assert_equal(Path::new(python), &["--seed", seed]);
            }
        } else {
            skip(&format!("{python} is not installed; ci/setup installs it"));
        }
    }
}

#[test]
fn other_interpreters_agree() {
    let found = managed();
    if found.is_empty() {
        println!("skipped: no interpreters but Debian's are here");
    }
    for python in found {
        if python.to_string_lossy().contains("/2.") {
            let run = lockstep(&Room::new(), &python, &[]);
            run.assert_usage_error(&["CPython 2.7", "3.5"]);
        } else {
            assert_equal(&python, &["--seed", "3"]);
        }
    }
}

#[test]
fn a_difference_is_told() {
    let python = Path::new(DEBIAN[0]);
    if !python.exists() {
        return skip("/usr/bin/python3 is not installed; ci/setup installs it");
    }
    // Debian 12 has CPython 3.11; 3.8 differs in the first arena that it asks for.
    let run = lockstep(&Room::new(), python, &["--ops", "5000", "--layout", "3.8"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(1), ""));
    for words in [
        "reference     CPython 3.8, layout p4k16",
        "different",
        "interpreter ",
        "returns +0x",
        "pool +0x",
    ] {
        assert!(
            run.stdout.contains(words),
            "no {words:?} in\n{}",
            run.stdout
        );
    }
}

#[test]
fn a_golden_trace_is_recorded_the_same_each_time() {
    let python = Path::new(DEBIAN[0]);
    if !python.exists() {
        return skip("/usr/bin/python3 is not installed; ci/setup installs it");
    }
    let room = Room::new();
    let texts = ["first", "second"].map(|name| {
        let file = room.path(name);
        let path = file.to_str().expect("a plain path");
        let run = lockstep(&room, python, &["--record", path, "--ops", "20000"]);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        fs::read_to_string(&file).expect("it was written")
    });
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0].lines().count(), 10);
}

#[test]
fn what_is_no_interpreter_is_refused_in_one_line() {
    let room = Room::new();
    let refuse = |text: &str, words: &[&str]| {
        let script = room.path(format!("fake-{}", text.len()));
        fs::write(&script, format!("#!/bin/sh\n{text}\n")).expect("room for a file");
        open_to_all(&script);
        lockstep(&room, &script, &[]).assert_usage_error(words);
    };
    refuse("exit 3", &["exited with status 3", "Python interpreter"]);
    refuse("kill -9 $$", &["killed by signal 9"]);
    refuse("echo one two", &["one two"]);
    refuse("echo 3.99.1", &["exited with status 0"]);
    refuse(
        "echo 'Fatal Python error: no such thing' >&2; exit 1",
        &["no such thing"],
    );
    lockstep(&room, Path::new("./none"), &[]).assert_usage_error(&["./none", "No such file"]);
}
