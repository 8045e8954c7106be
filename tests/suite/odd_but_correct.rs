//! Allocators that take the freedoms the documents give. No rule that must be kept may be found broken.

use crate::report::Report;
use crate::room::Room;
use std::time::Duration;

fn sound(name: &str) {
    let room = Room::new();
    if let Some(library) = room.compile(&format!("odd/{name}")) {
        room.check(&library, &[]).assert_sound();
    }
}

#[test]
fn nothing_is_said_of_a_plain_allocator() {
    let room = Room::new();
    let Some(library) = room.compile("odd/plain") else {
        return;
    };
    let report = room.check(&library, &["--strict"]);
    report.assert_sound();
    assert!(report.findings().is_empty(), "{}", report.summary());
}

#[test]
fn a_plain_allocator_keeps_every_c_profile() {
    let room = Room::new();
    let Some(library) = room.compile("odd/plain") else {
        return;
    };
    for profile in [
        "c99",
        "c11",
        "c17",
        "c23",
        "posix-2008",
        "posix-2017",
        "posix-2024",
        "gnu",
    ] {
        let report = room.check_for(
            Duration::from_millis(700),
            &library,
            &["--profile", profile],
        );
        assert!(
            !report.breaks_conformance(),
            "{profile}: {}",
            report.summary()
        );
    }
}

#[test]
fn addresses_may_never_be_used_again() {
    let room = Room::new();
    let Some(library) = room.compile("odd/new_addresses") else {
        return;
    };
    room.check(&library, &[]).assert_sound();
    // More blocks than there are bits for, one after the other.
    let trace = room.path("many.trace");
    let text = "# allocspec trace 1\np0 = malloc 100\nfree p0\nrepeat 70000 x 2\n";
    std::fs::write(&trace, text).expect("room for a file");
    let mut command = room.command(&["replay", "--format", "json"]);
    command.args([&trace, &library]);
    let report = Report::read(&room.run(command), false);
    assert_eq!(report.status, 0, "{}", report.summary());
    assert_eq!(report.ops(), 140_002);
}

#[test]
fn addresses_may_be_anywhere() {
    let room = Room::new();
    let Some(library) = room.compile("odd/scattered") else {
        return;
    };
    room.check(&library, &[]).assert_sound();
    // What the harness keeps of so many addresses is not taken for the allocator's.
    for rule in ["bounded-steady", "bounded-fifo"] {
        let arguments = ["--rule", rule, "--phase", "directed"];
        let report = room.check_for(Duration::from_secs(20), &library, &arguments);
        assert_eq!(report.verdict_of(rule), "pass", "{}", report.summary());
    }
}

#[test]
fn zero_sizes_may_give_null() {
    sound("zero_is_null");
}

#[test]
fn realloc_to_zero_may_free() {
    sound("realloc_zero_frees");
}

#[test]
fn but_not_in_silence_in_posix() {
    let room = Room::new();
    let Some(library) = room.compile("odd/realloc_zero_frees") else {
        return;
    };
    room.check(&library, &["--profile", "posix-2017"])
        .expect(&["realloc-zero-errno"]);
    assert!(
        !room
            .check(&library, &["--profile", "c17"])
            .breaks_conformance()
    );
    assert!(
        !room
            .check(&library, &["--profile", "c23"])
            .breaks_conformance()
    );
}

#[test]
fn realloc_may_always_move() {
    sound("realloc_moves");
}

#[test]
fn eight_bytes_need_no_more_than_eight() {
    sound("eight_aligned");
}

#[test]
fn more_alignment_than_asked_is_fine() {
    sound("sixty_four_aligned");
}

#[test]
fn reuse_may_be_delayed() {
    sound("delayed_reuse");
}

#[test]
fn reuse_may_wait_for_many_bytes() {
    let room = Room::new();
    let Some(library) = room.compile("odd/quarantine") else {
        return;
    };
    room.check(&library, &[]).assert_sound();
    for rule in [
        "bounded-steady",
        "bounded-sawtooth",
        "bounded-aligned",
        "bounded-realloc",
        "bounded-fifo",
    ] {
        let arguments = ["--rule", rule, "--phase", "directed"];
        let report = room.check_for(Duration::from_secs(20), &library, &arguments);
        assert_eq!(report.verdict_of(rule), "pass", "{}", report.summary());
    }
}

#[test]
fn memory_may_be_small() {
    sound("tiny_pool");
}

/// That there is no block after a failure is no fault of the failure where there is none without it.
#[test]
fn what_cannot_be_had_anyway_is_not_missed() {
    let room = Room::new();
    let Some(library) = room.compile("odd/tiny_pool") else {
        return;
    };
    let lines = "# rule oom-recovers\nfail syscall any from 1\np0 = malloc 300000\nfail syscall none\n\
                 p1 = malloc 300000 expect as unhindered\np2 = malloc 24 expect as unhindered";
    let report = room.replay(&library, lines, &[]);
    assert!(report.findings().is_empty(), "{}", report.summary());
    let refuses_once = room.compile_with("designs/boundary_tags", &["-DFAULT_REFUSED"]);
    let lines = "# rule oom-recovers\nfail syscall any from 1\np0 = malloc 24\nfail syscall none\n\
                 p1 = malloc 24 expect as unhindered";
    let report = room.replay(refuses_once.expect("as before"), lines, &[]);
    report.expect(&["oom-recovers"]);
}

#[test]
fn mappings_may_run_out() {
    sound("mapping_each");
}

#[test]
fn an_allocator_may_have_a_thread_of_its_own() {
    sound("background_thread");
}

#[test]
fn an_allocator_may_leave_the_environment() {
    sound("hides_itself");
}

#[test]
fn there_may_be_no_memory_at_all() {
    let room = Room::new();
    let Some(library) = room.compile("odd/never_any") else {
        return;
    };
    let report = room.check(&library, &[]);
    assert!(!report.breaks_conformance(), "{}", report.summary());
    assert_eq!(report.verdict_of("disjoint"), "not-exercised");
    assert_eq!(report.verdict_of("malloc-errno"), "pass");
}
