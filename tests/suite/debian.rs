//! Allocators as Debian builds them. Each broken rule is confirmed by its own C program; the rules named here were seen
//! broken by hand, apart from the harness, in the versions of Debian 12.

use crate::report::{Report, assert_c_program, text, trace_file};
use crate::room::{Room, skip};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

const TIME: Duration = Duration::from_secs(4);

/// Checks a library, or the C library's own allocator, and confirms every finding.
fn check(subject: &str, known: &[&str]) {
    let library = Some(Path::new(subject)).filter(|path| path.is_absolute());
    if library.is_some_and(|library| !library.exists()) {
        skip(&format!("{subject} is not installed; ci/setup installs it"));
        return;
    }
    let room = Room::new();
    let out = room.path("out");
    let report = room.check_for(
        TIME,
        subject,
        &["--out", out.to_str().expect("a plain path")],
    );
    report.assert_went_on();
    for rule in known {
        report.expect(&[rule]);
    }
    let mut confirmed = 0;
    for finding in report.findings() {
        let rule = text(finding, "rule");
        // Warnings under scarce memory depend on how much of it a process starts with, and on clocks: mimalloc, jemalloc
        // and tcmalloc give some that not every new process shows.
        if text(finding, "level") != "must" {
            continue;
        }
        let trace = trace_file(finding);
        if let Some(trace) = &trace {
            assert_replays(&room, subject, trace, rule);
        }
        if finding["c"].is_string() {
            let c = trace.unwrap_or_else(|| out.join(rule)).with_extension("c");
            assert_c_program(&room, &c, library, true);
            confirmed += 1;
        }
    }
    assert!(
        confirmed > 0 || known.is_empty(),
        "no finding came with a C program: {}",
        report.summary()
    );
}

fn assert_replays(room: &Room, subject: &str, trace: &Path, rule: &str) {
    let mut replay = room.command(&[OsStr::new("replay"), trace.as_os_str(), OsStr::new(subject)]);
    replay.args(["--format", "json"]);
    Report::read(&room.run(replay), false).expect(&[rule]);
}

#[test]
fn glibc() {
    check("system", &["aligned-alloc-invalid"]);
}

#[test]
fn jemalloc() {
    check(
        "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
        &["malloc-errno", "memalign-errno"],
    );
}

#[test]
fn tcmalloc() {
    check(
        "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
        &["malloc-errno", "aligned-alloc-invalid", "huge-must-fail"],
    );
}

#[test]
fn mimalloc() {
    check(
        "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2",
        &["malloc-errno", "memalign-errno"],
    );
}

#[test]
fn tbbmalloc() {
    check("/usr/lib/x86_64-linux-gnu/libtbbmalloc_proxy.so.2", &[]);
}

#[test]
fn dmalloc() {
    check(
        "/usr/lib/x86_64-linux-gnu/libdmalloc.so.5",
        &["calloc-wrap", "malloc-errno"],
    );
}

#[test]
fn scudo() {
    check(
        "/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.scudo_standalone-x86_64.so",
        &[
            "aligned-alloc-nonmultiple",
            "memalign-errno",
            "oom-returns-null",
        ],
    );
}
