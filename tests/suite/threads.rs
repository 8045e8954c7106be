//! Several threads, from the command line.

use crate::report::{assert_c_program, text, trace_file};
use crate::room::Room;
use std::ffi::OsStr;
use std::time::Duration;

#[test]
fn a_phase_is_run_alone_and_says_what_it_had() {
    let room = Room::new();
    let words = [
        "check",
        "system",
        "--phase",
        "threads",
        "--rule",
        "thread-safe",
        "--time",
        "2s",
    ];
    let run = room.run(room.command(&words));
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    for told in ["\nphases   threads ", "pass  thread-safe"] {
        assert!(run.stdout.contains(told), "{}", run.stdout);
    }
    for other in ["directed", "random"] {
        assert!(!run.stdout.contains(other), "{}", run.stdout);
    }
}

#[test]
fn a_phase_without_programs_is_refused() {
    let room = Room::new();
    room.run(room.command(&["check", "--phase", "threads"]))
        .assert_usage_error(&["threads", "reference", "--phase"]);
    room.run(room.command(&["check", "--phase", "thrads"]))
        .assert_usage_error(&["thrads", "first-calls"]);
}

#[test]
fn what_threads_show_is_shown_again_and_counted() {
    let room = Room::new();
    let trace = room.path("case.trace");
    let text = "# allocspec trace 1\n# rule xthread-free\nschedule in order\nthread 1\np0 = malloc 100\nthread 2\n\
                free p0\np1 = malloc 100\nthread 1\np2 = malloc 100\n";
    std::fs::write(&trace, text).expect("a trace in the room");
    let replayed = |subject: &str| {
        let words = [OsStr::new("replay"), trace.as_os_str(), OsStr::new(subject)];
        let mut command = room.command(&words);
        command.args(["--profile", "linux"]);
        room.run(command)
    };
    let run = replayed("mutant:remote-free-twice");
    assert_eq!(run.status, Some(1), "{}{}", run.stdout, run.stderr);
    for told in ["FAIL  xthread-free", "overlap: ", "in 100 of 100 runs"] {
        assert!(run.stdout.contains(told), "{told}: {}", run.stdout);
    }
    let run = replayed("system");
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout
            .contains("the program showed nothing in 100 runs"),
        "{}",
        run.stdout
    );
    replayed("reference").assert_usage_error(&["one thread at a time", "`thread`"]);
}

#[test]
fn what_shows_in_some_runs_is_shown_again_all_the_same() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/fails_in_some_processes") else {
        return;
    };
    let trace = room.path("case.trace");
    let text = "# allocspec trace 1\n# rule thread-safe\nthread 1\np0 = malloc 100\nfree p0\nthread 2\np1 = malloc 100\n\
                free p1\n";
    std::fs::write(&trace, text).expect("a trace in the room");
    let words = [OsStr::new("replay"), trace.as_os_str(), library.as_os_str()];
    let run = room.run(room.command(&words));
    assert_eq!(run.status, Some(1), "{}{}", run.stdout, run.stderr);
    let often = run.stdout.split("shows         in ").nth(1);
    let often = often.and_then(|often| often.split(" runs of the program").next());
    let (times, of) = often
        .and_then(|often| often.split_once(" of "))
        .expect("how often it shows");
    let [times, of] = [times, of].map(|number| number.parse::<u32>().expect("a number"));
    assert!(of >= 20 && times > 0 && times < of, "{times} of {of}");
}

#[test]
fn a_thread_that_is_refused_is_no_pass() {
    let room = Room::new();
    let Some(library) = room.compile("odd/refuses_threads") else {
        return;
    };
    let mut command = room.command(&["check", "--phase", "threads", "--time", "2s"]);
    command.arg(&library);
    let run = room.run(command);
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    for told in [
        "a thread was refused",
        "n/a   threads",
        "takes other threads, which cannot be had here",
    ] {
        assert!(run.stdout.contains(told), "{told}: {}", run.stdout);
    }
}

