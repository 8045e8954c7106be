//! A room for one test: a directory to run `allocspec` in, subjects compiled into it, and what must hold of every run
//! whatever the subject does: it ends in time, does not panic, and leaves nothing behind.

use crate::report::Report;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The time a check is given unless a test says otherwise.
pub const BUDGET: Duration = Duration::from_secs(2);

/// What a busy machine may add to the promised 20 %.
const SLACK: Duration = Duration::from_millis(1500);

/// A run that lasts so long is ended, and the test fails.
const HOPELESS: Duration = Duration::from_secs(600);

/// What compiles everywhere: nothing the compiler knows about allocation may change what the subject does.
const FLAGS: &[&str] = &[
    "-shared",
    "-fPIC",
    "-O1",
    "-fno-builtin",
    "-pthread",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-function",
];

/// A directory of its own for one test.
pub struct Room {
    directory: tempfile::TempDir,
}

/// What a run came to.
pub struct Run {
    /// The exit status, `None` if a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall time.
    pub elapsed: Duration,
}

impl Room {
    /// An empty room that any user may enter.
    pub fn new() -> Room {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let room = Room { directory };
        open_to_all(room.directory.path());
        for place in [room.work(), room.temporary()] {
            fs::create_dir(&place).expect("a new directory");
            open_to_all(&place);
        }
        room
    }

    /// A file in the room.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The working directory of runs.
    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Where runs are told to keep temporary files.
    fn temporary(&self) -> PathBuf {
        self.path("temporary")
    }

    /// Compiles `subjects/SOURCE.c` into a shared library. `None` on a machine without a compiler.
    pub fn compile(&self, source: &str) -> Option<PathBuf> {
        self.compile_with(source, &[])
    }

    /// The same with further arguments for the compiler.
    pub fn compile_with(&self, source: &str, arguments: &[&str]) -> Option<PathBuf> {
        let name = source.rsplit('/').next().unwrap_or(source);
        let library = self.path(format!("lib{name}.so"));
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/subjects/{source}.c"));
        let mut cc = Command::new("cc");
        cc.args(FLAGS)
            .arg(source)
            .args(arguments)
            .arg("-o")
            .arg(&library);
        compiled(&mut cc).then_some(library)
    }

