//! The supervisor's side of a worker: starting it, giving it programs, and outliving whatever it does.

use super::learn::Learned;
use super::process;
use super::protocol::{Calling, Carrier, Ended, Hello, Order, Report, VARIABLE};
use super::python;
use super::shared::Shared;
use super::strays;
use crate::program::{Op, Program};
use crate::shadow::{Conduct, Death, Ledger, LiveBlock, Moment, Outcome};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a waiting supervisor looks whether the worker still lives and moves.
const GLANCE: Duration = Duration::from_millis(20);
/// How long loading a subject may take without any sign of life.
const LOADING: Duration = Duration::from_secs(2);
/// Bytes a second that a subject may take to clear or to copy.
const BYTES_PER_SECOND: u64 = 512 << 20;
/// Bytes a subject may be asked for that it could really clear or copy.
const REAL: u64 = 8 << 30;
/// Bytes of output that are thrown away while the subject runs.
const MUCH_OUTPUT: u64 = 1 << 20;
/// Bytes of a subject's output that are kept.
const KEPT_OUTPUT: usize = 600;
/// How much longer than the limit a process that gets no processor time is waited for.
const STARVED: u32 = 10;
/// The part of its patience that a process must have worked inside a call for it to hang there: one in so many.
const BUSY: u32 = 12;
/// The part of its patience for which a supervisor waits for a worker that should have stopped: one in so many.
const GRACE: u32 = 4;
/// Clock ticks a second in `/proc`.
const TICKS: u64 = 100;

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
}

/// How long to wait for a worker.
#[derive(Clone, Copy)]
struct Limits {
    /// Time without progress that counts as hanging.
    patience: Duration,
    /// When to stop it whatever it does, in nanoseconds of the monotonic clock.
    latest: u64,
    /// Whether the harness has work of its own in between, which is not to be taken for hanging.
    shared: bool,
    /// When to stop it even inside a call that may be hanging, in nanoseconds of the monotonic clock.
    last: u64,
}

/// What waiting for a worker came to.
enum Waited {
    /// It dealt with its order.
    Done,
    /// It died, or was killed because it hung.
    Died(Death),
    /// It was killed because there was no more time.
    OutOfTime,
}

/// See [`Run`].
#[derive(Debug)]
pub enum End {
    /// The process told.
    Told(Ended),
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

/// A worker.
pub struct Worker {
    process: Child,
    /// Whether it has been waited for: its number may be another's since.
    reaped: bool,
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

impl Limits {
    /// Until `deadline`, when the worker stops by itself once the call it is in returns, and a little longer. A call that
    /// began before is given its time if there is that much until `last`: it may be hanging.
    fn until(deadline: u64, patience: Duration, last: u64) -> Limits {
        Limits {
            patience,
            latest: deadline.saturating_add((patience / GRACE).as_nanos() as u64),
            shared: true,
            last,
        }
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
        let mut worker = Worker::spawn(launch, shared, false).map_err(StartError::Refused)?;
        let patience = launch.patience.max(LOADING);
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
        let mut worker = Worker::spawn(launch, shared, true)?;
        let waited = worker.wait(launch.limits(deadline, last), |index| {
            effort(program, index)
        });
        total.absorb(worker.shared.ledger());
        Ok(worker.conclude(waited))
    }

