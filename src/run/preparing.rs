//! What a worker is started with: its descriptors, and the state of its process.

use super::strays;
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Between fork and exec: a group of its own, orphans below it for its children, no core files, the same addresses every
/// time, the usual end of a program whose files may not grow, and no life after the supervisor's.
pub(super) fn prepare_process(keep: &[i32], supervisor: i32) -> io::Result<()> {
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
pub(super) fn high_descriptor(fd: i32) -> io::Result<OwnedFd> {
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
pub(super) fn memory_file() -> io::Result<File> {
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
