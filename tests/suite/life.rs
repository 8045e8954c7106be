//! What a process may meet with, in programs written by hand: on allocators that are sound nothing shows, on others what
//! is wrong with them.

use crate::report::{Report, assert_c_program, operations, text, trace_file};
use crate::room::{BUDGET, Room};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// Hangs take their time.
const PATIENT: Duration = Duration::from_secs(20);

/// The replay of these operations on a subject.
fn replay(subject: &OsStr, rule: &str, operations: &str) -> Report {
    let lines = format!("# rule {rule}\n{operations}");
    Room::new().replay(subject, &lines, &["--time", "10s"])
}

#[test]
fn a_child_has_a_heap_of_its_own() {
    let operations = "p0 = malloc 100\np1 = malloc 100\nfork\nfree p0\np2 = malloc 100\np1 = realloc p1 4000\nwait\n\
                      p2 = malloc 100\nfree p0\nfree p1";
    let report = replay("system".as_ref(), "fork-st", operations);
    assert!(report.findings().is_empty(), "{}", report.summary());
    assert!(report.ops() >= 10, "both sides are run");
    let room = Room::new();
    if let Some(library) = room.compile("faulty/shared_with_children") {
        replay(library.as_os_str(), "fork-st", operations).expect(&["fork-st"]);
    }
}

/// What the child stores in the blocks it has from its parent is seen there only if they are no copies.
#[test]
fn blocks_that_only_the_child_stores_in_stay_as_they_are() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/shares_large_with_children") else {
        return;
    };
    let out = room.path("out");
    let out = out.to_str().expect("a plain path");
    let report = room.check(&library, &["--rule", "fork-st", "--out", out]);
    let finding = report.expect(&["fork-st"]);
    let trace = trace_file(finding).expect("a trace");
    let written = text(finding, "program");
    assert!(operations(written) < 10, "{written}");
    let c = trace.with_extension("c");
    assert_c_program(&room, &c, Some(&library), true);
    let plain = room.compile("odd/plain").expect("a compiler");
    assert_c_program(&room, &c, Some(&plain), false);
}

#[test]
fn what_breaks_without_a_fork_as_well_is_not_laid_to_it() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/wipes_neighbour") else {
        return;
    };
    let report = room.check(&library, &["--rule", "fork-st", "--rule", "content-stable"]);
    report.expect(&["content-stable"]);
    let verdict = report.verdict_of("fork-st");
    assert_eq!(verdict, "not-applicable", "{}", report.summary());
}

/// The end of the child is that of the program, however it comes.
#[test]
fn the_fate_of_a_child_is_told() {
    for (name, wanted) in [
        ("hostile/crashes", "call-returns"),
        ("hostile/deadlocks", "call-returns"),
    ] {
        let room = Room::new();
        let Some(library) = room.compile(name) else {
            return;
        };
        let run = |operations: &str| replay(library.as_os_str(), "fork-st", operations);
        let plain = "p0 = malloc 100\nfree p0\nrepeat 5000 x 2";
        run(plain).expect(&[wanted]);
        let report = run(&format!("fork\n{plain}\nwait\np0 = malloc 100"));
        assert!(
            !report.findings().is_empty(),
            "{name}: {}",
            report.summary()
        );
    }
}

#[test]
fn a_child_made_among_threads_may_find_the_lock_taken() {
    let operations =
        "p0 = malloc 100\nunder threads 4\nfork\nfree p0\np1 = malloc 100\nwait\nrepeat 40 x 4";
    let report = replay("system".as_ref(), "fork-mt-child", operations);
    assert!(report.findings().is_empty(), "{}", report.summary());
    let room = Room::new();
    if let Some(library) = room.compile("faulty/ignores_forks") {
        replay(library.as_os_str(), "fork-mt-child", operations).expect(&["fork-mt-child"]);
    }
}

