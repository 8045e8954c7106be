//! The checker checked, from the command line.

use crate::room::Room;

#[test]
fn every_mutant_is_caught_by_its_own_rule() {
    let room = Room::new();
    let run = room.run(room.command(&["mutants"]));
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.is_empty());
}

#[test]
fn an_unknown_mutant_is_an_error() {
    let room = Room::new();
    room.run(room.command(&["mutants", "no-such-mutant"]))
        .assert_usage_error(&["no-such-mutant"]);
    room.assert_refused("mutant:no-such-mutant", &[], &["no-such-mutant"]);
}
