//! The command line itself: what it says when it is used wrongly, and that it can be trusted in a script.

use crate::report::Report;
use crate::room::{Room, Run};
use assert_cmd::Command;
use assert_cmd::assert::OutputAssertExt;
use predicates::prelude::*;
use serde_json::Value;
use std::fs::{self, File};
use std::process::Stdio;

fn allocspec() -> Command {
    Command::new(env!("CARGO_BIN_EXE_allocspec"))
}

/// Runs with these arguments, which are wrong; the one line on stderr says so in `words`.
fn wrong(arguments: &[&str], words: &[&str]) {
    let room = Room::new();
    room.run(room.command(arguments)).assert_usage_error(words);
}

#[test]
fn wrong_arguments_are_one_line() {
    wrong(&["frobnicate"], &["frobnicate"]);
    wrong(&["check", "--frobnicate"], &["--frobnicate"]);
    wrong(&["check", "--time", "soon"], &["--time", "soon"]);
    wrong(&["check", "--time", "0s"], &["--time"]);
    wrong(&["check", "--time", "-1s"], &["-1"]);
    wrong(&["check", "--ops", "many"], &["--ops", "many"]);
    wrong(&["check", "--ops", "0"], &["--ops", "0"]);
    wrong(
        &["check", "--time", "1ms"],
        &["1 ms", "too little time", "--time"],
    );
    wrong(&["check", "--seed", "-1"], &["-1"]);
    wrong(&["check", "--jobs", "0"], &["--jobs"]);
    wrong(&["check", "--jobs", "100000"], &["--jobs", "1024"]);
    wrong(
        &["check", "--max-memory", "lots"],
        &["--max-memory", "lots"],
    );
    wrong(
        &["check", "--max-memory", "99999999999999999999G"],
        &["--max-memory"],
    );
    wrong(&["check", "--format", "yaml"], &["yaml", "json"]);
    wrong(&["check", "./x.so", "--map", "malloc"], &["--map"]);
    wrong(&["check", "./x.so", "--map", "frob=x_frob"], &["frob"]);
    wrong(
        &["check", "./x.so", "--map", "malloc=a,free=f,malloc=b"],
        &["--map", "malloc", "twice"],
    );
    wrong(&["check", "./x.so", "--env", "NOVALUE"], &["NOVALUE"]);
    wrong(
        &["check", "./x.so", "--prefix", "x_", "--map", "malloc=y"],
        &["--prefix", "--map"],
    );
    wrong(&["check", "reference", "system"], &["system"]);
    wrong(&["replay"], &["trace"]);
    wrong(&["completions", "cobol"], &["cobol", "bash"]);
}

#[test]
fn names_that_are_not_utf_8_are_one_line() {
    use std::os::unix::ffi::OsStrExt;
    let room = Room::new();
    let name = std::ffi::OsStr::from_bytes(b"./\xff\xfe.so");
    for arguments in [&["check"][..], &["check", "--format=json"], &["--time"]] {
        let mut command = room.command(arguments);
        command.arg(name);
        room.run(command).assert_usage_error(&[]);
    }
}

#[test]
fn without_arguments_it_says_what_there_is() {
    allocspec()
        .assert()
        .code(2)
        .stderr(predicate::str::contains("check").and(predicate::str::contains("replay")));
}

#[test]
fn unknown_names_are_answered_with_those_there_are() {
    wrong(
        &["check", "--profile", "c18"],
        &["c18", "c17", "linux", "posix-2017"],
    );
    wrong(&["rules", "--profile", "c18"], &["c18", "c17", "linux"]);
    wrong(&["rules", "calloc-zeros"], &["calloc-zeros", "calloc-zero"]);
    wrong(
        &["check", "system", "--rule", "calloc-zeros"],
        &["calloc-zeros", "calloc-zero"],
    );
    // It is a rule, but no document of this profile has it.
    wrong(
        &[
            "check",
            "system",
            "--profile",
            "c99",
            "--rule",
            "pma-einval",
        ],
        &["pma-einval", "c99", "posix-2017", "linux"],
    );
}