/// Nothing can be checked in children of a process that hangs at its second fork.
#[test]
fn a_process_may_fork_but_once() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/keeps_lock_in_parent") else {
        return;
    };
    let report = room.check_for(
        PATIENT,
        &library,
        &["--rule", "fork-st", "--rule", "calloc-zero"],
    );
    report.expect(&["fork-st"]);
    assert_eq!(
        report.verdict_of("calloc-zero"),
        "pass",
        "{}",
        report.summary()
    );
}

/// Whether the call hangs depends on where the blocks lie, which any circumstance changes.
#[test]
fn one_hang_is_not_laid_to_many_circumstances() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/resize_keeps_lock") else {
        return;
    };
    let report = room.check_for(PATIENT, &library, &[]);
    report.expect(&["call-returns"]);
    for rule in ["signal-interrupt", "closed-descriptors", "stack-small"] {
        assert_ne!(report.verdict_of(rule), "fail", "{}", report.summary());
    }
}

/// A fork among threads that never returns is told as what it is, on the side that does not return.
#[test]
fn a_fork_may_hang_itself() {
    let operations = "p0 = malloc 100\nunder threads 4\nfork\nfree p0\nwait\nrepeat 2000 x 3";
    let report = replay("system".as_ref(), "fork-mt-parent", operations);
    assert!(report.findings().is_empty(), "{}", report.summary());
    let room = Room::new();
    if let Some(library) = room.compile("faulty/locks_in_two_orders") {
        let report = replay(library.as_os_str(), "fork-mt-parent", operations);
        let finding = report.expect(&["fork-mt-parent"]);
        assert!(finding.to_string().contains("inside fork"), "{finding}");
    }
}

/// Few threads have blocks that large, and few of the children.
#[test]
fn a_lock_of_large_blocks_alone_may_be_taken_as_well() {
    let operations = "under threads 4\nfork\np0 = malloc 4000000\nfree p0\nwait\nrepeat 500 x 4";
    let room = Room::new();
    if let Some(library) = room.compile("faulty/large_lock_ignores_forks") {
        replay(library.as_os_str(), "fork-mt-child", operations).expect(&["fork-mt-child"]);
    }
}

#[test]
fn what_was_measured_is_told() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/leaks_slowly") else {
        return;
    };
    let report = room.check_for(BUDGET, &library, &["--rule", "bounded-steady"]);
    let series = &report.expect(&["bounded-steady"])["series"];
    let values = |name: &str| series[name].as_array().expect("a list").len();
    assert_eq!(series["grows"], "resident");
    assert!(values("resident") >= 20 && values("resident") == values("mapped"));
}

#[test]
fn circumstances_change_nothing_for_the_c_library() {
    for (circumstances, rule) in [
        ("signals 100", "signal-interrupt"),
        ("cancellation", "not-cancellation-point"),
        ("stack 65536", "stack-small"),
        ("closed descriptors", "closed-descriptors"),
        ("exit", "atexit-use"),
        ("destructors", "atexit-use"),
        ("exit\nunder destructors", "atexit-use"),
        ("destructors\nunder exit", "atexit-use"),
        ("spawns 100", "vfork-spawn"),
        ("constructor", "ctor-use"),
    ] {
        let operations = format!(
            "under {circumstances}\np0 = malloc 100\np1 = calloc 1000 1000\nfree p0\nfree p1\n\
             repeat 200 x 4"
        );
        let report = replay("system".as_ref(), rule, &operations);
        assert!(report.findings().is_empty(), "{}", report.summary());
        assert_eq!(report.verdict_of(rule), "pass", "{}", report.summary());
    }
    assert!(Path::new("/proc").exists(), "hidden from one process alone");
}

/// In pages of large blocks that cannot be written the process dies under any circumstances.
#[test]
fn an_ordinary_fault_is_not_laid_to_circumstances() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/last_page_unwritable") else {
        return;
    };
    let circumstances = [
        "fork-st",
        "signal-interrupt",
        "not-cancellation-point",
        "stack-small",
        "closed-descriptors",
        "no-proc",
        "atexit-use",
    ];
    let mut options = vec!["--rule", "alloc-nonnull-usable"];
    for rule in circumstances {
        options.extend(["--rule", rule]);
    }
    let report = room.check_for(BUDGET, &library, &options);
    report.expect(&["alloc-nonnull-usable"]);
    for rule in circumstances {
        assert_ne!(report.verdict_of(rule), "fail", "{}", report.summary());
    }
}

