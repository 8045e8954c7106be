//! What a worker is started with: its descriptors, and the state of its process.

use crate::run::strays;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

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

/// A copy of this program, for the dynamic linker to load as a library beside it: the file itself it knows already. `None`
/// where such a file may not be mapped.
pub(super) fn copy_of_program() -> Option<&'static File> {
    static COPY: OnceLock<Option<File>> = OnceLock::new();
    let copy = || {
        let mut copy = memory_file()?;
        io::copy(&mut File::open("/proc/self/exe")?, &mut copy)?;
        // SAFETY: a page of a file of ours, at an address of the kernel's choice, and unmapped at once.
        unsafe {
            let (flags, protection) = (libc::MAP_PRIVATE, libc::PROT_READ | libc::PROT_EXEC);
            let page = libc::mmap(
                std::ptr::null_mut(),
                4096,
                protection,
                flags,
                copy.as_raw_fd(),
                0,
            );
            if page == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            libc::munmap(page, 4096);
        }
        Ok(copy)
    };
    COPY.get_or_init(|| copy().ok()).as_ref()
}