#[test]
fn bad_traces_are_one_line_that_names_the_line() {
    let room = Room::new();
    for (text, words) in [
        ("", &["line 1", "allocspec trace"][..]),
        ("p0 = malloc 1\n", &["line 1"]),
        (
            "# allocspec trace 1\np0 = malloc 1\nq0 = malloc 1\n",
            &["line 3"],
        ),
        ("# allocspec trace 1\np0 = frob 1\n", &["line 2", "frob"]),
        (
            "# allocspec trace 1\np0 = malloc 99999999999999999999\n",
            &["line 2"],
        ),
        (
            "# allocspec trace 1\np0 = malloc 1\nfree p0\nfree p0\n",
            &["line 4"],
        ),
        ("# allocspec trace 1\n\u{0}\u{1}\n", &["line 2"]),
    ] {
        let trace = room.path("bad.trace");
        fs::write(&trace, text).expect("room for a file");
        let mut command = room.command(&["replay"]);
        command.arg(&trace);
        room.run(command)
            .assert_usage_error(&[&["bad.trace"], words].concat());
    }
    let trace = room.path("bytes.trace");
    fs::write(&trace, b"# allocspec trace 1\n\xff\xfe\n").expect("room for a file");
    let mut command = room.command(&["replay"]);
    command.arg(&trace);
    room.run(command).assert_usage_error(&["bytes.trace"]);
    wrong(
        &["replay", "./none.trace"],
        &["./none.trace", "No such file"],
    );
    wrong(&["replay", "/usr"], &["/usr", "directory"]);
}

#[test]
fn a_good_trace_is_replayed() {
    let room = Room::new();
    let trace = room.path("good.trace");
    fs::write(
        &trace,
        "# allocspec trace 1\np0 = malloc 100\np0 = realloc p0 200\nfree p0\n",
    )
    .expect("room for a file");
    for subject in ["reference", "system"] {
        let mut command = room.command(&["replay"]);
        command.arg(&trace).args([subject, "--format", "json"]);
        let report = Report::read(&room.run(command), false);
        assert_eq!(report.status, 0, "{}", report.summary());
        assert_eq!(report.ops(), 3, "{subject}");
    }
}

#[test]
fn what_a_profile_leaves_undefined_is_not_replayed() {
    let room = Room::new();
    let trace = room.path("undefined.trace");
    let replay = |operations: &str, profile: &str| {
        fs::write(&trace, format!("# allocspec trace 1\n{operations}")).expect("room for a file");
        let mut command = room.command(&["replay"]);
        command.arg(&trace).args(["system", "--profile", profile]);
        room.run(command)
    };
    for (operations, profile, said) in [
        (
            "p0 = aligned_alloc 3 10\n",
            "c11",
            "p0 = aligned_alloc 3 10",
        ),
        (
            "p0 = aligned_alloc 8 10\n",
            "c11",
            "p0 = aligned_alloc 8 10",
        ),
        (
            "p0 = malloc 1\np0 = realloc p0 0\n",
            "c23",
            "p0 = realloc p0 0",
        ),
    ] {
        let run = replay(operations, profile);
        run.assert_usage_error(&[said, "undefined", profile]);
    }
    for (operations, profile) in [
        ("p0 = aligned_alloc 8 16\n", "c11"),
        ("p0 = malloc 1\np0 = realloc p0 0\n", "c17"),
        ("p0 = realloc null 0\n", "c23"),
    ] {
        let run = replay(operations, profile);
        assert_eq!(run.status, Some(0), "{operations}{}", run.stderr);
    }
}

#[test]
fn the_reference_conforms_and_every_rule_is_exercised() {
    let room = Room::new();
    let report = room.check_for(
        std::time::Duration::from_secs(5),
        "reference",
        &["--strict"],
    );
    assert!(report.findings().is_empty(), "{}", report.summary());
    for rule in report.rules() {
        assert_eq!(rule["verdict"], "pass", "{rule}");
    }
}

/// Rules that say something else of each layout.
const BY_LAYOUT: [&str; 8] = [
    "align-pymalloc",
    "class-index",
    "threshold-512",
    "shrink-quarter",
    "realloc-zero-raw-arg",
    "realloc-zero-fail",
    "arena-size-exact",
    "arena-any-alignment",
];

