//! The functions that C does not know: those of BSD, and the C++ operators by their symbols.

use crate::report::{Report, assert_c_program, operations, text, trace_file};
use crate::room::{Room, skip};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What throws `std::bad_alloc` for a subject that is written in C.
const CXX_LIBRARY: &str = "-l:libstdc++.so.6";

/// What it takes to see memory come back.
const ENOUGH: Duration = Duration::from_secs(8);

/// Checks a subject, of which this rule must be found broken; its trace and its C program show it again.
fn breaks(name: &str, rule: &str) {
    breaks_with(name, &[], rule);
}

/// The same of one that throws: what each form of an operator does wrong is shown again.
fn breaks_throwing(name: &str, rule: &str) {
    let report = breaks_with(name, &["-fexceptions", CXX_LIBRARY], rule);
    for finding in report.iter().flat_map(Report::findings) {
        assert_eq!(finding["reproduced"], true, "{finding}");
    }
}

fn breaks_with(name: &str, arguments: &[&str], rule: &str) -> Option<Report> {
    let room = Room::new();
    let library = room.compile_with(&format!("faulty/{name}"), arguments)?;
    let out = room.path("out");
    let out_name = out.to_str().expect("a plain path");
    let report = room.check(&library, &["--rule", rule, "--out", out_name]);
    let finding = report.expect(&[rule]);
    let trace = trace_file(finding).expect("a trace");
    let mut replay = room.command(&[Path::new("replay"), &trace, &library]);
    replay.args(["--format", "json"]);
    Report::read(&room.run(replay), false).expect(&[rule]);
    let written = text(finding, "program");
    assert!(operations(written) < 800, "{written}");
    assert_c_program(&room, &trace.with_extension("c"), Some(&library), true);
    Some(report)
}

fn sound(name: &str, arguments: &[&str], rules: &[&str]) -> Option<(Room, PathBuf)> {
    let room = Room::new();
    let library = room.compile_with(&format!("odd/{name}"), arguments)?;
    let report = room.check_for(ENOUGH, &library, &[]);
    report.assert_sound();
    for rule in rules {
        assert_eq!(report.verdict_of(rule), "pass", "{rule}");
    }
    Some((room, library))
}

#[test]
fn sound_functions_of_bsd_pass() {
    let rules = [
        "reallocf-frees",
        "recallocarray-null",
        "recallocarray-zero",
        "recallocarray-overflow",
        "recallocarray-clears",
        "freezero-null",
        "freezero-clears",
        "reallocarray-overflow",
    ];
    sound("bsd", &[], &rules);
}

#[test]
fn reallocf_that_keeps() {
    breaks("reallocf_keeps", "reallocf-frees");
}

#[test]
fn secrets_that_stay() {
    breaks("secrets_stay", "freezero-clears");
    breaks("secrets_stay", "recallocarray-clears");
}

#[test]
fn sound_operators_pass() {
    let rules = [
        "cxx-new-throws",
        "cxx-nothrow-null",
        "cxx-new-zero",
        "align-cxx-new",
        "cxx-aligned",
        "cxx-delete-null",
        "cxx-sized-equiv",
        "cxx-aligned-delete",
        "cxx-delete-nothrow",
        "cxx-new-handler",
        "cxx-pair-complete",
        "cxx-pair-sized",
        "cxx-pair-delete",
    ];
    if sound("operators", &["-fexceptions", CXX_LIBRARY], &rules).is_none() {
        skip("there is no C++ library to throw with");
    }
}

/// A handler of `std::bad_alloc` catches what is derived from it, also if the library has a C++ runtime of its own that
/// nobody else sees.
#[test]
fn what_is_derived_from_bad_alloc_is_bad_alloc() {
    let thrower = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/subjects/odd/throws_derived.cc"
    );
    let own = ["-l:libstdc++.a", "-Wl,--exclude-libs,ALL"];
    for library in [&own[..], &[CXX_LIBRARY]] {
        let arguments = [&["-fexceptions", thrower], library].concat();
        if sound("throws_derived", &arguments, &["cxx-new-throws"]).is_none() {
            skip("there is no C++ compiler, or no C++ library to link with");
        }
    }
}

