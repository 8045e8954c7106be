//! How processes end, and what the kernel says of them meanwhile.

use crate::shadow::Death;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// Clock ticks a second in `/proc`.
pub(super) const TICKS: u64 = 100;

/// How a process ended that had to report and then exit with 0; `None` if it did.
pub(super) fn death_of(status: i32, fault: Option<u64>, reported: bool) -> Option<Death> {
    ended(ExitStatus::from_raw(status), fault, reported).err()
}

pub(super) fn ended(status: ExitStatus, fault: Option<u64>, reported: bool) -> Result<(), Death> {
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

/// Tells when a child of this process ends.
pub(super) struct Ending(OwnedFd);

impl Ending {
    /// Of this child; `None` where the kernel has no descriptors of processes.
    pub fn of(child: &Child) -> Option<Ending> {
        // SAFETY: a plain request to the kernel, about a child that was not waited for. Whoever has the descriptor owns it.
        unsafe {
            let descriptor = libc::syscall(libc::SYS_pidfd_open, child.id(), 0);
            let descriptor = i32::try_from(descriptor).ok().filter(|&it| it >= 0)?;
            Some(Ending(OwnedFd::from_raw_fd(descriptor)))
        }
    }

    /// Waits until the child has ended, but not longer than this.
    pub fn wait(&self, patience: Duration) {
        let mut poll = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let millis = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one structure of ours. Waking early is allowed for.
        unsafe { libc::poll(&raw mut poll, 1, millis) };
    }
}

/// What `/proc/PID/stat` says.
#[derive(Default)]
pub(super) struct Stat {
    pub state: u8,
    pub parent: i32,
    pub ticks: u64,
}

impl Stat {
    /// Of a process; the state is that of its first thread.
    pub fn of(process: i32) -> Stat {
        Stat::read(&format!("/proc/{process}/stat"))
    }

    /// Of a process, which is running if any thread of it is.
    pub fn of_threads(process: i32) -> Stat {
        let mut stat = Stat::of(process);
        let threads = std::fs::read_dir(format!("/proc/{process}/task"));
        let mut threads = threads.into_iter().flatten().flatten();
        let runs = |path: &Path| Stat::read(&path.join("stat").to_string_lossy()).state == b'R';
        if stat.state != b'R' && threads.any(|thread| runs(&thread.path())) {
            stat.state = b'R';
        }
        stat
    }

    /// Of the first thread of a process alone.
    pub fn of_first(process: i32) -> Stat {
        Stat::read(&format!("/proc/{process}/task/{process}/stat"))
    }

    fn read(path: &str) -> Stat {
        let text = std::fs::read_to_string(path).unwrap_or_default();
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

/// How often a thread must have had the processor for it to be known what it does with it.
const MANY_TURNS: u64 = 200;
/// Nanoseconds: a thread that works is not interrupted so soon, again and again.
const SHORT_TURN: u64 = 50_000;

/// What a thread has had of the processors: `/proc/PID/schedstat`. Nothing where the kernel keeps no account of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Turns {
    nanos: u64,
    count: u64,
}

impl Turns {
    /// Of the first thread of a process.
    pub fn of_first(process: i32) -> Turns {
        let path = format!("/proc/{process}/task/{process}/schedstat");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|it| it.parse().unwrap_or(0));
        let nanos = numbers.next().unwrap_or(0);
        Turns {
            nanos,
            count: numbers.nth(1).unwrap_or(0),
        }
    }

    /// Whether the thread has had the processor again and again since `before`, and has given it up at once: it does not want
    /// for the processor but waits for something, as locks do that call `sched_yield`.
    pub fn only_yields_since(self, before: Turns) -> bool {
        let count = self.count.saturating_sub(before.count);
        let nanos = self.nanos.saturating_sub(before.nanos);
        count >= MANY_TURNS && nanos / count < SHORT_TURN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_the_processor_up_at_once_is_told_from_who_seldom_gets_it() {
        let before = Turns {
            nanos: 1_000_000,
            count: 70,
        };
        let since = |nanos, count| {
            let now = Turns {
                nanos: before.nanos + nanos,
                count: before.count + count,
            };
            now.only_yields_since(before)
        };
        assert!(since(1_000_000, 200), "5 us each");
        assert!(!since(1_000_000, 199), "too few to tell");
        assert!(!since(40_000_000, 10), "4 ms each, as others want it too");
        assert!(
            !since(150_000_000, 1000),
            "150 us each, interrupted by a timer"
        );
        assert!(!Turns::default().only_yields_since(Turns::default()));
    }

    #[test]
    fn turns_are_read() {
        if !Path::new("/proc/self/schedstat").exists() {
            eprintln!("skipped: the kernel keeps no account of turns");
            return;
        }
        let before = Turns::of_first(std::process::id() as i32);
        assert!(before.nanos > 0 && before.count > 0);
        assert_eq!(Turns::of_first(-1).count, 0);
    }
}
