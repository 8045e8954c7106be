//! Allocators of other designs than the mutants: each sound as it is, and faulty in one way or another if built so.

use crate::room::Room;
use std::path::PathBuf;
use std::time::Duration;

/// What it takes to come to the longer programs of one rule, or of two.
const ENOUGH: Duration = Duration::from_secs(6);

fn design(room: &Room, name: &str, fault: Option<&str>) -> Option<PathBuf> {
    let define = fault.map(|fault| format!("-DFAULT_{fault}"));
    let arguments: Vec<&str> = define.as_deref().into_iter().collect();
    room.compile_with(&format!("designs/{name}"), &arguments)
}

fn is_sound(name: &str) {
    let room = Room::new();
    if let Some(library) = design(&room, name, None) {
        room.check(&library, &[]).assert_sound();
    }
}

fn is_found(name: &str, fault: &str, rule: &str) {
    let room = Room::new();
    if let Some(library) = design(&room, name, Some(fault)) {
        let report = room.check_for(ENOUGH, &library, &["--rule", rule]);
        assert_eq!(report.verdict_of(rule), "fail", "{}", report.summary());
    }
}

macro_rules! designs {
    ($($design:ident { $($test:ident: $fault:literal breaks $rule:literal,)* })*) => {
        $(mod $design {
            #[test]
            fn is_sound() {
                super::is_sound(stringify!($design));
            }
            $(#[test]
            fn $test() {
                super::is_found(stringify!($design), $fault, $rule);
            })*
        })*
    };
}

designs! {
    boundary_tags {
        merges_without_a_tag: "MERGE3" breaks "content-stable",
        grows_into_the_last_chunk: "GROW_LAST" breaks "disjoint",
        leaves_what_shrinks_for_zero: "SHRINK_ZERO" breaks "calloc-zero",
        purges_half_a_page_too_much: "PURGE_ROUNDS" breaks "content-stable",
        moves_aligned_blocks_to_the_start: "MREMAP_ALIGNED" breaks "align-realloc-first",
        asks_for_no_segment_again: "REFUSED" breaks "oom-recovers",
        moves_before_it_can_grow: "SLIDE" breaks "realloc-fail-keeps",
        takes_what_it_merges_for_zero: "ZERO_BEFORE" breaks "calloc-zero",
    }
    bitmaps {
        has_one_bit_too_many: "LAST_BIT" breaks "disjoint",
        purges_what_is_in_use_again: "STALE_PURGE" breaks "content-stable",
        keeps_the_last_page: "PURGE_TAIL" breaks "calloc-zero",
        breaks_a_chain_of_its_table: "HASH_HOLE" breaks "call-returns",
        has_slots_too_short: "ONE_CLASS" breaks "disjoint",
        forgets_when_its_table_cannot_grow: "TABLE_FULL" breaks "no-stale-success",
    }
    thread_heaps {}
    lock_free {}
}

#[test]
fn the_inside_of_a_block_comes_back_from_another_thread() {
    let room = Room::new();
    let lines = "schedule in order\nthread 1\np0 = memalign 1024 900\nthread 2\nfree p0\nthread 1\np1 = malloc 1900\n\
                 p2 = malloc 1900\np3 = malloc 1900\njoin\nsweep";
    for (fault, verdict) in [(Some("ALIGNED_REMOTE"), "fail"), (None, "pass")] {
        let Some(library) = design(&room, "thread_heaps", fault) else {
            return;
        };
        let report = room.replay(&library, lines, &[]);
        assert_eq!(
            report.verdict_of("xthread-free"),
            verdict,
            "{}",
            report.summary()
        );
    }
}

#[test]
fn a_lock_that_is_kept_when_shrinking_fails() {
    let room = Room::new();
    let Some(library) = design(&room, "boundary_tags", Some("MREMAP_LOCK")) else {
        return;
    };
    let arguments = ["--rule", "realloc-fail-keeps", "--rule", "call-returns"];
    let report = room.check_for(ENOUGH, &library, &arguments);
    report.expect(&["call-returns"]);
}

/// That a race of a few instructions is found in one of three replays, for a busy machine may miss it, and is laid to one
/// of these rules; and that without the fault nothing is found.
fn is_raced(name: &str, fault: &str, lines: &str, rules: &[&str]) {
    let room = Room::new();
    let replay = |library: PathBuf| room.replay(&library, lines, &["--time", "20s"]);
    if let Some(library) = design(&room, name, Some(fault)) {
        let is_found = (0..3).any(|_| {
            let report = replay(library.clone());
            rules.iter().any(|rule| report.verdict_of(rule) == "fail")
        });
        assert!(is_found, "{fault}");
    }
    if let Some(library) = design(&room, name, None) {
        let report = replay(library);
        assert!(!report.breaks_conformance(), "{}", report.summary());
    }
}

/// A race of a few instructions: a stack whose top is again what it was, with another block below.
#[test]
fn blocks_that_come_back_are_told_apart() {
    let lines: String = (1..=4)
        .map(|thread| {
            let (first, second) = (2 * thread, 2 * thread + 1);
            format!(
                "thread {thread}\np{first} = malloc 100\np{second} = malloc 100\nfree p{first}\n\
                 p{first} = malloc 100\nfree p{second}\nfree p{first}\nrepeat 25000 x 6\n"
            )
        })
        .collect();
    is_raced(
        "lock_free",
        "ABA",
        &format!("{lines}join"),
        &["thread-safe"],
    );
}

/// Whether a block is as the kernel gave it is known of the last block that any thread was given. A race of a few
/// instructions at each fresh block: so many of them that it shows in most runs.
#[test]
fn zeroed_blocks_are_not_taken_for_those_of_others() {
    let fresh = |thread: u32| {
        let blocks = (0..12_000).map(|block| format!("p{} = malloc 32\n", 20_000 * thread + block));
        format!("thread {thread}\n{}", blocks.collect::<String>())
    };
    let lines = format!(
        "{}thread 2\np0 = calloc 1 64\nfree p0\nrepeat 240000 x 2\n{}join",
        fresh(1),
        fresh(3)
    );
    is_raced(
        "thread_heaps",
        "FRESH_SHARED",
        &lines,
        &["calloc-zero", "happens-before"],
    );
}

/// What is lost with a thread: what others have freed of it, and what it uses once more at its very end.
#[test]
fn heaps_of_threads_that_end_are_not_lost() {
    let room = Room::new();
    for (fault, verdict) in [
        (Some("ADOPT_RESETS"), "fail"),
        (Some("REVENANT"), "fail"),
        (None, "pass"),
    ] {
        let Some(library) = design(&room, "thread_heaps", fault) else {
            return;
        };
        let arguments = ["--rule", "bounded-threads"];
        let report = room.check_for(Duration::from_secs(20), &library, &arguments);
        assert_eq!(
            report.verdict_of("bounded-threads"),
            verdict,
            "{fault:?}: {}",
            report.summary()
        );
    }
}
