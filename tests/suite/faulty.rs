//! Allocators with one fault each, written independently of the built-in mutants. Each must be found by the right rule,
//! shrunk to a few operations, and shown again by `replay` and by the C program.

use crate::report::{Report, assert_c_program, operations, text, trace_file};
use crate::room::{BUDGET, Room};
use std::ffi::OsStr;
use std::time::Duration;

/// How many operations a shrunk finding may have.
#[derive(Clone, Copy)]
enum Length {
    /// Fewer than ten.
    Short,
    /// As many as the fault needs to come about.
    Long,
}

/// Checks `subjects/faulty/NAME.c`; one of `rules` must be found broken.
fn breaks(name: &str, rules: &[&str], length: Length) {
    let room = Room::new();
    let Some(library) = room.compile(&format!("faulty/{name}")) else {
        return;
    };
    let out = room.path("out");
    let report = room.check(&library, &["--out", out.to_str().expect("a plain path")]);
    let finding = report.expect(rules);
    let rule = text(finding, "rule");
    let trace = trace_file(finding).expect("a trace");
    assert!(trace.starts_with(&out), "{finding}");
    let written = std::fs::read_to_string(&trace).expect("the trace was written");
    assert_eq!(written, text(finding, "program"));
    if let Length::Short = length {
        assert!(operations(&written) < 10, "{written}");
    }

    let mut replay = room.command(&[OsStr::new("replay"), trace.as_os_str(), library.as_os_str()]);
    replay.args([
        "--format",
        "json",
        "--time",
        &format!("{}ms", BUDGET.as_millis()),
    ]);
    let run = room.run(replay);
    run.assert_in_time(BUDGET);
    Report::read(&run, false).expect(&[rule]);

    let c = trace.with_extension("c");
    let source = std::fs::read_to_string(&c).expect("the C program was written");
    assert_eq!(Some(source.as_str()), finding["c"].as_str());
    assert_c_program(&room, &c, Some(&library), true);
    let plain = room.compile("odd/plain").expect("a compiler");
    assert_c_program(&room, &c, Some(&plain), false);
}

macro_rules! faulty {
    ($($name:ident breaks $($rule:literal)|+, $length:ident;)*) => {
        $(#[test] fn $name() { breaks(stringify!($name), &[$($rule),+], Length::$length); })*
    };
}

faulty! {
    issues_twice breaks "distinct-nonzero" | "disjoint", Long;
    rounds_down breaks "disjoint", Short;
    footer_in_block breaks "metadata-inviolate", Short;
    wipes_neighbour breaks "content-stable", Long;
    never_frees breaks "free-makes-available", Long;
    shared_with_children breaks "fork-st", Short;
    maps_by_file breaks "not-cancellation-point", Short;
    size_in_32_bits breaks "alloc-nonnull-usable" | "size-boundaries", Short;
    keeps_lock breaks "no-stale-success" | "call-returns" | "calloc-wrap", Short;
    aborts_without_memory breaks "oom-returns-null", Long;
    aborts_if_kept breaks "call-returns" | "free-errno", Short;

    calloc_wraps breaks "calloc-wrap", Short;
    calloc_narrow breaks "calloc-no-false-wrap", Short;
    calloc_stale breaks "calloc-zero", Short;

    realloc_frees_on_failure breaks "realloc-fail-keeps", Short;
    realloc_copies_short breaks "realloc-content", Short;
    realloc_copies_long breaks "realloc-bounds", Short;
    realloc_null_fails breaks "realloc-null-is-malloc", Short;
    realloc_loses_aligned breaks "align-realloc-first" | "realloc-content", Short;
    reallocarray_wraps breaks "reallocarray-overflow", Short;

    errno_missing breaks "malloc-errno", Short;
    errno_zeroed breaks "errno-never-zeroed", Short;
    errno_after_free breaks "free-errno", Short;
    munmap_errno breaks "free-errno", Short;
    memalign_errno_missing breaks "memalign-errno", Short;
    header_wraps breaks "huge-must-fail", Short;

    aligned_if_large breaks "align-aligned-alloc", Short;
    valloc_unaligned breaks "align-valloc", Short;
    malloc_off_by_eight breaks "align-fundamental-fit", Short;
    pma_returns_minus_one breaks "pma-returns-error", Short;
    pma_accepts_24 breaks "pma-einval", Short;
    pma_spoils_pointer breaks "pma-memptr", Short;
    aligned_alloc_accepts_3 breaks "aligned-alloc-invalid", Short;
    aligned_alloc_refuses_small breaks "aligned-alloc-small", Short;
    aligned_alloc_refuses_rest breaks "aligned-alloc-nonmultiple", Short;

    usable_null_crashes breaks "usable-null", Short;
    usable_too_small breaks "usable-ge", Short;
    usable_too_large breaks "usable-disjoint", Short;
    zero_is_one_place breaks "malloc-zero-choice", Short;
    zero_not_freeable breaks "zero-freeable", Short;
}

/// What is lost of one kind of blocks, or of requests that fail, only adds up within the time of a check, or of two where
/// others are at work; and who must meet does so by chance.
fn loses(name: &str, rule: &str) {
    let room = Room::new();
    if let Some(library) = room.compile(&format!("faulty/{name}")) {
        let arguments = ["--profile", "linux+c23+cxx17", "--rule", rule];
        let report = room.check_for(Duration::from_secs(20), &library, &arguments);
        report.expect(&[rule]);
    }
}

macro_rules! losing {
    ($($name:ident breaks $rule:literal;)*) => {
        $(#[test] fn $name() { loses(stringify!($name), $rule); })*
    };
}

losing! {
    guard_stays breaks "bounded-steady";
    gap_stays breaks "bounded-aligned";
    large_foreign_lost breaks "bounded-xthread-free";
    sized_free_strands breaks "free-sized-equiv";
    aligned_sized_free_lost breaks "free-aligned-sized-equiv";
    delete_of_nothing breaks "cxx-sized-equiv";
    account_of_failures breaks "no-stale-success";
    shrink_loses breaks "bounded-realloc";
    aligned_locks_another breaks "thread-safe";
}

/// Plain frees lose as much.
#[test]
fn growth_is_not_laid_to_frees_that_have_no_part_in_it() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/shrink_loses") else {
        return;
    };
    let arguments = ["--rule", "free-sized-equiv", "--rule", "bounded-steady"];
    let report = room.check_for(Duration::from_secs(10), &library, &arguments);
    report.expect(&["bounded-steady"]);
    assert_eq!(report.findings().len(), 1, "{}", report.summary());
}

