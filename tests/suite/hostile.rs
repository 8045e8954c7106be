//! Subjects that fight the harness. None may end it, hang it, fool it, or keep the other rules from being checked.

use crate::report::{Report, text};
use crate::room::{BUDGET, Room, Run, compiled, skip, wait};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Checks `subjects/hostile/NAME.c`, which must be found to break one of `rules` while the others are still checked.
fn found(name: &str, rules: &[&str]) -> Option<Report> {
    let room = Room::new();
    let library = room.compile(&format!("hostile/{name}"))?;
    let report = room.check(&library, &[]);
    report.expect(rules);
    report.assert_went_on();
    Some(report)
}

/// Checks `subjects/hostile/NAME.c`, whose hostility breaks no rule that must be kept.
fn harmless(name: &str) {
    let room = Room::new();
    if let Some(library) = room.compile(&format!("hostile/{name}")) {
        room.check(&library, &[]).assert_sound();
    }
}

/// Checks `subjects/hostile/NAME.c`, which cannot be checked at all; the one line of the error says so in `words`.
fn refused(name: &str, words: &[&str]) {
    let room = Room::new();
    if let Some(library) = room.compile(&format!("hostile/{name}")) {
        room.assert_refused(&library, &[], words);
    }
}

#[test]
fn a_crash_is_found_however_late() {
    found("crashes", &["call-returns"]);
}

#[test]
fn a_signal_that_was_sent_is_no_less_deadly() {
    let Some(report) = found("signals_itself", &["call-returns"]) else {
        return;
    };
    let message = report.expect(&["call-returns"])["message"].to_string();
    assert!(message.contains("SIGSEGV"), "{message}");
    assert!(
        !message.contains("0x"),
        "the sender is no address: {message}"
    );
}

#[test]
fn an_abort_is_found() {
    found("aborts", &["call-returns"]);
}

#[test]
fn an_endless_loop_is_found() {
    found("spins", &["call-returns"]);
}

#[test]
fn a_deadlock_is_found() {
    found("deadlocks", &["call-returns", "free-null"]);
}

/// Whatever else wants the processor: who waits so hardly ever has it, and is not to be taken for one that does not get it.
#[test]
fn a_wait_that_lets_others_go_first_is_found() {
    let (over, start) = (AtomicBool::new(false), Instant::now());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while !over.load(Relaxed) && start.elapsed() < Duration::from_secs(60) {
                    std::hint::spin_loop();
                }
            });
        }
        let room = Room::new();
        let report = room.compile("hostile/yields").map(|library| {
            room.replay(
                &library,
                "p0 = malloc 12345\np1 = malloc 100",
                &["--time", "10s"],
            )
        });
        over.store(true, Relaxed);
        if let Some(report) = report {
            report.expect(&["call-returns"]);
        }
    });
}

#[test]
fn a_process_that_stops_itself_is_found() {
    found("stops", &["call-returns"]);
}

#[test]
fn an_exit_with_success_is_no_success() {
    found("exits", &["call-returns"]);
}

#[test]
fn handlers_that_exit_with_success_hide_no_crash() {
    found("own_handlers", &["call-returns"]);
}

#[test]
fn a_report_printed_by_the_subject_is_not_the_report() {
    let room = Room::new();
    let Some(library) = room.compile("hostile/noisy") else {
        return;
    };
    let report = room.check(&library, &[]);
    report.assert_went_on();
    report.expect(&["no-output"]);
    // Writing is a cancellation point, and fails without descriptors.
    report.expect(&["not-cancellation-point"]);
    report.expect(&["free-errno", "errno-success"]);
    let strict = room.check(&library, &["--strict", "--rule", "no-output"]);
    strict.expect(&["no-output"]);
    assert_eq!(strict.status, 1, "{}", strict.summary());
}

#[test]
fn a_killed_process_is_told_once_and_of_no_block() {
    for flags in [&[][..], &["-DPARENT"]] {
        let room = Room::new();
        let Some(library) = room.compile_with("hostile/kills_itself", flags) else {
            return;
        };
        let report = room.check(&library, &[]);
        report.expect(&["call-returns"]);
        assert_eq!(report.findings().len(), 1, "{}", report.summary());
    }
}