#[test]
fn the_reference_conforms_in_every_layout() {
    let room = Room::new();
    for (layout, profile) in [
        ("p27old", "cpython-2.7"),
        ("2.7.16", "cpython-2.7"),
        ("3.4", "cpython-3.4"),
        ("3.6+p4k16", "cpython-3.6"),
        ("p4k8", "cpython-3.7"),
        ("3.8", "cpython-3.8"),
        ("3.9", "cpython-3.9"),
        ("3.10", "cpython-3.10"),
        ("p16k-huge", "cpython-3.14"),
        ("p4k16-noradix", "cpython-3.14"),
    ] {
        let report = room.check("reference", &["--layout", layout, "--strict"]);
        assert_eq!(report.json["profile"], profile, "{layout}");
        assert!(report.findings().is_empty(), "{}", report.summary());
        for rule in BY_LAYOUT {
            let found = report.rules().iter().find(|found| found["id"] == rule);
            assert_eq!(
                found.map(|found| &found["verdict"]),
                Some(&"pass".into()),
                "{rule} in {layout}"
            );
        }
    }
}

#[test]
fn a_table_a_line_of_summary_and_nothing_on_stderr() {
    let room = Room::new();
    let run = room.run(room.command(&["check", "system", "--time", "2s", "--profile", "c99"]));
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let last = run.stdout.lines().last().unwrap_or_default();
    assert!(last.contains(" conformant"), "{last}");
    assert!(
        run.stdout.contains("calloc-zero") && run.stdout.contains("pass"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains('\x1b'), "no colour without a terminal");
}

#[test]
fn only_the_rules_asked_for_are_reported() {
    let room = Room::new();
    let report = room.check("system", &["--rule", "calloc-zero", "--rule", "disjoint"]);
    let ids: Vec<_> = report
        .rules()
        .iter()
        .filter_map(|rule| rule["id"].as_str())
        .collect();
    assert_eq!(ids, ["disjoint", "calloc-zero"]);
    assert_eq!(report.passes(), 2);
}

/// What harms blocks may turn out to be about the rules asked for, so it is looked into, and told of.
#[test]
fn what_is_met_beside_the_rules_asked_for_is_told() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/wipes_neighbour") else {
        return;
    };
    let report = room.check(&library, &["--rule", "calloc-zero"]);
    let notes = report.json["subject"]["notes"].to_string();
    assert!(notes.contains("not asked about: "), "{notes}");
    assert!(notes.contains("content-stable"), "{notes}");
    assert_eq!(report.rules().len(), 1);
}

/// Checks a fixed number of operations in one process: with several, the counts depend on which is faster.
fn counted(subject: &str) -> Report {
    let room = Room::new();
    let mut command = room.command(&["check", subject, "--format", "json", "--jobs", "1"]);
    command.args(["--ops", "300000", "--seed", "3", "--time", "60s"]);
    Report::read(&room.run(command), false)
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let timeless = || {
        let mut json = counted("reference").json;
        json.as_object_mut()
            .expect("an object")
            .remove("elapsed_s")
            .expect("the time is told");
        for phase in json["phases"].as_array_mut().expect("an array") {
            let phase = phase.as_object_mut().expect("an object");
            phase.remove("elapsed_s").expect("its time is told");
        }
        json
    };
    assert_eq!(timeless(), timeless());
}

#[test]
fn the_same_seed_gives_the_same_verdicts_and_programs() {
    // Messages have addresses in them, which are never the same.
    let judged = |subject: &str| {
        let report = counted(subject);
        let rules: Vec<_> = report
            .rules()
            .iter()
            .map(|rule| (rule["id"].clone(), rule["verdict"].clone()))
            .collect();
        let programs: Vec<_> = report
            .findings()
            .iter()
            .map(|finding| finding["program"].clone())
            .collect();
        (rules, programs)
    };
    for subject in ["system", "mutant:calloc-unchecked"] {
        let (rules, programs) = judged(subject);
        assert!(!programs.is_empty(), "{subject}: nothing to compare");
        assert_eq!((rules, programs), judged(subject), "{subject}");
    }
}

