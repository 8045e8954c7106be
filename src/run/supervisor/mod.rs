//! The supervisor's side of a worker: starting it, giving it programs, and outliving whatever it does.

mod fate;
pub mod launch;
pub mod library;
mod patience;
mod preparing;
pub mod python;

use crate::program::Program;
use crate::run::learn::Learned;
use crate::run::misuse::{Aftermath, Scene, Stage};
use crate::run::process;
use crate::run::protocol::{Calling, Carrier, Ended, Hello, Order, Report, VARIABLE};
use crate::run::shared::Shared;
use crate::run::strays;
use crate::shadow::{Conduct, Death, Ledger, LiveBlock, Moment, Outcome, is_killed};
use fate::{Ending, death_of};
use patience::{Limits, Waited, effort};
use preparing::{copy_of_program, high_descriptor, memory_file, prepare_process};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long loading a subject may take without any sign of life.
const LOADING: Duration = Duration::from_secs(2);
/// An interpreter may be started by scripts that look for it, on a disk that is cold.
const LOADING_PYTHON: Duration = Duration::from_secs(10);
/// What each stage of a misuse may take longer than a call: many blocks are filled and read.
const MISUSING: Duration = Duration::from_secs(1);
/// Bytes of output that are thrown away while the subject runs.
const MUCH_OUTPUT: u64 = 1 << 20;
/// Bytes of a subject's output that are kept.
const KEPT_OUTPUT: usize = 600;

/// How to start workers for a subject.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The subject as the user names it, for messages.
    pub name: PathBuf,
    /// What carries the subject.
    pub carrier: Carrier,
    /// The library to preload.
    pub preload: Option<PathBuf>,
    /// The Python interpreter that workers live in.
    pub python: Option<PathBuf>,
    /// Whether the subject writes while it is loaded, whatever is called of it.
    pub noisy: bool,
    /// Variables for the subject.
    pub env: Vec<(String, String)>,
    /// How long a call may take before it counts as hanging.
    pub patience: Duration,
}

/// Why a worker could not be started.
#[derive(Debug)]
pub enum StartError {
    /// The library could not be opened.
    NotOpened(String),
    /// The process ended before it was ready; what it said.
    Died(Death, String),
    /// The machine refused.
    Refused(io::Error),
}

/// How the run of a program ended, as the supervisor sees it.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// What the subject wrote to standard output and standard error.
    pub said: String,
    /// What each operation gave, if it was looked at closely and the process lived to tell.
    pub outcomes: Vec<Outcome>,
    /// Blocks that were live.
    pub live: Vec<LiveBlock>,
    /// The address and size of the block that was last about to be resized.
    pub resized: (u64, u64),
    /// System calls that failed on purpose.
    pub failed: u64,
}

/// See [`Run`].
#[derive(Debug)]
pub enum End {
    /// The process told.
    Told(Ended),
    /// The worker died, or hung, before there was a process that began with the program, or where it should have waited for
    /// that.
    Unborn(Death),
    /// The process died, at this operation and moment.
    Died {
        /// how
        death: Death,
        /// the position of the operation
        op_index: usize,
        /// what was being done
        moment: Moment,
    },
}

/// What came of a misuse.
#[derive(Debug)]
pub struct Played {
    /// What the heap was like afterwards, if there was a block to misuse; or how the process died.
    pub end: Result<Option<Aftermath>, Death>,
    /// How far it was.
    pub stage: Stage,
    /// What the subject wrote to standard output and standard error.
    pub said: String,
}

/// A worker.
pub struct Worker {
    process: Child,
    /// Whether it has been waited for: its number may be another's since.
    reaped: bool,
    /// Tells when it ends, if that is how it is done with its order.
    ending: Option<Ending>,
    shared: Shared,
    output: File,
    /// What a subject that prints much wrote first.
    early: String,
    patience: Duration,
    last: u64,
}

impl Launch {
    fn limits(&self, deadline: u64, last: u64) -> Limits {
        Limits::until(deadline, self.patience, last)
    }
}