/// Among many blocks that are freed so and take their time, so that there is none to leave them out.
#[test]
fn a_death_is_not_laid_to_frees_that_have_no_part_in_it() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/aborts_if_kept") else {
        return;
    };
    let make = |slot| format!("p{slot} = malloc {}\n", 20_000 + slot);
    let made: String = (2..3000).map(make).collect();
    let made_again = (2..3000).map(|slot| format!("free_sized p{slot}\n{}", make(slot)));
    let others = made + &made_again.collect::<String>();
    let lines = others + "p1 = malloc 1048576\nfail syscall any 1\nfree p1";
    let report = room.replay(&library, &lines, &["--time", "600ms"]);
    report.expect(&["call-returns"]);
    assert_eq!(report.findings().len(), 1, "{}", report.summary());
}

/// The C library frees NULL as a process starts, so a library of plain names would not get that far.
#[test]
fn free_null_crashes() {
    let room = Room::new();
    let Some(library) = room.compile_with("faulty/free_null_crashes", &["-DPREFIX=tp_"]) else {
        return;
    };
    room.check(&library, &["--prefix", "tp_"])
        .expect(&["free-null"]);
}

/// All three aligned functions share the fault; each is told.
#[test]
fn a_shared_fault_is_told_of_each_function() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/aligned_if_large") else {
        return;
    };
    let report = room.check(&library, &[]);
    for rule in [
        "align-aligned-alloc",
        "align-posix-memalign",
        "align-memalign",
    ] {
        report.expect(&[rule]);
    }
}

/// One cause is one finding, however often it shows.
#[test]
fn a_fault_on_every_call_is_told_once() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/errno_zeroed") else {
        return;
    };
    let report = room.check(&library, &[]);
    let told = report
        .findings()
        .iter()
        .filter(|finding| finding["rule"] == "errno-never-zeroed")
        .count();
    assert!((1..=16).contains(&told), "{}", report.summary());
}

/// However little time there is to shrink, a free that dies for another reason is not laid to the block's alignment.
#[test]
fn a_free_that_dies_of_any_block_is_not_about_aligned_ones() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/aborts_if_kept") else {
        return;
    };
    let others: String = (2..300)
        .map(|slot| format!("p{slot} = malloc {}\n", slot * 1000))
        .collect();
    let lines = others + "p1 = aligned_alloc 64 1048576\nfail syscall any 1\nfree p1";
    let report = room.replay(&library, &lines, &["--time", "300ms"]);
    report.expect(&["call-returns"]);
    assert_eq!(report.findings().len(), 1, "{}", report.summary());
}