/// Whatever process it shows in first, forks have no part in it.
#[test]
fn who_has_no_lock_is_found_without_a_fork() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/unlocked") else {
        return;
    };
    let arguments = ["--rule", "thread-safe", "--phase", "directed"];
    let time = Duration::from_secs(10);
    let report = room.check_for(time, &library, &arguments);
    let finding = report.expect(&["thread-safe"]);
    let program = text(finding, "program");
    assert!(program.contains("under threads"), "{program}");
    assert!(!program.contains("fork"), "{program}");
}

/// However little time there is, that a call hangs is not laid to threads that have no part in it.
#[test]
fn a_call_that_hangs_in_one_thread_as_well_is_no_race() {
    let lines = "# rule thread-safe\nthread 1\np0 = malloc 24\np0 = realloc p0 100\np0 = realloc p0 1000\nfree p0\n\
                 repeat 200 x 4\nthread 2\np1 = malloc 24\nfree p1";
    let report = Room::new().replay("mutant:hangs-in-realloc", lines, &["--time", "600ms"]);
    report.expect(&["call-returns"]);
    assert_eq!(report.findings().len(), 1, "{}", report.summary());
}

/// What was found is told, though another thread never comes back.
#[test]
fn a_finding_outlives_a_thread_that_hangs() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/hangs_beside_overlap") else {
        return;
    };
    let trace = room.path("case.trace");
    let text = "# allocspec trace 1\n# rule thread-safe\nthread 1\np0 = malloc 100\nthread 2\np1 = malloc 100\n\
                thread 3\np2 = malloc 3000\n";
    std::fs::write(&trace, text).expect("a trace in the room");
    let words = [OsStr::new("replay"), trace.as_os_str(), library.as_os_str()];
    let run = room.run(room.command(&words));
    assert_eq!(run.status, Some(1), "{}{}", run.stdout, run.stderr);
    for told in ["FAIL  thread-safe", "overlap: 100 B"] {
        assert!(run.stdout.contains(told), "{told}: {}", run.stdout);
    }
}

/// What one thread shows as well is not laid to threads, whether or not it is asked about.
#[test]
fn harm_that_needs_no_other_thread_is_no_race() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/issues_twice") else {
        return;
    };
    let time = Duration::from_secs(4);
    let report = room.check_for(time, &library, &["--rule", "thread-safe"]);
    assert!(report.findings().is_empty(), "{}", report.summary());
    assert_eq!(report.verdict_of("thread-safe"), "not-applicable");
}

/// Whose programs with threads all stop for another reason has not been put to the test.
#[test]
fn who_hangs_in_one_thread_already_passes_no_rule_about_threads() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/keeps_lock") else {
        return;
    };
    let lines = "# rule thread-safe\nthread 1\np0 = calloc 4294967296 4294967296\np1 = malloc 10\nthread 2\n\
                 p2 = malloc 10";
    let arguments = ["--rule", "thread-safe", "--time", "4s"];
    let report = room.replay(&library, lines, &arguments);
    assert_eq!(report.verdict_of("thread-safe"), "not-exercised");
    let told = "its programs show first that call-returns is broken";
    assert_eq!(text(&report.rules()[0], "reason"), told);
}

/// Seeds of checks of which one at least finds what shows again.
const SEEDS: [&str; 5] = ["1", "2", "3", "4", "5"];

