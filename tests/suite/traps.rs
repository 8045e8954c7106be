//! Where harnesses of allocators have deceived themselves: functions of another library taken for the subject's, blocks
//! of two heaps mixed, libraries that cannot be opened, names that the loader reads in its own way.

use crate::report::{Report, operations, text};
use crate::room::{BUDGET, Room};
use std::fs;
use std::path::PathBuf;

const MAP: &str = "malloc=pvPortMalloc,free=vPortFree";

/// A library without `aligned_alloc` that depends on one with a broken `aligned_alloc`.
fn with_dependency(room: &Room, flags: &[&str]) -> Option<PathBuf> {
    let dependency = room.compile_with("traps/dependency", flags)?;
    let needs = dependency.to_str().expect("a plain path").to_owned();
    room.compile_with(
        "traps/lacks_aligned_alloc",
        &[flags, &["-Wl,--no-as-needed", &needs]].concat(),
    )
}

#[test]
fn a_function_of_a_dependency_is_not_the_subjects() {
    let room = Room::new();
    let Some(library) = with_dependency(&room, &[]) else {
        return;
    };
    let report = room.check(&library, &[]);
    report.assert_sound();
    assert!(
        report.provides("posix_memalign") && !report.provides("aligned_alloc"),
        "{}",
        report.json["subject"]
    );
    assert_eq!(report.verdict_of("align-aligned-alloc"), "not-applicable");
}

#[test]
fn a_prefixed_function_of_a_dependency_is_not_the_subjects() {
    let room = Room::new();
    let Some(library) = with_dependency(&room, &["-DPREFIX=tp_"]) else {
        return;
    };
    let report = room.check(&library, &["--prefix", "tp_"]);
    report.assert_sound();
    assert!(
        report.provides("posix_memalign") && !report.provides("aligned_alloc"),
        "{}",
        report.json["subject"]
    );
    assert_eq!(report.verdict_of("align-aligned-alloc"), "not-applicable");
}

#[test]
fn functions_left_to_libc_are_told_and_never_mixed() {
    let room = Room::new();
    let Some(library) = room.compile("traps/partial") else {
        return;
    };
    let report = room.check(&library, &[]);
    report.assert_sound();
    report.expect(&["interpose-complete"]);
    for absent in ["memalign", "valloc", "pvalloc", "reallocarray"] {
        assert!(
            !report.provides(absent),
            "{absent} is libc's: {}",
            report.json["subject"]
        );
    }
    for rule in [
        "align-memalign",
        "align-valloc",
        "align-pvalloc",
        "reallocarray-overflow",
    ] {
        assert_eq!(report.verdict_of(rule), "not-applicable", "{rule}");
    }
}

#[test]
fn a_library_with_half_of_the_core_mixes_heaps() {
    let room = Room::new();
    let Some(library) = room.compile("traps/core_only") else {
        return;
    };
    let report = room.check(&library, &[]);
    let finding = report.expect(&["interpose-core"]);
    let message = text(finding, "message");
    assert!(message.contains("calloc, realloc"), "{message}");
    assert_eq!(text(finding, "level"), "must");
    assert_eq!(report.status, 1, "{}", report.summary());
    assert!(report.provides("free") && !report.provides("calloc"));
    let replay = text(finding, "replay");
    assert!(replay.ends_with("--rule interpose-core"), "{replay}");
}

#[test]
fn a_library_that_calls_itself_by_name_gets_itself() {
    let room = Room::new();
    let Some(library) = room.compile("traps/calls_itself") else {
        return;
    };
    room.check(&library, &["--prefix", "tp_"]).assert_sound();
}

