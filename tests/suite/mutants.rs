//! The checker checked, from the command line.

use crate::room::Room;

/// One or more of each family; `ci/test` runs them all.
const SOME: &[&str] = &[
    "calloc-wraps",
    "blocks-overlap",
    "usable-rounds-down",
    "free-null-crashes",
    "free-list-queue",
    "debug-erased-lost",
    "free-shows-unmap-errno",
    "calloc-unlocked",
    "remote-free-twice",
];

#[test]
fn mutants_are_caught_by_their_own_rules() {
    let room = Room::new();
    let run = room.run(room.command(&[&["mutants", "--time", "4s"], SOME].concat()));
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    for name in SOME {
        let caught = |line: &str| line.starts_with("caught") && line.contains(name);
        assert!(run.stdout.lines().any(caught), "{name}: {}", run.stdout);
    }
}

#[test]
fn an_unknown_mutant_is_an_error() {
    let room = Room::new();
    room.run(room.command(&["mutants", "no-such-mutant"]))
        .assert_usage_error(&["no-such-mutant"]);
    room.assert_refused("mutant:no-such-mutant", &[], &["no-such-mutant"]);
}