impl Worker {
    /// Starts a worker and waits until it has its subject.
    ///
    /// # Errors
    ///
    /// When it could not be started; see [`StartError`].
    pub fn start(launch: &Launch) -> Result<(Worker, Hello, String), StartError> {
        let shared = Shared::create().map_err(StartError::Refused)?;
        shared.call();
        let mut worker = Worker::spawn(launch, shared, None).map_err(StartError::Refused)?;
        let loading = match launch.python {
            Some(_) => LOADING_PYTHON,
            None => LOADING,
        };
        let patience = launch.patience.max(loading);
        let ready = worker.wait(
            Limits {
                patience,
                latest: u64::MAX,
                shared: false,
                last: u64::MAX,
            },
            |_| Duration::ZERO,
        );
        let said = worker.take_output();
        match (worker.shared.take_report::<Hello>(), ready) {
            (Some(Hello::NotOpened(reason)), _) => Err(StartError::NotOpened(reason)),
            (Some(hello), Waited::Done) => Ok((worker, hello, said)),
            (_, Waited::Died(death)) => Err(StartError::Died(death, said)),
            (_, Waited::Done | Waited::OutOfTime) => {
                Err(StartError::Died(Death::Exit { status: 0 }, said))
            }
        }
    }

    /// Runs a program in a process of its own in which nothing was called before.
    ///
    /// # Errors
    ///
    /// When the machine refuses a process.
    pub fn run_once(
        launch: &Launch,
        program: &Program,
        conduct: &Conduct,
        deadline: u64,
        last: u64,
        total: &Ledger,
    ) -> io::Result<Run> {
        let shared = Shared::create()?;
        shared.give(&Order::run(program.rule, conduct, deadline), &program.ops)?;
        let mut worker = Worker::spawn(launch, shared, Some(program))?;
        let waited = worker.wait(launch.limits(deadline, last), |index| {
            effort(program, index)
        });
        worker.shared.add_to(total);
        let mut run = worker.conclude(waited);
        // This process has loaded the subject for this program alone.
        if let End::Unborn(death) = run.end {
            let (op_index, moment) = (0, Moment::Idle);
            run.end = End::Died {
                death,
                op_index,
                moment,
            };
        }
        Ok(run)
    }

    /// Starts a worker; one for a single program if there is one.
    fn spawn(launch: &Launch, shared: Shared, once: Option<&Program>) -> io::Result<Worker> {
        let output = memory_file()?;
        let fd = shared.file().as_raw_fd();
        let inherited = high_descriptor(fd)?;
        let is_loaded_late =
            launch.python.is_some() || matches!(launch.carrier, Carrier::Opened { .. });
        let early = once.is_some_and(Program::is_in_constructor) && !is_loaded_late;
        let copy = early
            .then(copy_of_program)
            .flatten()
            .map(|copy| high_descriptor(copy.as_raw_fd()))
            .transpose()?;
        let calling = Calling {
            fd: inherited.as_raw_fd(),
            supervisor: std::process::id(),
            supervisor_fd: fd,
            carrier: launch.carrier.clone(),
            once: once.is_some(),
            early: copy.is_some(),
        };
        let calling = serde_json::to_string(&calling)?;
        let mut kept = vec![inherited];
        let mut command = match &launch.python {
            None => {
                let mut command = Command::new("/proc/self/exe");
                command.arg0("allocspec-worker").env(VARIABLE, calling);
                command
            }
            Some(python) => {
                let program = File::open("/proc/self/exe")?;
                let program = high_descriptor(program.as_raw_fd())?;
                let command = python::command(python, program.as_raw_fd(), &calling);
                kept.push(program);
                command
            }
        };
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .env_remove("LD_PRELOAD");
        command.envs(launch.env.iter().map(|(name, value)| (name, value)));
        let library = launch
            .preload
            .iter()
            .map(|library| library.as_os_str().to_owned());
        let copied = copy
            .iter()
            .map(|copy| format!("/proc/self/fd/{}", copy.as_raw_fd()).into());
        let preloaded: Vec<OsString> = library.chain(copied).collect();
        if !preloaded.is_empty() {
            command.env("LD_PRELOAD", preloaded.join(OsStr::new(":")));
        }
        kept.extend(copy);
        if matches!(launch.carrier, Carrier::Opened { .. }) {
            // Room for the thread-local storage of allocators that were not made to be opened late.
            let tunables = std::env::var("GLIBC_TUNABLES").unwrap_or_default();
            let room = "glibc.rtld.optional_static_tls=65536";
            let separator = if tunables.is_empty() { "" } else { ":" };
            command.env("GLIBC_TUNABLES", format!("{tunables}{separator}{room}"));
        }
        let keep: Vec<i32> = kept.iter().map(AsRawFd::as_raw_fd).collect();
        let supervisor = std::process::id() as i32;
        // SAFETY: only system calls that are safe between fork and exec, on values copied in.
        unsafe { command.pre_exec(move || prepare_process(&keep, supervisor)) };
        let process = strays::spawn_worker(&mut command)?;
        Ok(Worker {
            ending: once.and_then(|_| Ending::of(&process)),
            process,
            reaped: false,
            shared,
            output,
            early: String::new(),
            patience: launch.patience,
            last: u64::MAX,
        })
    }