#[test]
fn output_at_loading_is_told_once() {
    let room = Room::new();
    let Some(library) = room.compile("hostile/greets") else {
        return;
    };
    let report = room.check(&library, &[]);
    report.assert_sound();
    assert_eq!(text(report.expect(&["no-output"]), "phase"), "loading");
    assert_eq!(report.findings().len(), 1, "{}", report.summary());
}

#[test]
fn closed_descriptors_do_no_harm() {
    harmless("closes_descriptors");
}

#[test]
fn closed_standard_descriptors_do_no_harm() {
    harmless("closes_standard");
}

#[test]
fn ignored_children_are_waited_for() {
    harmless("ignores_children");
}

#[test]
fn a_child_of_the_subject_is_not_left_behind() {
    harmless("leaves_child");
}

#[test]
fn a_child_that_leaves_its_session_is_not_left_behind() {
    harmless("escapes");
    let room = Room::new();
    if let Some(library) = room.compile_with("hostile/escapes", &["-DEXITS"]) {
        room.assert_refused(&library, &[], &["libescapes.so", "3"]);
    }
}

#[test]
fn a_subject_that_works_long_is_checked_in_time() {
    harmless("slow");
}

#[test]
fn a_subject_that_sleeps_is_checked_in_time() {
    harmless("sleeps");
}

/// What it did to its own process is told as a broken rule; which one is chance.
fn scribbles(name: &str) {
    let room = Room::new();
    if let Some(library) = room.compile(&format!("hostile/{name}")) {
        let report = room.check(&library, &[]);
        assert!(report.breaks_conformance(), "{}", report.summary());
    }
}

#[test]
fn overwritten_variables_of_the_worker_are_survived() {
    scribbles("scribbles_program");
}

#[test]
fn an_overwritten_heap_of_the_worker_is_survived() {
    scribbles("scribbles_heap");
}

#[test]
fn overwritten_shared_memory_is_survived() {
    scribbles("scribbles_shared");
}

#[test]
fn a_constructor_that_exits_is_an_error() {
    refused("constructor_exits", &["libconstructor_exits.so", "3"]);
}

#[test]
fn a_constructor_that_exits_with_success_is_an_error() {
    refused("constructor_exits_well", &["libconstructor_exits_well.so"]);
}

#[test]
fn a_constructor_that_crashes_is_an_error() {
    refused(
        "constructor_crashes",
        &["libconstructor_crashes.so", "signal"],
    );
}

#[test]
fn a_constructor_that_hangs_is_an_error() {
    refused("constructor_hangs", &["libconstructor_hangs.so"]);
}

#[test]
fn a_library_without_malloc_is_an_error() {
    refused("no_malloc", &["libno_malloc.so", "malloc"]);
}

#[test]
fn a_library_without_free_is_an_error() {
    refused("only_malloc", &["libonly_malloc.so", "free"]);
}

#[test]
fn an_undefined_symbol_is_named() {
    refused(
        "undefined_symbol",
        &["libundefined_symbol.so", "no_such_variable"],
    );
}

#[test]
fn a_missing_dependency_is_named() {
    let room = Room::new();
    let Some(dependency) = room.compile("traps/dependency") else {
        return;
    };
    let needs = dependency.to_str().expect("a plain path");
    let library = room
        .compile_with("odd/plain", &["-Wl,--no-as-needed", needs])
        .expect("a compiler");
    fs::remove_file(&dependency).expect("the file is there");
    room.assert_refused(&library, &[], &["libplain.so", "libdependency.so"]);
}

#[test]
fn a_text_file_is_an_error() {
    let room = Room::new();
    let file = room.path("libtext.so");
    fs::write(&file, "INPUT(libc.so.6)\n").expect("room for a file");
    room.assert_refused(&file, &[], &["libtext.so", "text"]);
}

#[test]
fn an_empty_file_is_an_error() {
    let room = Room::new();
    let file = room.path("libempty.so");
    fs::write(&file, "").expect("room for a file");
    room.assert_refused(&file, &[], &["libempty.so"]);
}

/// A good library with its bytes changed.
fn altered(room: &Room, alter: impl FnOnce(&mut Vec<u8>)) -> Option<PathBuf> {
    let library = room.compile("odd/plain")?;
    let mut bytes = fs::read(library).expect("a file just compiled");
    alter(&mut bytes);
    let file = room.path("libaltered.so");
    fs::write(&file, bytes).expect("room for a file");
    Some(file)
}