#[test]
fn the_catalogue_is_listed_and_explained() {
    let listing = allocspec().arg("rules").assert().success().stderr("");
    let listing = String::from_utf8_lossy(&listing.get_output().stdout).into_owned();
    for rule in [
        "disjoint",
        "calloc-wrap",
        "realloc-fail-keeps",
        "pma-einval",
        "threshold-512",
    ] {
        assert!(listing.contains(rule), "{rule} is not listed");
    }
    allocspec()
        .args(["rules", "--profile", "c99"])
        .assert()
        .success()
        .stdout(
            predicate::str::contains("calloc-zero")
                .and(predicate::str::contains("pma-einval").not()),
        );
    allocspec()
        .args(["rules", "realloc-fail-keeps"])
        .assert()
        .success()
        .stdout(predicate::str::contains("7.22.3.5").and(predicate::str::contains("must")));
    // A contested text comes with the decision taken.
    allocspec()
        .args(["rules", "align-fundamental-any"])
        .assert()
        .success()
        .stdout(predicate::str::contains("C23").and(predicate::str::contains("quality")));
}

#[test]
fn what_documents_get_wrong_is_listed() {
    let human = allocspec()
        .args(["rules", "--documents"])
        .assert()
        .success();
    let human = String::from_utf8_lossy(&human.get_output().stdout).into_owned();
    let json = allocspec()
        .args(["rules", "--documents", "--format", "json"])
        .assert()
        .success();
    let json: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).expect("JSON");
    let statements = json.as_array().expect("a list");
    assert!(statements.len() >= 12);
    for statement in statements {
        let id = statement["id"].as_str().expect("an id");
        assert!(human.contains(id), "{id} is not listed");
    }
    allocspec()
        .args(["rules", "arena-size-exact"])
        .assert()
        .success()
        .stdout(predicate::str::contains("not so").and(predicate::str::contains("256 KiB")));
    wrong(&["rules", "--documents", "disjoint"], &["--documents"]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    for command in [
        "rules",
        "man",
        "completions bash",
        "check reference --ops 1000",
    ] {
        let script = format!("\"$0\" {command} | head -n 1");
        std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_allocspec")])
            .assert()
            .success()
            .stderr("");
    }
}

#[test]
fn a_full_disk_is_told() {
    let room = Room::new();
    let told = |run: Run| {
        assert_eq!(run.status, Some(2), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains("No space left"), "{}", run.stderr);
    };
    let check = ["check", "reference", "--ops", "1000", "--format", "json"];
    told(room.run(room.command(&[&check[..], &["--output", "/dev/full"]].concat())));
    for arguments in [&check[..], &["rules"], &["man"], &["completions", "bash"]] {
        let mut command = room.command(arguments);
        command.stdout(Stdio::from(
            File::options()
                .write(true)
                .open("/dev/full")
                .expect("a full disk"),
        ));
        told(room.run(command));
    }
}

#[test]
fn a_file_is_written_whole_and_elsewhere_is_an_error() {
    let room = Room::new();
    let file = room.path("report.json");
    let mut command = room.command(&[
        "check",
        "reference",
        "--ops",
        "1000",
        "--format",
        "json",
        "--output",
    ]);
    command.arg(&file);
    let run = room.run(command);
    assert_eq!(
        (run.status, run.stdout.as_str()),
        (Some(0), ""),
        "{}",
        run.stderr
    );
    let json: Value =
        serde_json::from_str(&fs::read_to_string(&file).expect("the report")).expect("JSON");
    assert_eq!(json["verdict"], "conformant");
    wrong(
        &["check", "--ops", "1000", "--output", "/none/report.json"],
        &["/none/report.json", "No such file"],
    );
    // What cannot be saved is not worth a long check.
    let check = ["check", "--time", "60s", "--out", "/dev/null/out"];
    let run = room.run(room.command(&check));
    run.assert_in_time(std::time::Duration::ZERO);
    run.assert_usage_error(&["/dev/null/out", "--out"]);
}