    fn spawn(launch: &Launch, shared: Shared, once: bool) -> io::Result<Worker> {
        let output = memory_file()?;
        let fd = shared.file().as_raw_fd();
        let inherited = high_descriptor(fd)?;
        let calling = Calling {
            fd: inherited.as_raw_fd(),
            supervisor: std::process::id(),
            supervisor_fd: fd,
            carrier: launch.carrier.clone(),
            once,
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
        if let Some(library) = &launch.preload {
            command.env("LD_PRELOAD", library);
        }
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
        total.absorb(self.shared.ledger());
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

    /// Changes how long a call may take before it counts as hanging, and when a program is stopped even inside one.
    pub fn set_limits(&mut self, patience: Duration, last: u64) {
        self.patience = patience;
        self.last = last;
    }

    /// What became of the last order.
    fn conclude(&mut self, waited: Waited) -> Run {
        let late = self.take_output();
        let said = std::mem::take(&mut self.early) + &late;
        let report = self.shared.take_report::<Report>();
        let died = match waited {
            Waited::OutOfTime => {
                let end = End::Told(Ended::OutOfTime);
                return Run {
                    end,
                    said,
                    outcomes: Vec::new(),
                    live: Vec::new(),
                    resized: (0, 0),
                };
            }
            Waited::Died(death) => Some(death),
            Waited::Done => death_of(self.shared.status(), self.shared.fault(), report.is_some()),
        };
        let (op_index, moment) = self.shared.ledger().position();
        let resized = self.shared.ledger().resized();
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
        }
    }

    /// Waits until the order is dealt with, however that goes. `effort` says how much longer than others the operation
    /// at a position may take.
    fn wait(&mut self, limits: Limits, effort: impl Fn(usize) -> Duration) -> Waited {
        let mut position = self.pulse();
        let mut since = Instant::now();
        let mut ticks = None;
        loop {
            if self.shared.wait_done(GLANCE) {
                return Waited::Done;
            }
            self.drain_output();
            if let Some(status) = self.poll() {
                // One that deals with a single order ends when it has; it may have ended badly.
                if self.shared.wait_done(Duration::ZERO) {
                    return Waited::Done;
                }
                let reported = self.shared.take_report::<serde_json::Value>().is_some();
                return match ended(status, self.shared.fault(), reported) {
                    Ok(()) => Waited::Done,
                    Err(death) => Waited::Died(death),
                };
            }
            let now = self.pulse();
            if now != position {
                (position, since, ticks) = (now, Instant::now(), None);
                continue;
            }
            let stat = Stat::of(self.at_work());
            let started = *ticks.get_or_insert(stat.ticks);
            let patience = limits.patience + effort(now.1);
            let in_call = self.shared.ledger().position().1 == Moment::Call;
            let late = process::now()
                > if in_call {
                    limits.latest.max(limits.last)
                } else {
                    limits.latest
                };
            if since.elapsed() < patience && !late {
                continue;
            }
            // A process that wants the processor and does not get it is not hanging, and neither is one that is busy
            // with what the harness does for itself.
            let worked = Duration::from_millis((stat.ticks.saturating_sub(started)) * 1000 / TICKS);
            let busy =
                stat.state == b'R' && (worked < patience / BUSY || (limits.shared && !in_call));
            let limit = if busy { patience * STARVED } else { patience };
            if since.elapsed() >= limit {
                let millis = since.elapsed().as_millis() as u64;
                self.kill();
                return Waited::Died(Death::Hang { millis });
            }
            if late {
                self.kill();
                return Waited::OutOfTime;
            }
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

    /// What changes when the process at work moves.
    fn pulse(&self) -> (u64, usize, i32) {
        let ledger = self.shared.ledger();
        (ledger.ops(), ledger.position().0, self.shared.child())
    }

    /// The process that deals with the order.
    fn at_work(&self) -> i32 {
        let worker = self.process.id() as i32;
        let child = self.shared.child();
        if child > 0 && Stat::of(child).parent == worker {
            child
        } else {
            worker
        }
    }

    /// Ends the process at work; the worker goes on if that was its child.
    fn kill(&mut self) {
        let victim = self.at_work();
        // SAFETY: the worker, or a child of it, as was just looked up.
        unsafe { libc::kill(victim, libc::SIGKILL) };
        let gone = Instant::now();
        while victim != self.process.id() as i32
            && !self.shared.wait_done(GLANCE)
            && gone.elapsed() < Duration::from_secs(5)
        {}
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
        let process = self.process.id() as i32;
        if !self.reaped {
            // SAFETY: the worker made itself the leader of a group of its number, which is nobody else's before it is
            // waited for.
            unsafe { libc::kill(-process, libc::SIGKILL) };
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        strays::end_those_of(process);
    }
}

/// How long an operation may take for the bytes it may move alone.
fn effort(program: &Program, index: usize) -> Duration {
    // Some fill what they hand out, whoever asked for it.
    let bytes = program.ops.get(index).and_then(Op::size);
    let bytes = bytes.filter(|&bytes| bytes <= REAL).unwrap_or(0);
    Duration::from_millis(bytes / (BYTES_PER_SECOND / 1000))
}

/// Between fork and exec: a group of its own, orphans below it for its children, no core files, the same addresses every
/// time, the usual end of a program whose files may not grow, and no life after the supervisor's.
fn prepare_process(keep: &[i32], supervisor: i32) -> io::Result<()> {
    const ADDR_NO_RANDOMIZE: libc::c_ulong = 0x0004_0000;
    let no_core = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: plain requests to the kernel.
    unsafe {
        libc::setpgid(0, 0);
        // Already now: constructors run before the worker does.
        strays::adopt();
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
        libc::personality(ADDR_NO_RANDOMIZE);
        libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != supervisor {
            // It died before this process asked to be told.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for &descriptor in keep {
            if libc::fcntl(descriptor, libc::F_SETFD, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// A copy of a descriptor with a number that few programs think of closing.
fn high_descriptor(fd: i32) -> io::Result<OwnedFd> {
    const HIGH: i32 = 700;
    // SAFETY: the copy is new and ours.
    unsafe {
        let mut copy = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, HIGH);
        if copy < 0 {
            copy = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
        }
        if copy < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

/// A file in memory for a subject's output.
fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string; the descriptor is new and ours.
    unsafe {
        let fd = libc::memfd_create(c"allocspec-output".as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let file = File::from_raw_fd(fd);
        if libc::fcntl(fd, libc::F_SETFL, libc::O_APPEND) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(file)
    }
}

/// How a process ended that had to report and then exit with 0; `None` if it did.
fn death_of(status: i32, fault: Option<u64>, reported: bool) -> Option<Death> {
    ended(ExitStatus::from_raw(status), fault, reported).err()
}

fn ended(status: ExitStatus, fault: Option<u64>, reported: bool) -> Result<(), Death> {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let with_address = [libc::SIGSEGV, libc::SIGBUS].contains(&signal);
            Err(Death::Signal {
                signal,
                address: fault.filter(|_| with_address),
            })
        }
        (None, Some(0)) if reported => Ok(()),
        (None, code) => Err(Death::Exit {
            status: code.unwrap_or(0),
        }),
    }
}

/// What `/proc/PID/stat` says.
#[derive(Default)]
struct Stat {
    state: u8,
    parent: i32,
    ticks: u64,
}

impl Stat {
    fn of(process: i32) -> Stat {
        let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything, also parentheses.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let number = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse().ok())
                .unwrap_or(0)
        };
        Stat {
            state: fields
                .first()
                .and_then(|state| state.bytes().next())
                .unwrap_or(0),
            parent: number(1) as i32,
            ticks: number(11) + number(12),
        }
    }
}
