//! The hardened mode: what becomes of misuse is told as it is, and is nobody's failure.

use crate::room::Room;
use serde_json::Value;

/// What became of one misuse of a subject: how often it was tried, detected, silent and corrupting.
struct Told {
    counts: [u64; 4],
    signs: Value,
}

fn told(report: &Value, misuse: &str) -> Told {
    let rows = report["misuse"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["misuse"] == misuse);
    let row = row.unwrap_or_else(|| panic!("no {misuse} in {rows:?}"));
    let counts = ["tried", "detected", "silent", "corrupting"]
        .map(|name| row[name].as_u64().expect("a number"));
    assert_eq!(counts[0], counts[1] + counts[2] + counts[3], "{row}");
    assert!(counts[0] > 0, "{row}");
    Told {
        counts,
        signs: row["signs"].clone(),
    }
}

/// Misuses a subject.
fn misused(room: &Room, name: &str) -> Option<Value> {
    let library = room.compile(name)?;
    let mut command = room.command(&["check".as_ref(), library.as_os_str()]);
    command.args(["--profile", "hardened", "--format", "json", "--time", "30s"]);
    let run = room.run(command);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    Some(serde_json::from_str(&run.stdout).expect("JSON"))
}

#[test]
fn who_stops_a_second_free_has_detected_it() {
    let room = Room::new();
    let Some(report) = misused(&room, "odd/stops_misuse") else {
        return;
    };
    assert_eq!(report["profile"], "hardened");
    assert_eq!(report["rules"].as_array().map(Vec::len), Some(0));
    let Told { counts, signs } = told(&report, "double-free");
    assert_eq!(counts[1], counts[0], "every one: {counts:?}");
    let sign = &signs[0];
    assert_eq!(sign["message"], "stops_misuse: freed twice");
    assert_eq!(sign["signal"], "SIGABRT");
    let threads = told(&report, "double-free-threads");
    // The second thread may be given the block as its own before it frees it.
    let [tried, detected, ..] = threads.counts;
    assert!(10 * detected >= 9 * tried, "{:?}", threads.counts);
}

#[test]
fn who_frees_twice_hands_out_twice() {
    let room = Room::new();
    let Some(report) = misused(&room, "odd/stacks") else {
        return;
    };
    for misuse in ["double-free", "double-free-threads"] {
        let Told { counts, .. } = told(&report, misuse);
        assert!(
            counts[3] * 2 > counts[0],
            "most corrupt: {misuse} {counts:?}"
        );
    }
}

/// What dies, speaks or mixes up blocks without any misuse has detected none.
#[test]
fn what_goes_wrong_by_itself_is_left_out() {
    let room = Room::new();
    let Some(report) = misused(&room, "hostile/speaks") else {
        return;
    };
    let rows = report["misuse"].as_array().expect("rows");
    assert!(!rows.is_empty());
    for row in rows {
        assert_eq!(row["tried"], 0, "{row}");
    }
    let notes = report["subject"]["notes"].to_string();
    assert!(notes.contains("without any misuse"), "{notes}");
}

#[test]
fn who_does_nothing_is_silent() {
    let room = Room::new();
    let Some(report) = misused(&room, "faulty/never_frees") else {
        return;
    };
    for misuse in [
        "double-free",
        "free-stack",
        "free-static",
        "free-mapped",
        "free-interior",
    ] {
        let Told { counts, signs } = told(&report, misuse);
        assert_eq!(counts[2], counts[0], "{misuse} {counts:?}");
        assert_eq!(signs, Value::Array(Vec::new()));
    }
}

#[test]
fn every_form_of_the_report_has_it() {
    let room = Room::new();
    let Some(library) = room.compile("odd/stops_misuse") else {
        return;
    };
    for (form, wanted) in [
        ("human", "stops_misuse: freed twice"),
        ("markdown", "| double-free: a block is freed twice |"),
        ("html", "stops_misuse: freed twice"),
    ] {
        let mut command = room.command(&["check".as_ref(), library.as_os_str()]);
        command.args(["--profile", "hardened", "--format", form, "--time", "20s"]);
        let run = room.run(command);
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert!(run.stdout.contains(wanted), "{form}: {}", run.stdout);
    }
    room.assert_refused(
        &library,
        &["--profile", "hardened", "--rule", "free-null"],
        &["free-null", "hardened"],
    );
}
