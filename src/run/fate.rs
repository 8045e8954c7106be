//! How processes end, and what the kernel says of them meanwhile.

use crate::shadow::Death;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

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