#[test]
fn a_report_is_not_lost_to_a_check_that_is_interrupted() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        let room = Room::new();
        let file = room.path("report.txt");
        fs::write(&file, "the last report").expect("room for a file");
        let mut command = room.command(&["check", "reference", "--time", "60s", "--output"]);
        let mut child = command.arg(&file).spawn().expect("allocspec starts");
        std::thread::sleep(std::time::Duration::from_millis(500));
        let pid = i32::try_from(child.id()).expect("a process id");
        // SAFETY: the child has not been waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        child.wait().expect("a child can be waited for");
        let kept = fs::read_to_string(&file).expect("the file is there");
        assert_eq!(kept, "the last report");
        room.assert_nothing_left(std::time::Duration::from_secs(2));
    }
}

#[test]
fn a_report_goes_where_it_is_sent() {
    let room = Room::new();
    let check = ["check", "reference", "--ops", "1000", "--quiet", "--output"];
    let run = room.run(room.command(&[&check[..], &["/dev/stdout"]].concat()));
    assert!(run.stdout.contains(" conformant"), "{}", run.stdout);
    // A link is followed; a shorter report leaves nothing of a longer one.
    let (file, link) = (room.path("report.txt"), room.path("link.txt"));
    fs::write(&file, "#".repeat(10_000)).expect("room for a file");
    std::os::unix::fs::symlink(&file, &link).expect("room for a link");
    let mut command = room.command(&check);
    command.arg(&link);
    let run = room.run(command);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""));
    let report = fs::read_to_string(&file).expect("the file is there");
    assert!(
        report.contains(" conformant") && !report.contains('#'),
        "{report}"
    );
    assert!(link.is_symlink());
}

#[test]
fn completions_are_scripts() {
    let bash = allocspec()
        .args(["completions", "bash"])
        .assert()
        .success()
        .stderr("");
    let mut checked = std::process::Command::new("bash");
    let script = String::from_utf8_lossy(&bash.get_output().stdout).into_owned();
    checked.args(["-n", "-c", &script]).assert().success();
    assert!(script.contains("replay"), "{script}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        allocspec()
            .args(["completions", shell])
            .assert()
            .success()
            .stdout(predicate::str::contains("replay"));
    }
}

#[test]
fn the_manual_is_a_page() {
    allocspec()
        .arg("man")
        .assert()
        .success()
        .stdout(predicate::str::contains(".TH").and(predicate::str::contains("EXIT STATUS")));
}

#[test]
fn help_and_version_are_asked_for() {
    allocspec()
        .arg("--help")
        .assert()
        .success()
        .stderr("")
        .stdout(predicate::str::contains("check"));
    allocspec()
        .arg("--version")
        .assert()
        .success()
        .stdout(format!("allocspec {}\n", env!("CARGO_PKG_VERSION")));
}

/// Runs a command as it was printed, in a shell that finds `allocspec`.
fn printed(room: &Room, command: &str) -> Run {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_allocspec"));
    let directory = program.parent().expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = std::process::Command::new("sh");
    room.furnish(&mut shell);
    shell
        .env("PATH", format!("{}:{path}", directory.display()))
        .args(["-c", command]);
    room.run(shell)
}

/// Asserts that a printed command shows its finding again.
fn assert_shows_again(room: &Room, command: &str) {
    let rule = command.rsplit(' ').next().unwrap_or_default();
    let run = printed(room, command);
    assert_eq!(run.status, Some(1), "{command}\n{}", run.stderr);
    let heading = format!("FAIL  {rule}   ");
    assert!(run.stdout.contains(&heading), "{command}\n{}", run.stdout);
}

#[test]
fn the_commands_that_are_printed_show_the_findings_again() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/calloc_wraps") else {
        return;
    };
    let out = room.path("an out");
    let out = out.to_str().expect("a plain path");
    let report = room.check(&library, &["--out", out]);
    let replay = report.expect(&["calloc-wrap"])["replay"].as_str();
    assert_shows_again(&room, replay.expect("a command"));

    let mut command = room.command(&["check", "--time", "2s", "--out", out]);
    command.arg(&library);
    let run = room.run(command);
    let again = run
        .stdout
        .lines()
        .filter_map(|line| line.trim().strip_prefix("shown again "))
        .find(|command| command.ends_with("calloc-wrap"));
    let again = again.unwrap_or_else(|| panic!("no command\n{}", run.stdout));
    assert_shows_again(&room, again.trim());
}