    /// Runs a program in a fresh process; `total` takes what the run counted.
    ///
    /// # Errors
    ///
    /// When the program is too long, or the worker itself is gone and must be started again.
    pub fn run(
        &mut self,
        program: &Program,
        conduct: &Conduct,
        deadline: u64,
        total: &Ledger,
    ) -> io::Result<Run> {
        self.shared
            .give(&Order::run(program.rule, conduct, deadline), &program.ops)?;
        let patience = self.patience;
        let waited = self.wait(Limits::until(deadline, patience, self.last), |index| {
            effort(program, index)
        });
        self.shared.add_to(total);
        Ok(self.conclude(waited))
    }

    /// Learns what can be learned by asking; nothing if that cannot be had in time.
    ///
    /// # Errors
    ///
    /// When the worker itself is gone and must be started again.
    pub fn learn(&mut self, time: Duration) -> io::Result<Learned> {
        let deadline = process::now() + time.as_nanos() as u64;
        self.shared.give(&Order::Learn { deadline }, &[])?;
        let waited = self.wait(
            Limits {
                shared: false,
                ..Limits::until(deadline, time + self.patience, u64::MAX)
            },
            |_| Duration::ZERO,
        );
        self.take_output();
        let learned = matches!(waited, Waited::Done)
            .then(|| self.shared.take_report())
            .flatten();
        Ok(learned.unwrap_or_default())
    }

    /// Misuses the subject in a fresh process.
    ///
    /// # Errors
    ///
    /// When the worker itself is gone and must be started again.
    pub fn misuse(&mut self, scene: &Scene) -> io::Result<Played> {
        self.take_output();
        self.shared.give(&Order::Misuse(*scene), &[])?;
        let patience = self.patience;
        let limits = Limits::until(u64::MAX, patience, u64::MAX);
        let waited = self.wait(limits, |_| MISUSING);
        let is_lost = match waited {
            Waited::Done => false,
            Waited::Died(death) => self.is_lost(death),
            Waited::OutOfTime => self.shared.is_outside(),
        };
        if is_lost {
            return Err(io::Error::other("it hung or ended before it began"));
        }
        let report = self.shared.take_report::<Option<Aftermath>>();
        let reported = report.is_some();
        let died = match waited {
            Waited::Died(death) => Some(death),
            Waited::Done | Waited::OutOfTime => {
                death_of(self.shared.status(), self.shared.fault(), reported)
            }
        };
        let end = match (died, report) {
            (None, Some(aftermath)) => Ok(aftermath),
            // Without a report that can be read, what it said of its end is not to be believed.
            (died, _) => Err(died.unwrap_or(Death::Exit { status: 0 })),
        };
        let late = self.take_output();
        Ok(Played {
            end,
            stage: Stage::at(self.shared.ledger().position().0),
            said: std::mem::take(&mut self.early) + &late,
        })
    }

    /// Whether the worker can take orders.
    pub fn is_alive(&mut self) -> bool {
        self.poll().is_none()
    }

    /// How the worker ended, if it has.
    fn poll(&mut self) -> Option<ExitStatus> {
        let status = self.process.try_wait().ok().flatten();
        self.reaped |= status.is_some();
        status
    }