#[test]
fn a_library_of_the_wrong_class_is_an_error() {
    let room = Room::new();
    // e_ident[EI_CLASS] = ELFCLASS32
    if let Some(file) = altered(&room, |bytes| bytes[4] = 1) {
        room.assert_refused(&file, &[], &["libaltered.so", "32-bit"]);
    }
}

#[test]
fn a_library_for_another_machine_is_an_error() {
    let room = Room::new();
    // e_machine = EM_AARCH64
    if let Some(file) = altered(&room, |bytes| bytes[18] = 183) {
        room.assert_refused(&file, &[], &["libaltered.so"]);
    }
}

#[test]
fn a_library_cut_short_is_an_error() {
    for length in [60, 200, 5000] {
        let room = Room::new();
        if let Some(file) = altered(&room, |bytes| bytes.truncate(length)) {
            room.assert_refused(&file, &[], &["libaltered.so"]);
        }
    }
}

#[test]
fn wild_offsets_in_a_library_are_an_error() {
    let room = Room::new();
    // e_phoff and e_shoff
    if let Some(file) = altered(&room, |bytes| bytes[32..48].fill(0xFF)) {
        room.assert_refused(&file, &[], &["libaltered.so"]);
    }
}

#[test]
fn an_object_file_is_an_error() {
    let room = Room::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/subjects/odd/plain.c");
    let object = room.path("plain.o");
    if compiled(
        Command::new("cc")
            .args(["-c", "-fPIC", "-fno-builtin", source, "-o"])
            .arg(&object),
    ) {
        room.assert_refused(&object, &[], &["plain.o"]);
    }
}

#[test]
fn a_program_is_an_error() {
    Room::new().assert_refused(env!("CARGO_BIN_EXE_allocspec"), &[], &["allocspec"]);
}

#[test]
fn a_missing_file_is_an_error() {
    Room::new().assert_refused("./libnone.so", &[], &["./libnone.so", "No such file"]);
}

#[test]
fn a_directory_is_an_error() {
    Room::new().assert_refused("/usr", &[], &["/usr", "directory"]);
}

#[test]
fn a_pipe_is_not_waited_for() {
    let room = Room::new();
    let pipe = room.path("libpipe.so");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "coreutils have mkfifo"
    );
    room.assert_refused(&pipe, &[], &["libpipe.so"]);
}

#[test]
fn a_device_is_not_read_to_its_end() {
    Room::new().assert_refused("/dev/zero", &[], &["/dev/zero"]);
}

#[test]
fn an_unreadable_file_is_an_error() {
    let room = Room::new();
    let Some(library) = room.compile("odd/plain") else {
        return;
    };
    fs::set_permissions(&library, fs::Permissions::from_mode(0o000)).expect("the owner may do so");
    unprivileged(&room, &library).assert_usage_error(&["libplain.so", "Permission denied"]);
}

#[test]
fn no_privilege_is_needed() {
    let room = Room::new();
    let Some(library) = room.compile("odd/plain") else {
        return;
    };
    Report::read(&unprivileged(&room, &library), false).assert_sound();
}

/// Checks as a user without privileges: root may read anything.
fn unprivileged(room: &Room, library: &Path) -> Run {
    const NOBODY: u32 = 65534;
    let mut command = room.check_command(BUDGET, library.as_os_str(), &[]);
    if is_root() {
        // Where the project was built nobody else may be able to go.
        let copy = room.path("allocspec");
        fs::copy(command.get_program(), &copy).expect("room for a copy");
        let arguments: Vec<_> = command
            .get_args()
            .map(|argument| argument.to_owned())
            .collect();
        command = Command::new(copy);
        room.furnish(&mut command);
        command.args(arguments).uid(NOBODY).gid(NOBODY);
    }
    room.run(command)
}

