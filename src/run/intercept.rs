//! System calls of a subject that fail on purpose.
//!
//! A filter (seccomp) on the thread that makes the subject's calls stops those system calls by which an allocator has
//! its memory, and a helper process answers for each: it lets it pass, or makes it fail as the kernel would. Nothing in
//! the subject's process is changed but the filter, and nothing is needed of the user but not to gain privileges. The
//! subject may block signals, install handlers, close descriptors: none of that is in the way.

use super::process;
use crate::program::{Failing, Op, Syscall};
use crate::shadow::{Interception, Ledger, Standing};
use std::io;
use std::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicI32, Ordering::*};

/// What is stopped, by number.
const STOPPED: [(libc::c_long, Syscall); 6] = [
    (libc::SYS_mmap, Syscall::Mmap),
    (libc::SYS_brk, Syscall::Brk),
    (libc::SYS_mremap, Syscall::Mremap),
    (libc::SYS_munmap, Syscall::Munmap),
    (libc::SYS_madvise, Syscall::Madvise),
    (libc::SYS_mprotect, Syscall::Mprotect),
];
/// `AUDIT_ARCH_X86_64`: the numbers of system calls mean this.
const X86_64: u32 = 0xc000_003e;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`: who waits for an answer goes on where it was given.
const SYNC_WAKE_UP: u64 = 1;

/// No listener yet.
const NONE: i32 = i32::MIN;

/// Lets the system calls that this thread makes for memory pass through a helper from here on, if the kernel allows
/// that; the ledger says whether it does. Both lie in memory shared with the helper.
pub fn begin(ledger: &Ledger) {
    // SAFETY: has no preconditions.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let standing = match start(ledger) {
        Ok(()) => Standing::Works,
        Err(_) => Standing::Refused,
    };
    ledger.interception().stand(standing, thread);
}

/// Puts what the operation says in force. Whether system calls may fail from here on.
///
/// Where none can be stopped, the process may map no more instead: then everything fails that asks for memory.
pub fn arm(interception: &Interception, op: &Op) -> bool {
    let fails = Failing::of(op).is_some();
    match interception.standing() {
        Standing::Works => {
            // SAFETY: an end of 0 is out of reach: the kernel says where it is.
            let end = unsafe { libc::syscall(libc::SYS_brk, 0) };
            interception.arm(op, end.cast_unsigned());
            fails
        }
        Standing::Refused => process::limit_mapping(fails.then_some(0)).is_ok() && fails,
        Standing::Absent => false,
    }
}

/// Starts the helper and installs the filter.
fn start(ledger: &Ledger) -> io::Result<()> {
    let listener = SharedWord::new()?;
    // The helper comes first, without a filter; it has the same descriptors, and so also the one by which it listens.
    // It sends no signal when it ends, so that a subject that waits for children does not meet it.
    // SAFETY: as fork: the new process goes on with copies of everything.
    let helper = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_FILES, 0, 0, 0, 0) };
    match helper {
        0 => help(ledger, &listener),
        1.. => {}
        _ => return Err(io::Error::last_os_error()),
    }
    let installed = install();
    listener.set(*installed.as_ref().unwrap_or(&-1));
    let fd = installed?;
    // The helper has a descriptor of its own once it says so.
    listener.wait_while(fd);
    // SAFETY: ours, and of no more use here.
    unsafe { libc::syscall(libc::SYS_close, fd) };
    Ok(())
}

/// Installs the filter; gives the descriptor by which its helper listens.
fn install() -> io::Result<i32> {
    let number = offset_of!(libc::seccomp_data, nr) as u32;
    let arch = offset_of!(libc::seccomp_data, arch) as u32;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let statement = |code, k| libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    let unless_equal = |k, skip| libc::sock_filter {
        code: equal,
        jt: 0,
        jf: skip,
        k,
    };
    let allow = statement(answer, libc::SECCOMP_RET_ALLOW);
    let mut filter = vec![
        statement(load, arch),
        unless_equal(X86_64, 1 + 2 * STOPPED.len() as u8),
        statement(load, number),
    ];
    for (number, _) in STOPPED {
        filter.push(unless_equal(number as u32, 1));
        filter.push(statement(answer, libc::SECCOMP_RET_USER_NOTIF));
    }
    filter.push(allow);
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: plain requests to the kernel; the program is as long as it says.
    let fd = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    match fd {
        0.. => Ok(fd as i32),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The helper: answers until the process that it helps is gone. It is a copy of that process, whose heap belongs to the
/// subject, so it makes system calls and nothing else.
fn help(ledger: &Ledger, listener: &SharedWord) -> ! {
    // SAFETY: plain requests to the kernel, on structures of ours; the helper ends with its parent, at the latest.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let fd = listener.wait_while(NONE);
        if fd < 0 || libc::unshare(libc::CLONE_FILES) != 0 {
            libc::_exit(0);
        }
        libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
        listener.set(NONE);
        loop {
            let mut asked: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) != 0 {
                match *libc::__errno_location() {
                    // Who asked was interrupted before it was heard.
                    libc::EINTR | libc::ENOENT => continue,
                    _ => libc::_exit(0),
                }
            }
            let answer = answer(ledger, &asked);
            libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer);
        }
    }
}

fn answer(ledger: &Ledger, asked: &libc::seccomp_notif) -> libc::seccomp_notif_resp {
    let number = libc::c_long::from(asked.data.nr);
    let stopped = STOPPED.iter().find(|(stopped, _)| *stopped == number);
    let interception = ledger.interception();
    let failing = stopped.map(|(_, syscall)| *syscall).filter(|&syscall| {
        interception.is_to_fail(ledger, asked.pid as i32, syscall, asked.data.args[0])
    });
    let (val, error, flags) = match failing {
        None => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        // This one says where the data segment ends, whether or not that is what was asked for.
        Some(Syscall::Brk) => (interception.end_of_data().cast_signed(), 0, 0),
        Some(_) => (0, -libc::ENOMEM, 0),
    };
    libc::seccomp_notif_resp {
        id: asked.id,
        val,
        error,
        flags,
    }
}

/// A word that a process shares with those that come of it.
struct SharedWord(*mut AtomicI32);

impl SharedWord {
    fn new() -> io::Result<SharedWord> {
        // SAFETY: a new mapping.
        let word = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<AtomicI32>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if word == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let word = SharedWord(word.cast());
        word.word().store(NONE, Relaxed);
        Ok(word)
    }

    fn word(&self) -> &AtomicI32 {
        // SAFETY: mapped while `self` lives, and zero bytes are a word.
        unsafe { &*self.0 }
    }

    fn set(&self, value: i32) {
        self.word().store(value, Release);
        // SAFETY: the word is mapped and aligned.
        unsafe { libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAKE, 1) };
    }

    /// Waits until the word is another, and gives that.
    fn wait_while(&self, value: i32) -> i32 {
        loop {
            let now = self.word().load(Acquire);
            if now != value {
                return now;
            }
            let none = std::ptr::null::<libc::timespec>();
            // SAFETY: as in `set`. Waking early is allowed for.
            unsafe { libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAIT, value, none) };
        }
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing borrows from it any more.
        unsafe { libc::munmap(self.0.cast(), size_of::<AtomicI32>()) };
    }
}