/// The lists of the threads in C: they show it as well, and nothing on an allocator that has a lock.
#[test]
fn what_threads_do_to_one_another_is_shown_in_c() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/unlocked") else {
        return;
    };
    for phase in ["threads", "directed"] {
        // What threads have shown once need not show again, and has no C program then. Neither has a program that makes no
        // call itself.
        let written = SEEDS.into_iter().find_map(|seed| {
            let out = room.path(format!("out-{phase}-{seed}"));
            let out = out.to_str().expect("a plain path");
            let arguments = ["--rule", "thread-safe", "--phase", phase, "--seed", seed];
            let arguments = [&arguments[..], &["--out", out]].concat();
            let report = room.check_for(Duration::from_secs(10), &library, &arguments);
            let finding = report.expect(&["thread-safe"]);
            let c = trace_file(finding).expect("a trace").with_extension("c");
            let makes = |line: &str| !line.starts_with('#') && line.contains(" = ");
            let calls = text(finding, "program").lines().any(makes);
            (calls && finding["reproduced"] == true).then(|| (c, finding["c"].clone()))
        });
        let (c, told) = written.expect("it showed again with one of the seeds");
        let source = std::fs::read_to_string(&c).expect("the C program was written");
        assert_eq!(Some(source.as_str()), told.as_str());
        assert_c_program(&room, &c, Some(&library), true);
        let plain = room.compile("odd/plain").expect("a compiler");
        assert_c_program(&room, &c, Some(&plain), false);
        assert_c_program(&room, &c, None, false);
    }
}

/// What grows with threads, each in its own way.
#[test]
fn growth_among_threads_is_laid_to_what_it_takes() {
    const RULES: [&str; 4] = [
        "bounded-steady",
        "bounded-threads",
        "bounded-xthread-free",
        "bounded-concurrent",
    ];
    let mut arguments = vec!["--phase", "vectors"];
    arguments.extend(RULES.into_iter().flat_map(|rule| ["--rule", rule]));
    for (name, broken) in [
        ("leaks_slowly", "bounded-steady"),
        ("thread_cache_lost", "bounded-threads"),
        ("thread_arena_lost", "bounded-threads"),
        ("remote_free_lost", "bounded-xthread-free"),
        ("contended_free_lost", "bounded-concurrent"),
    ] {
        let room = Room::new();
        let Some(library) = room.compile(&format!("faulty/{name}")) else {
            return;
        };
        // That calls meet takes longer programs.
        let longer = match broken {
            "bounded-concurrent" => &["--phase", "threads"][..],
            _ => &[],
        };
        let arguments = [&arguments[..], longer].concat();
        let report = room.check_for(Duration::from_secs(60), &library, &arguments);
        report.expect(&[broken]);
        for rule in RULES.into_iter().filter(|&rule| rule != broken) {
            assert_ne!(report.verdict_of(rule), "fail", "{}", report.summary());
        }
    }
}

/// Nobody waits for the end of a loop of which the first rounds show where it leads.
#[test]
fn plain_growth_is_told_before_the_work_is_done() {
    let room = Room::new();
    let Some(library) = room.compile("faulty/remote_free_lost") else {
        return;
    };
    let trace = room.path("case.trace");
    let text = "# allocspec trace 1\n# rule bounded-xthread-free\nschedule in order\nthread 1\np0 = malloc 200000\n\
                free p0\np0 = malloc 60000\nthread 2\nfree p0\njoin\nsample 20\nrepeat 1000000 x 8\n\
                steady 524288\n";
    std::fs::write(&trace, text).expect("a trace in the room");
    let mut command = room.command(&[OsStr::new("replay"), trace.as_os_str(), library.as_os_str()]);
    command.args(["--rule", "bounded-xthread-free", "--time", "20s"]);
    let run = room.run(command);
    assert!(
        run.stdout.contains("WARN  bounded-xthread-free"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}

#[test]
fn an_allocator_without_faults_does_not_grow_among_threads() {
    let room = Room::new();
    for name in ["odd/plain", "odd/quarantine"] {
        let Some(library) = room.compile(name) else {
            return;
        };
        for rule in [
            "bounded-threads",
            "bounded-xthread-free",
            "bounded-concurrent",
        ] {
            let arguments = ["--rule", rule, "--phase", "threads", "--phase", "directed"];
            let report = room.check_for(Duration::from_secs(60), &library, &arguments);
            assert_eq!(report.verdict_of(rule), "pass", "{}", report.summary());
        }
    }
}