/// Checks as a user of its own who may have no more than so many processes; `None` if only root can try.
fn with_processes(limit: u32) -> Option<Run> {
    if !is_root() {
        skip("only root can be another user");
        return None;
    }
    let room = Room::new();
    let copy = room.path("allocspec");
    fs::copy(env!("CARGO_BIN_EXE_allocspec"), &copy).expect("room for a copy");
    let mut command = Command::new(copy);
    room.furnish(&mut command);
    command.args(["check", "--time", "3s", "--jobs", "2"]);
    // Nobody else's processes count, not even those of another test.
    let user = 65000 + limit;
    let limit = libc::rlimit {
        rlim_cur: limit.into(),
        rlim_max: limit.into(),
    };
    // SAFETY: a plain request to the kernel, on a structure copied in.
    unsafe {
        command.pre_exec(move || {
            let set = libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit);
            (set == 0)
                .then_some(())
                .ok_or_else(std::io::Error::last_os_error)
        })
    };
    command.uid(user).gid(user);
    Some(room.run(command))
}

#[test]
fn a_worker_that_cannot_fork_breaks_no_rule() {
    // The program, its threads and its workers fit in, and no child of a worker.
    if let Some(run) = with_processes(6) {
        run.assert_usage_error(&["the machine refused", "ulimit"]);
    }
}

#[test]
fn threads_and_workers_that_cannot_be_had_are_an_error() {
    for limit in 1..=5 {
        if let Some(run) = with_processes(limit) {
            run.assert_usage_error(&["the machine refused", "ulimit"]);
        }
    }
}

/// Runs `allocspec` in a shell that first sets its own limits.
fn limited(limit: &str, arguments: &str) -> Run {
    let room = Room::new();
    let mut shell = Command::new("sh");
    room.furnish(&mut shell);
    let script = format!("ulimit {limit} && exec \"$0\" {arguments}");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_allocspec")]);
    room.run(shell)
}

#[test]
fn too_little_address_space_is_an_error() {
    for kibibytes in [
        60_000, 150_000, 180_000, 220_000, 300_000, 1_000_000, 3_000_000,
    ] {
        let run = limited(
            &format!("-v {kibibytes}"),
            "check system --time 1s --jobs 2",
        );
        run.assert_usage_error(&["the machine refused", "KiB", "ulimit"]);
    }
    let run = limited(
        "-v 4500000",
        "check system --profile c99 --time 1s --jobs 2",
    );
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_missing_proc_is_named() {
    let room = Room::new();
    let mut unshare = Command::new("unshare");
    let script = "umount -l /proc && exec \"$0\" check system --time 1s";
    unshare.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_allocspec")]);
    if !is_root() {
        skip("only root can unmount /proc");
        return;
    }
    room.furnish(&mut unshare);
    room.run(unshare).assert_usage_error(&["/proc", "mount"]);
}

#[test]
fn files_that_may_not_grow_are_an_error() {
    // The line that says so cannot be written either.
    let run = limited("-f 0", "check system --time 1s");
    assert_eq!(run.status, Some(2), "{}{}", run.stdout, run.stderr);
}

fn is_root() -> bool {
    // SAFETY: the call has no precondition.
    unsafe { libc::geteuid() == 0 }
}

/// Ends a check by a signal while its workers hang. Nothing may be left, whoever was asked to end.
fn ended_by(signal: i32) {
    let room = Room::new();
    let Some(library) = room.compile("hostile/spins") else {
        return;
    };
    let mut command = room.check_command(Duration::from_secs(60), library.as_os_str(), &[]);
    let mut child = command.spawn().expect("allocspec starts");
    std::thread::sleep(Duration::from_millis(700));
    let pid = i32::try_from(child.id()).expect("a process id");
    // SAFETY: the child has not been waited for, so the id is still its own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    let start = Instant::now();
    let ended = wait(&mut child, Duration::from_secs(5));
    if ended.is_none() {
        child
            .kill()
            .and_then(|()| child.wait())
            .expect("a child can be killed");
    }
    assert!(
        ended.is_some(),
        "signal {signal} was ignored for {:?}",
        start.elapsed()
    );
    room.assert_nothing_left(Duration::from_secs(2));
}

#[test]
fn nothing_is_left_when_it_is_interrupted() {
    ended_by(libc::SIGINT);
}

#[test]
fn nothing_is_left_when_it_is_terminated() {
    ended_by(libc::SIGTERM);
}

#[test]
fn nothing_is_left_when_it_is_killed() {
    ended_by(libc::SIGKILL);
}
