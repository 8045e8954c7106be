//! A Python interpreter with the agent in it.

use super::LockstepError;
use super::play::Step;
use super::stage::HOME;
use super::wire::{Board, NO_ARENAS, NO_MEMORY, READY, STATISTICS, STEPS, TEXT, WORDS};
use crate::pymalloc::{Edition, Version};
use crate::run::python;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::ptr;
use std::time::Duration;

/// The agent, as the build script compiled it.
static AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent.so"));

/// What the interpreter is told to do once it is known to be one: to say what it is, and to hand over to the agent.
const DRIVER: &str = "\
for name in ('PyMem_SetAllocator', 'PyObject_SetArenaAllocator', 'PyObject_Calloc'):
    if not hasattr(ctypes.pythonapi, name):
        refuse('CPython %d.%d has no %s; 3.5 is the first that can be followed' % (sys.version_info[:2] + (name,)))
sys.stdout.write('%d.%d.%d\\n' % sys.version_info[:3])
sys.stdout.flush()
library, board = (int(number) for number in sys.argv[1:3])
ctypes.PyDLL('/proc/self/fd/%d' % library).allocspec_agent(board)
";

/// How long an interpreter may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The bytes of a line of standard error that are told.
const TOLD: usize = 300;

/// A running interpreter that has been brought into a known state and waits for steps.
pub struct Interpreter {
    python: PathBuf,
    /// What it is.
    pub edition: Edition,
    /// The bytes to which its vector of arenas would be resized next.
    pub vector: u64,
    child: Child,
    commands: ChildStdin,
    answers: ChildStdout,
    said: File,
    board: *mut Board,
}