#[test]
fn who_gives_up_when_a_signal_comes_is_found() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/gives_up_when_interrupted") else {
        return;
    };
    let operations = "p0 = malloc 1000000\nfree p0\nunder signals 100\np0 = malloc 1000000 expect as earlier\n\
                      free p0\nrepeat 300 x 2";
    let report = replay(library.as_os_str(), "signal-interrupt", operations);
    report.expect(&["signal-interrupt"]);
}

/// One that sees to it that nobody is told how its children end, and that crashes in them.
#[test]
fn the_fate_of_a_child_is_told_of_whom_ignores_children() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/crashes_in_children") else {
        return;
    };
    let operations = "p0 = malloc 12345\nfork\np1 = malloc 100\nwait\nfree p0";
    replay(library.as_os_str(), "fork-st", operations).expect(&["fork-st"]);
}

/// Other threads make the calls that there are.
#[test]
fn threads_beside_a_program_ask_for_no_call_that_is_missing() {
    let room = Room::new();
    let flags = [
        "-DPREFIX=my_",
        "-DOMIT_CALLOC",
        "-DOMIT_REALLOC",
        "-DOMIT_MEMALIGN",
    ];
    let Some(library) = room.compile_with("odd/plain", &flags) else {
        return;
    };
    let lines = "# rule fork-mt-child\np0 = malloc 100\nunder threads 4\nfork\np1 = malloc 100\nwait\n\
                 repeat 40 x 3\nfree p0";
    let report = room.replay(&library, lines, &["--map", "malloc=my_malloc,free=my_free"]);
    assert!(report.findings().is_empty(), "{}", report.summary());
    assert_eq!(
        report.verdict_of("fork-mt-child"),
        "pass",
        "{}",
        report.summary()
    );
}

/// Without the circumstances both are sound.
#[test]
fn who_breaks_as_programs_start_is_found() {
    // It takes a moment of two threads: programs start often enough for a busy machine to show it.
    for (name, circumstances, rule, rounds) in [
        ("spawn_reuses", "spawns 100", "vfork-spawn", 2_000_000),
        ("needs_constructor", "constructor", "ctor-use", 100),
    ] {
        let room = Room::new();
        let Some(library) = room.compile(&format!("faulty/{name}")) else {
            return;
        };
        let body = format!(
            "p0 = malloc 12345\np1 = malloc 100\np2 = malloc 100\nfree p0\nfree p1\nfree p2\nrepeat {rounds} x 6"
        );
        let report = replay(library.as_os_str(), rule, &body);
        assert!(report.findings().is_empty(), "{}", report.summary());
        let operations = format!("under {circumstances}\n{body}");
        replay(library.as_os_str(), rule, &operations).expect(&[rule]);
    }
}

#[test]
fn constructors_come_first_only_where_the_subject_is_loaded_with_the_program() {
    let room = Room::new();
    let Some(library) = room.compile_with("odd/plain", &["-DPREFIX=my_"]) else {
        return;
    };
    let report = room.check(&library, &["--prefix", "my_", "--rule", "ctor-use"]);
    assert_eq!(
        report.verdict_of("ctor-use"),
        "not-applicable",
        "{}",
        report.summary()
    );
}

/// What is wrong with each shows in the phase of a process's life that the rule is about.
#[test]
fn who_breaks_late_or_while_it_waits_is_found() {
    for (name, rule) in [
        ("closes_in_destructor", "atexit-use"),
        ("sleeps_when_refused", "not-cancellation-point"),
        ("sixty_four_threads", "thread-safe"),
        ("gives_up_when_busy", "thread-safe"),
    ] {
        let room = Room::new();
        let Some(library) = room.compile(&format!("faulty/{name}")) else {
            return;
        };
        room.check(&library, &["--rule", rule]).expect(&[rule]);
    }
}
