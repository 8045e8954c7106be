//! System calls that fail on purpose, on the C library's own allocator, whose answers to that are known.

use crate::room::Room;
use std::ffi::OsStr;

/// The status of a replay of these operations.
fn replayed(operations: &[&str]) -> Option<i32> {
    let room = Room::new();
    let trace = room.path("case.trace");
    let text = ["# allocspec trace 1", "# rule oom-returns-null"]
        .iter()
        .chain(operations)
        .fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(&trace, text).expect("a trace in the room");
    let words = [
        OsStr::new("replay"),
        trace.as_os_str(),
        OsStr::new("system"),
    ];
    room.run(room.command(&words)).status
}

#[test]
fn the_system_calls_that_are_named_fail_and_no_others() {
    const REFUSED: &str = "p0 = malloc 1000000 expect NULL";
    const SERVED: &str = "p1 = malloc 1000000 expect pointer";
    // A block of this size is mapped, or, if that fails, taken from the data segment.
    for fails in [
        "fail syscall any from 1",
        "fail syscall mmap from 1\nfail syscall any from 1",
    ] {
        assert_eq!(replayed(&[fails, REFUSED]), Some(0), "{fails}");
        assert_eq!(
            replayed(&[fails, REFUSED, "fail syscall none", SERVED]),
            Some(0),
            "{fails}"
        );
    }
    for passes in [
        "fail syscall any 1",
        "fail syscall mmap from 1",
        "fail syscall any 100",
        "fail syscall munmap from 1",
        "fail syscall none",
    ] {
        assert_eq!(replayed(&[passes, REFUSED]), Some(1), "{passes}");
        assert_eq!(replayed(&[passes, SERVED]), Some(0), "{passes}");
    }
}

#[test]
fn a_report_says_what_failed() {
    let room = Room::new();
    let words = [
        "check",
        "system",
        "--rule",
        "oom-returns-null",
        "--time",
        "5s",
    ];
    let run = room.run(room.command(&words));
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let told = "system calls were made to fail on purpose";
    assert!(run.stdout.contains(told), "{}{}", run.stdout, run.stderr);
}