    /// Ends the worker with all of its group, and waits until it is gone: who has been killed lives on for a while, and would
    /// take an order along.
    fn end(&mut self) {
        if self.reaped {
            return;
        }
        // SAFETY: the worker made itself the leader of a group of its number, which is nobody else's before it is waited
        // for.
        unsafe { libc::kill(-(self.process.id() as i32), libc::SIGKILL) };
        let _ = self.process.kill();
        self.reaped = self.process.wait().is_ok();
    }

    /// Changes how long a call may take before it counts as hanging, and when a program is stopped even inside one.
    pub fn set_limits(&mut self, patience: Duration, last: u64) {
        self.patience = patience;
        self.last = last;
    }

    /// Whether it is the worker itself that ended, where no order was being dealt with. Whoever has begun with one may have
    /// killed the worker.
    fn is_lost(&self, death: Death) -> bool {
        self.shared.is_outside() && !(is_killed(death) && self.shared.has_begun())
    }

    /// What became of the last order.
    fn conclude(&mut self, waited: Waited) -> Run {
        let late = self.take_output();
        let said = std::mem::take(&mut self.early) + &late;
        let report = self.shared.take_report::<Report>();
        let died = match waited {
            // A thread has told what it found, and another has kept the process from its end.
            _ if report.as_ref().is_some_and(Report::tells_a_finding) => None,
            Waited::OutOfTime => {
                let end = End::Told(Ended::OutOfTime);
                return Run {
                    end,
                    said,
                    outcomes: Vec::new(),
                    live: Vec::new(),
                    resized: (0, 0),
                    failed: 0,
                };
            }
            Waited::Died(death) => Some(death),
            Waited::Done => death_of(self.shared.status(), self.shared.fault(), report.is_some()),
        };
        let (op_index, moment) = self.shared.position();
        let resized = self.shared.resized();
        let (end, outcomes, live) = match (died, report) {
            (
                None,
                Some(Report {
                    ended,
                    outcomes,
                    live,
                }),
            ) => (End::Told(ended), outcomes, live),
            // Without a report that can be read, what it said of its end is not to be believed.
            (Some(death), _) if self.is_lost(death) => (End::Unborn(death), Vec::new(), Vec::new()),
            (died, _) => {
                let death = died.unwrap_or(Death::Exit { status: 0 });
                (
                    End::Died {
                        death,
                        op_index,
                        moment,
                    },
                    Vec::new(),
                    Vec::new(),
                )
            }
        };
        Run {
            end,
            said,
            outcomes,
            live,
            resized,
            failed: self.shared.ledger().interception().failed(),
        }
    }

    /// Keeps a subject that prints without end from filling memory.
    fn drain_output(&mut self) {
        if self
            .output
            .metadata()
            .is_ok_and(|metadata| metadata.len() > MUCH_OUTPUT)
        {
            let said = self.take_output();
            if self.early.is_empty() {
                self.early = said;
            }
        }
    }

    /// What the subject wrote since this was last asked, shortened.
    fn take_output(&mut self) -> String {
        let length = self.output.metadata().map_or(0, |metadata| metadata.len());
        if length == 0 {
            return String::new();
        }
        let mut bytes = vec![0; KEPT_OUTPUT.min(length as usize)];
        let read = self
            .output
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.output.read(&mut bytes));
        bytes.truncate(read.unwrap_or(0));
        // The processes share the position, and write at the end wherever it is.
        let _ = self.output.set_len(0);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
        strays::end_those_of(self.process.id() as i32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_was_killed_takes_no_other_order() {
        for _ in 0..20 {
            let process = Command::new("sleep").arg("60").spawn();
            let mut worker = Worker {
                process: process.expect("a process"),
                reaped: false,
                ending: None,
                shared: Shared::create().expect("memory to share"),
                output: memory_file().expect("a file in memory"),
                early: String::new(),
                patience: LOADING,
                last: u64::MAX,
            };
            assert!(worker.is_alive());
            worker.kill();
            assert!(!worker.is_alive(), "it would take the order along");
        }
    }
}