#[test]
fn a_library_that_cannot_be_opened_late_is_preloaded_and_that_is_said() {
    let room = Room::new();
    let Some(library) = room.compile_with("odd/plain", &["-DPREFIX=tp_", "-Wl,-z,nodlopen"]) else {
        return;
    };
    let mut command = room.command(&["check", "--time", "2s", "--prefix", "tp_"]);
    command.arg(&library);
    let run = room.run(command);
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("preload") || run.stderr.contains("preload"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    room.check(&library, &["--prefix", "tp_"]).assert_sound();
}

#[test]
fn a_library_with_much_static_tls_is_checked() {
    let room = Room::new();
    let Some(library) = room.compile_with("traps/static_tls", &["-DPREFIX=tp_"]) else {
        return;
    };
    room.check(&library, &["--prefix", "tp_"]).assert_sound();
}

#[test]
fn each_entry_point_is_the_first_call_of_a_process() {
    let room = Room::new();
    let Some(library) = room.compile("traps/first_call") else {
        return;
    };
    let report = room.check(&library, &["--prefix", "tp_"]);
    let finding = report.expect(&["first-call-any"]);
    assert!(text(finding, "program").contains("memalign"), "{finding}");
    assert_eq!(operations(text(finding, "program")), 1, "{finding}");
}

#[test]
fn prefixed_names_are_the_functions() {
    let room = Room::new();
    let Some(library) = room.compile_with("odd/plain", &["-DPREFIX=je_"]) else {
        return;
    };
    let report = room.check(&library, &["--prefix", "je_"]);
    report.assert_sound();
    assert!(report.provides("pvalloc"), "{}", report.json["subject"]);
    room.assert_refused(
        &library,
        &["--prefix", "mi_"],
        &["libplain.so", "mi_malloc"],
    );
    room.assert_refused(&library, &[], &["libplain.so", "malloc"]);
}

#[test]
fn a_fault_behind_a_prefix_is_found() {
    let room = Room::new();
    let Some(library) = room.compile_with("faulty/calloc_wraps", &["-DPREFIX=je_"]) else {
        return;
    };
    room.check(&library, &["--prefix", "je_"])
        .expect(&["calloc-wrap"]);
}

#[test]
fn functions_of_other_names_are_checked_and_absent_ones_are_not() {
    let room = Room::new();
    let Some(library) = room.compile("traps/freertos") else {
        return;
    };
    let report = room.check(&library, &["--map", MAP]);
    assert!(!report.breaks_conformance(), "{}", report.summary());
    assert!(report.provides("malloc") && report.provides("free") && !report.provides("calloc"));
    assert_eq!(report.verdict_of("disjoint"), "pass");
    for rule in [
        "calloc-zero",
        "realloc-content",
        "usable-ge",
        "align-memalign",
    ] {
        assert_eq!(report.verdict_of(rule), "not-applicable", "{rule}");
    }
    room.assert_refused(
        &library,
        &["--map", "malloc=pvPortMalloc,free=vPortRelease"],
        &["vPortRelease"],
    );
}

#[test]
fn a_fault_behind_other_names_is_found() {
    let room = Room::new();
    let Some(library) = room.compile_with("traps/freertos", &["-DWRAPS"]) else {
        return;
    };
    room.check(&library, &["--map", MAP])
        .expect(&["huge-must-fail"]);
}

#[test]
fn the_environment_is_the_subjects() {
    let room = Room::new();
    let Some(library) = room.compile("traps/by_environment") else {
        return;
    };
    room.check(&library, &["--env", "TWIST=off"]).assert_sound();
    room.check(&library, &["--env", "TWIST=on"])
        .expect(&["calloc-zero"]);
}

/// The fault must be found in `subject`, run in the library's directory: otherwise another allocator was checked.
fn found_as(room: &Room, subject: &str) {
    let mut command = room.check_command(BUDGET, subject.as_ref(), &[]);
    let elsewhere = room.path("elsewhere");
    command.current_dir(&elsewhere);
    let run = room.run(command);
    Report::read(&run, false).expect(&["calloc-wrap"]);
}

#[test]
fn a_path_is_not_read_in_the_loaders_way() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/calloc_wraps") else {
        return;
    };
    let elsewhere = room.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a new directory");
    // A bare name is a file of this directory, not of the loader's path.
    fs::copy(&library, elsewhere.join("bare.so")).expect("room for a copy");
    found_as(&room, "bare.so");
    // Spaces and colons separate libraries, `$LIB` stands for a directory, and nothing protects them: better refused
    // than another library checked.
    for name in ["with space.so", "with:colon.so", "with$LIB.so"] {
        let file = elsewhere.join(name);
        fs::copy(&library, &file).expect("room for a copy");
        room.assert_refused(&file, &[], &[name, "does not load", "LD_PRELOAD", "link"]);
    }
    // Only `$LIB` is anything to dlopen.
    let other = Room::new();
    let prefixed = other
        .compile_with("faulty/calloc_wraps", &["-DPREFIX=tp_"])
        .expect("a compiler");
    for name in ["with space.so", "with:colon.so"] {
        let file = elsewhere.join(name);
        fs::copy(&prefixed, &file).expect("room for a copy");
        let report = room.check(&file, &["--prefix", "tp_"]);
        report.expect(&["calloc-wrap"]);
        assert_eq!(report.json["subject"]["kind"], "dlopen");
    }
    room.assert_refused(
        elsewhere.join("with$LIB.so"),
        &["--map", "malloc=malloc,free=free"],
        &["with$LIB.so", "dollar"],
    );
    std::os::unix::fs::symlink(&library, elsewhere.join("link.so")).expect("room for a link");
    found_as(&room, "./link.so");
    found_as(&room, "../elsewhere/./bare.so");
}

#[test]
fn the_harness_is_not_in_the_subjects_heap() {
    let room = Room::new();
    // 100 KB of live blocks at most: what the harness itself needs must come from elsewhere.
    let Some(library) = room.compile("odd/tiny_pool") else {
        return;
    };
    room.check(&library, &["--max-memory", "100KiB"])
        .assert_sound();
}