impl Interpreter {
    /// Starts the interpreter at this path, or of this name in `PATH`.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or cannot be followed; the message says why.
    pub fn start(python: &Path) -> Result<Interpreter, LockstepError> {
        let library =
            in_memory(c"allocspec-agent", AGENT.len() as u64).map_err(machine("memory"))?;
        library.write_all_at(AGENT, 0).map_err(machine("memory"))?;
        let shared =
            in_memory(c"allocspec-board", size_of::<Board>() as u64).map_err(machine("memory"))?;
        let said = in_memory(c"allocspec-stderr", 0).map_err(machine("memory"))?;
        let board = map_board(&shared).map_err(machine("memory"))?;
        let stderr = said.try_clone().map_err(machine("a descriptor"))?;
        let mut command = python::bare(python);
        command
            .args(["-s", "-S", "-c", &format!("{}{DRIVER}", python::PRELUDE)])
            .args([&library, &shared].map(|file| file.as_raw_fd().to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        command.env("PYTHONMALLOC", "pymalloc");
        let refused = |reason: String| LockstepError::Refused {
            python: python.to_owned(),
            reason,
        };
        let mut child = command
            .spawn()
            .map_err(|error| refused(format!("it cannot be started: {error}")))?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(refused(
                "its standard input and output are not at hand".into(),
            ));
        };
        let mut interpreter = Interpreter {
            python: python.to_owned(),
            edition: Edition::USUAL,
            vector: 0,
            child,
            commands,
            answers,
            said,
            board,
        };
        interpreter.greet()?;
        Ok(interpreter)
    }

    /// Hears what it is, and which layout it has.
    fn greet(&mut self) -> Result<(), LockstepError> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            self.hear(&mut byte)?;
            line.push(byte[0]);
            if line.len() > 32 {
                return Err(self.refused("it does not say what it is".into()));
            }
        }
        let text = String::from_utf8_lossy(&line);
        let version: Version = match text.trim().parse() {
            Ok(version) => version,
            Err(_) => return Err(self.refused(format!("it says that it is {:?}", text.trim()))),
        };
        match self.answer()? {
            READY => {}
            NO_MEMORY => {
                let reason = format!("the memory at {HOME:#x} cannot be had there");
                return Err(self.refused(reason));
            }
            NO_ARENAS => {
                let reason = "its PyObject_Malloc does not ask for arenas: is it not pymalloc?";
                return Err(self.refused(reason.into()));
            }
            other => return Err(self.refused(format!("the agent answered {other}"))),
        }
        let board = self.board();
        let (alignment, pool, arena) = (board.alignment, board.pool, board.arena);
        let seen = (alignment as usize, pool as usize, arena as usize);
        self.vector = board.vector;
        let Some(build) = version.build_with(seen) else {
            let (alignment, pool, arena) = seen;
            return Err(self.refused(format!(
                "CPython {version} with blocks {alignment} bytes apart, pools of {pool} and arenas of {arena} bytes has \
                 no layout that is known"
            )));
        };
        self.edition = Edition { version, build };
        Ok(())
    }

    /// Has it play the steps and says what came of them.
    ///
    /// # Errors
    ///
    /// When it ended, or does not answer.
    pub fn play(&mut self, steps: &[Step]) -> Result<&[u64], LockstepError> {
        assert!(steps.len() <= STEPS);
        // SAFETY: the interpreter waits for a command, and does not touch the board until it has one.
        unsafe { (&mut (*self.board).steps)[..steps.len()].copy_from_slice(steps) };
        let words = self.ask(steps.len() as u64)?.min(WORDS as u64);
        Ok(&self.board().record[..words as usize])
    }

    /// Requests that were failed on purpose so far.
    pub fn failed(&self) -> u64 {
        self.board().failed
    }

    /// The statistics of its allocator, as `sys._debugmallocstats` prints them.
    ///
    /// # Errors
    ///
    /// As for [`play`](Interpreter::play).
    pub fn statistics(&mut self) -> Result<String, LockstepError> {
        let length = self.ask(STATISTICS)?.min(TEXT as u64);
        let text = &self.board().text[..length as usize];
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Copies what lies at this distance from the start of its region.
    ///
    /// # Errors
    ///
    /// When its memory cannot be read.
    pub fn peek(&self, offset: usize, to: &mut [u8]) -> io::Result<()> {
        let memory = File::open(format!("/proc/{}/mem", self.child.id()))?;
        memory.read_exact_at(to, (HOME + offset) as u64)
    }

    fn board(&self) -> &Board {
        // SAFETY: mapped as long as this lives, and the interpreter leaves it alone while it waits.
        unsafe { &*self.board }
    }

    fn ask(&mut self, command: u64) -> Result<u64, LockstepError> {
        // If nobody is there to read it, nobody will answer either.
        let _ = self.commands.write_all(&command.to_ne_bytes());
        self.answer()
    }

    fn answer(&mut self) -> Result<u64, LockstepError> {
        let mut word = [0; 8];
        self.hear(&mut word)?;
        Ok(u64::from_ne_bytes(word))
    }

    /// Reads from its standard output.
    fn hear(&mut self, to: &mut [u8]) -> Result<(), LockstepError> {
        let mut poll = libc::pollfd {
            fd: self.answers.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one record of ours.
        let ready = unsafe { libc::poll(&raw mut poll, 1, PATIENCE.as_millis() as i32) };
        if ready == 0 {
            return Err(self.refused(format!("it did not answer for {} s", PATIENCE.as_secs())));
        }
        match self.answers.read_exact(to) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended()),
        }
    }

    /// Why it is gone: its last words, or how it ended.
    fn ended(&mut self) -> LockstepError {
        let status = self.child.wait();
        let mut said = String::new();
        let _ = self.said.seek(SeekFrom::Start(0));
        let _ = self.said.read_to_string(&mut said);
        let how = match status {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("it exited with status {code}"),
                (_, Some(signal)) => format!("it was killed by signal {signal}"),
                _ => "it ended".into(),
            },
            Err(error) => format!("it ended: {error}"),
        };
        let short = |line: &str| line.chars().take(TOLD).collect::<String>();
        self.refused(match python::last_words(&said) {
            Some((own, true)) => short(own),
            Some((line, false)) => format!("{how}: {}", short(line)),
            // Nothing but the agent makes the vector known.
            None if self.vector == 0 => format!("{how}; is it a Python interpreter?"),
            None => how,
        })
    }

    fn refused(&self, reason: String) -> LockstepError {
        LockstepError::Refused {
            python: self.python.clone(),
            reason,
        }
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // It may be in the middle of anything, and has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // SAFETY: nobody has a reference into it any more.
        unsafe { libc::munmap(self.board.cast(), size_of::<Board>()) };
    }
}

fn machine(what: &'static str) -> impl Fn(io::Error) -> LockstepError {
    move |error| LockstepError::Machine {
        what,
        reason: error.to_string(),
    }
}

/// A file in memory that child processes inherit.
fn in_memory(name: &std::ffi::CStr, size: u64) -> io::Result<File> {
    // SAFETY: the name is a C string; the descriptor is new and ours.
    let file = unsafe {
        let fd = libc::memfd_create(name.as_ptr(), 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(fd)
    };
    file.set_len(size)?;
    Ok(file)
}

fn map_board(file: &File) -> io::Result<*mut Board> {
    // SAFETY: a new mapping of a file that is as long as a board; any bytes make one.
    let board = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size_of::<Board>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if board == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(board.cast())
}