/// What C++ only permits to those who replace its operators is told, and is no failure.
#[test]
fn new_that_ignores_the_handler() {
    let room = Room::new();
    let with_library = ["-DNEW_HANDLER=NULL", "-fexceptions", CXX_LIBRARY];
    let without = ["-DNEW_HANDLER=NULL", "-DNEW_FAILED=NULL"];
    for (arguments, verdict) in [(&with_library[..], "fail"), (&without, "not-applicable")] {
        let Some(subject) = room.compile_with("odd/operators", arguments) else {
            return;
        };
        let report = room.check(&subject, &["--rule", "cxx-new-handler"]);
        assert_eq!(report.verdict_of("cxx-new-handler"), verdict);
        assert_eq!(report.status, 0, "{}", report.summary());
    }
}

#[test]
fn new_that_returns_null() {
    breaks("new_returns_null", "cxx-new-throws");
}

#[test]
fn new_that_returns_null_only_where_memory_is_short() {
    breaks_throwing("new_returns_null_if_short", "cxx-new-throws");
}

#[test]
fn new_that_throws_something_else() {
    breaks_throwing("new_throws_another", "cxx-new-throws");
}

#[test]
fn new_that_throws_where_it_must_not() {
    breaks_throwing("nothrow_throws", "cxx-nothrow-null");
}

#[test]
fn aligned_new_that_finds_no_memory_where_there_is_some() {
    breaks_throwing("aligned_new_refuses_rest", "cxx-aligned");
}

#[test]
fn delete_that_throws() {
    breaks_throwing("delete_throws", "cxx-delete-nothrow");
}

#[test]
fn sized_delete_without_the_other() {
    let room = Room::new();
    let library = room.compile_with("traps/sized_delete_alone", &["-fexceptions", CXX_LIBRARY]);
    let Some(library) = library else {
        return;
    };
    let out = room.path("out");
    let report = room.check(&library, &["--out", out.to_str().expect("a plain path")]);
    let finding = report.expect(&["cxx-pair-complete"]);
    assert!(text(finding, "message").contains("`delete_sized` but not `delete`"));
    let c = out.join("cxx-pair-complete.c");
    assert_c_program(&room, &c, Some(&library), true);
}

#[test]
fn new_that_aborts() {
    breaks("new_aborts", "cxx-new-throws");
}

#[test]
fn delete_that_trusts_the_size() {
    breaks("sized_delete_trusts", "cxx-sized-equiv");
}

#[test]
fn new_without_its_delete_is_told_and_no_failure() {
    let room = Room::new();
    let Some(library) = room.compile("traps/new_without_delete") else {
        return;
    };
    let report = room.check(&library, &[]);
    report.assert_sound();
    let finding = report.expect(&["cxx-pair-delete"]);
    assert!(text(finding, "message").contains("`new` but not `delete`"));
    // What cannot be deleted is not made.
    assert_eq!(report.verdict_of("cxx-new-zero"), "not-exercised");
}

/// Nothing is said of functions that nobody would look for.
#[test]
fn what_a_subject_lacks_of_these_does_not_apply() {
    let room = Room::new();
    let Some(library) = room.compile("odd/plain") else {
        return;
    };
    let report = room.check(&library, &[]);
    for rule in ["cxx-new-throws", "cxx-pair-complete", "freezero-clears"] {
        assert_eq!(report.verdict_of(rule), "not-applicable", "{rule}");
    }
    let mut command = room.command(&["check".as_ref(), library.as_os_str()]);
    command.args(["--time", "1s"]);
    let told = room.run(command).stdout;
    let lines = |id: &str| told.lines().filter(|line| line.contains(id)).count();
    assert_eq!(
        lines("reallocf, recallocarray, freezero not exported"),
        1,
        "{told}"
    );
    assert_eq!(
        lines("operator new, operator delete not exported"),
        1,
        "{told}"
    );
    assert_eq!(
        lines("freezero-clears") + lines("cxx-new-zero"),
        0,
        "{told}"
    );
    let others = &report.json["subject"]["other_providers"];
    for name in ["_Znwm", "freezero"] {
        assert!(others.get(name).is_none(), "{others}");
    }
}