    /// `allocspec` with these arguments, to be run in this room.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allocspec"));
        self.furnish(&mut command);
        command.args(arguments);
        command
    }

    /// Gives a command its working directory, its place for temporary files, and no terminal.
    pub fn furnish(&self, command: &mut Command) {
        command
            .current_dir(self.work())
            .env("TMPDIR", self.temporary())
            .env_remove("LD_PRELOAD")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(File::create(self.path("stdout")).expect("a new file"))
            .stderr(File::create(self.path("stderr")).expect("a new file"));
    }

    /// Runs to the end. Output goes through files, so that a process left behind cannot hold the test up.
    pub fn run(&self, mut command: Command) -> Run {
        let start = Instant::now();
        let mut child = command.spawn().expect("allocspec starts");
        let Some(status) = wait(&mut child, HOPELESS) else {
            child
                .kill()
                .and_then(|()| child.wait())
                .expect("a child can be killed");
            panic!("{command:?} was still running after {HOPELESS:?}");
        };
        let run = Run {
            status: status.code(),
            stdout: self.read("stdout"),
            stderr: self.read("stderr"),
            elapsed: start.elapsed(),
        };
        assert!(
            run.status.is_some(),
            "{command:?} was ended by a signal: {status}\n{}",
            run.stderr
        );
        assert_ne!(
            run.status,
            Some(3),
            "{command:?}: an internal error\n{}",
            run.stderr
        );
        self.assert_nothing_left(Duration::from_secs(1));
        run
    }

    /// Runs `check SUBJECT` for [`BUDGET`] with further arguments, and reads its report.
    pub fn check(&self, subject: impl AsRef<OsStr>, arguments: &[&str]) -> Report {
        self.check_for(BUDGET, subject, arguments)
    }

    /// The same for a time of one's own.
    pub fn check_for(
        &self,
        time: Duration,
        subject: impl AsRef<OsStr>,
        arguments: &[&str],
    ) -> Report {
        let run = self.run(self.check_command(time, subject.as_ref(), arguments));
        run.assert_in_time(time);
        let report = Report::read(&run, arguments.contains(&"--strict"));
        assert!(report.ops() > 0, "no operation was executed");
        report
    }

    /// Runs `replay` on these lines of a trace, with further arguments, and reads its report.
    pub fn replay(&self, subject: impl AsRef<OsStr>, lines: &str, arguments: &[&str]) -> Report {
        let trace = self.path("case.trace");
        fs::write(&trace, format!("# allocspec trace 1\n{lines}\n")).expect("a trace in the room");
        let mut command =
            self.command(&[OsStr::new("replay"), trace.as_os_str(), subject.as_ref()]);
        command.args(["--format", "json"]).args(arguments);
        Report::read(&self.run(command), false)
    }

    /// `check SUBJECT --format json` with further arguments, and a seed that is always the same unless they name one.
    pub fn check_command(&self, time: Duration, subject: &OsStr, arguments: &[&str]) -> Command {
        let mut command = self.command(&[OsStr::new("check"), subject]);
        let time = format!("{}ms", time.as_millis());
        command.args(["--format", "json", "--time", &time]);
        if !arguments.contains(&"--seed") {
            command.args(["--seed", "7"]);
        }
        command.args(arguments);
        command
    }

    /// Asserts that the check cannot be made, and that one line says why: it names `words`.
    pub fn assert_refused(&self, subject: impl AsRef<OsStr>, arguments: &[&str], words: &[&str]) {
        let run = self.run(self.check_command(BUDGET, subject.as_ref(), arguments));
        run.assert_in_time(BUDGET);
        run.assert_usage_error(words);
    }

    /// Asserts that no process works in this room, at the latest after `grace`, and that runs left no file.
    pub fn assert_nothing_left(&self, grace: Duration) {
        self.assert_no_process(grace);
        for place in [self.work(), self.temporary()] {
            let left: Vec<_> = fs::read_dir(&place)
                .expect("a directory")
                .flatten()
                .map(|entry| entry.path())
                .collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }

    /// Asserts that no process works in this room, at the latest after `grace`.
    fn assert_no_process(&self, grace: Duration) {
        let start = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed() < grace, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes whose working directory or environment is of this room. A zombie has neither.
    fn processes(&self) -> Vec<String> {
        let mark = self.temporary().into_os_string().into_encoded_bytes();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("procfs").flatten() {
            let process = entry.path();
            let here = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == self.work());
            let marked = fs::read(process.join("environ"))
                .is_ok_and(|environ| environ.windows(mark.len()).any(|window| window == mark));
            if here || marked {
                let line = fs::read(process.join("cmdline")).unwrap_or_default();
                found.push(format!(
                    "{}: {}",
                    process.display(),
                    String::from_utf8_lossy(&line).replace('\0', " ")
                ));
            }
        }
        found
    }

    /// What a run wrote to `stdout` or `stderr`.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).expect("a file just written");
        String::from_utf8(bytes).expect("the output is UTF-8")
    }
}

impl Run {
    /// Asserts that a check with this budget took no more than it may.
    pub fn assert_in_time(&self, budget: Duration) {
        let limit = budget.mul_f64(1.2) + SLACK;
        assert!(
            self.elapsed <= limit,
            "took {:?} of {limit:?}\n{}",
            self.elapsed,
            self.stderr
        );
    }

    /// Asserts status 2 and one line on stderr that has all `words`, in whatever case; stdout is empty or a JSON report of the error.
    pub fn assert_usage_error(&self, words: &[&str]) {
        assert_eq!(self.status, Some(2), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(
            self.stderr.lines().count(),
            1,
            "not one line: {:?}",
            self.stderr
        );
        let said = self.stderr.to_lowercase();
        for word in words {
            assert!(
                said.contains(&word.to_lowercase()),
                "does not say {word:?}: {}",
                self.stderr
            );
        }
        if !self.stdout.is_empty() {
            let report: serde_json::Value =
                serde_json::from_str(&self.stdout).expect("JSON or nothing");
            assert_eq!(report["verdict"], "error");
        }
    }
}

/// Waits for a child at most so long.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Runs a compiler. False, with a word why, if there is none; in CI there must be one.
pub fn compiled(cc: &mut Command) -> bool {
    match cc.output() {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{cc:?}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            true
        }
        Err(error) => {
            skip(&format!("`cc` does not run: {error}"));
            false
        }
    }
}

/// Says why a test is skipped; in CI none may be.
pub fn skip(reason: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "nothing is skipped in CI: {reason}"
    );
    eprintln!("skipped: {reason}");
}

/// Lets anybody read, write and execute a file.
pub fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("the owner may do so");
}
