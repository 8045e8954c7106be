//! Processes that subjects leave behind. They may leave their group, their session and their parent, but not the nearest
//! ancestor that adopts orphans: a worker for what its programs leave, the supervisor for what a worker leaves.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

/// Processes that are ended at one time at most.
const MOST: u32 = 10_000;

/// The children of the supervisor that are no strays.
static WORKERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// From here on, what the descendants of this process leave behind becomes its children.
pub fn adopt() {
    // SAFETY: a plain request to the kernel.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// Starts a worker, and adopts what it will leave behind.
///
/// # Errors
///
/// Those of [`Command::spawn`].
pub fn spawn_worker(command: &mut Command) -> io::Result<Child> {
    adopt();
    // Nobody may take it for a stray before its number is known.
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    workers.insert(child.id() as i32);
    Ok(child)
}

/// Ends what a worker left behind that has been waited for. This program has no other children than workers.
pub fn end_those_of(worker: i32) {
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    workers.remove(&worker);
    end_all_but(&workers);
}

/// Ends the children of this process, and what they leave behind in turn, but for these.
pub fn end_all_but(spared: &BTreeSet<i32>) {
    for _ in 0..MOST {
        let strays = children();
        let Some(&stray) = strays.iter().find(|child| !spared.contains(child)) else {
            return;
        };
        // SAFETY: a child that nobody else waits for.
        unsafe { libc::kill(stray, libc::SIGKILL) };
        if !wait_for(stray) {
            return;
        }
    }
}

/// The children of the main thread, which adopted ones are. Read without the C library's help: in a worker that would
/// call the subject.
fn children() -> Vec<i32> {
    let path = format!("/proc/self/task/{}/children", std::process::id());
    let list = std::fs::read_to_string(path).unwrap_or_default();
    list.split_ascii_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}

/// Waits for a child, however it was made; says whether there was one.
fn wait_for(child: i32) -> bool {
    loop {
        // SAFETY: a child of ours that nobody else waits for.
        if unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::__WALL) } == child {
            return true;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return false;
        }
    }
}
