//! System calls of a subject that fail on purpose.
//!
//! A filter (seccomp) on the thread that makes the subject's calls stops those system calls by which an allocator has
//! its memory, and a helper process answers for each: it lets it pass, or makes it fail as the kernel would. Nothing in
//! the subject's process is changed but the filter, and nothing is needed of the user but not to gain privileges. The
//! subject may block signals, install handlers, close descriptors: none of that is in the way.

use super::USELESS;
use crate::program::{Failing, Op, Syscall, Which};
use crate::run::process;
use crate::shadow::{Interception, Ledger, Standing};
use std::io::{self, Read, Write};
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

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
/// `SECCOMP_FILTER_FLAG_TSYNC_ESRCH`: means nothing here, but kernels that do not know it cannot let a stopped system
/// call pass either.
const KNOWN_SINCE_5_7: libc::c_ulong = 1 << 4;

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
/// Where none can be stopped, the process may map no more instead of all mappings failing; no other failure has a stand-in.
pub fn arm(interception: &Interception, op: &Op) -> bool {
    let fails = Failing::of(op).is_some();
    match interception.standing() {
        Standing::Works => {
            // SAFETY: an end of 0 is out of reach: the kernel says where it is.
            let end = unsafe { libc::syscall(libc::SYS_brk, 0) };
            interception.arm(op, end.cast_unsigned());
            fails
        }
        Standing::Refused => {
            let all = Failing::of(op).is_some_and(|failing| {
                matches!(failing.syscall, Syscall::Any | Syscall::Mmap)
                    && (failing.which, failing.number) == (Which::From, 1)
            });
            process::limit_mapping(all.then_some(0)).is_ok() && all
        }
        Standing::Absent => false,
    }
}

/// Starts the helper and installs the filter.
fn start(ledger: &Ledger) -> io::Result<()> {
    let (mut ours, its) = UnixStream::pair()?;
    // The helper comes first, without a filter. It has descriptors of its own, so that a subject that closes its own does
    // not close those, and sends no signal when it ends, so that one that waits for children does not meet it.
    // SAFETY: as fork: the new process goes on with copies of everything.
    let helper = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    match helper {
        0 => {
            drop(ours);
            help(ledger, its)
        }
        1.. => drop(its),
        _ => return Err(io::Error::last_os_error()),
    }
    // Nothing is stopped yet, so it can still be done without a helper that does not answer.
    ours.read_exact(&mut [0])?;
    let listener = install()?;
    let listens = hand_over(&ours, listener).and_then(|()| ours.read_exact(&mut [0]));
    // SAFETY: ours, and of no more use here.
    unsafe { libc::syscall(libc::SYS_close, listener) };
    if listens.is_err() {
        // Every system call for memory would wait for an answer from here on.
        // SAFETY: has no preconditions.
        unsafe { libc::_exit(USELESS) };
    }
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
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | KNOWN_SINCE_5_7,
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
fn help(ledger: &Ledger, mut socket: UnixStream) -> ! {
    // SAFETY: plain requests to the kernel, on structures of ours; the helper ends with its parent, at the latest.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let ready = socket.write_all(&[0]).is_ok();
        let Some(fd) = ready.then(|| receive(&socket)).flatten() else {
            libc::_exit(0);
        };
        libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
        if socket.write_all(&[0]).is_err() {
            libc::_exit(0);
        }
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

/// Room for the head of a message and one descriptor, aligned for it.
type Control = [u64; 4];

/// A message of one byte, with room for a descriptor.
fn message(byte: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: zero bytes are a message without parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = byte;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: arithmetic.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<i32>() as u32) } as usize;
    message
}

fn one_byte(byte: &mut u8) -> libc::iovec {
    libc::iovec {
        iov_base: ptr::from_mut(byte).cast(),
        iov_len: 1,
    }
}

/// Sends a descriptor.
fn hand_over(socket: &UnixStream, fd: i32) -> io::Result<()> {
    let (mut byte, mut control) = (0, Control::default());
    let mut byte = one_byte(&mut byte);
    let message = message(&mut byte, &mut control);
    // SAFETY: the control data have room for a header and a descriptor; all parts live until the message is sent.
    let sent = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(fd);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    match sent {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Receives a descriptor; `None` if the other side is gone.
fn receive(socket: &UnixStream) -> Option<i32> {
    let (mut byte, mut control) = (0, Control::default());
    let mut byte = one_byte(&mut byte);
    let mut message = message(&mut byte, &mut control);
    // SAFETY: the kernel writes into the room there is; a header it gives is one.
    unsafe {
        if libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) != 1 {
            return None;
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (!header.is_null()).then(|| libc::CMSG_DATA(header).cast::<i32>().read_unaligned())
    }
}
