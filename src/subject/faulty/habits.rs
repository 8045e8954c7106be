//! What faults do before a block is mapped: harmless as a rule, and not under every circumstance.

use super::Fault;
use super::sys;
use std::ffi::CStr;
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes of stack that [`Fault::MappingNeedsStack`] takes.
const FRAME: usize = 128 << 10;
/// Nanoseconds that [`Fault::InterruptionIsNoMemory`] waits.
const SHORT: libc::c_long = 300_000;

/// Does what the fault does. Whether the block is mapped then.
pub(super) fn before_mapping(fault: Option<Fault>) -> bool {
    match fault {
        Some(Fault::InterruptionIsNoMemory) => return rest(),
        Some(Fault::MappingNeedsStack) => take_stack(),
        Some(Fault::MappingOpensFile) => {
            // SAFETY: the path is a C string, and the descriptor is closed again.
            unsafe { libc::close(libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY)) };
        }
        Some(Fault::MappingNeedsStderr) if !can_write(2) => sys::abort(),
        Some(Fault::MappingNeedsProc) if !can_read(c"/proc/self/statm") => sys::abort(),
        _ => {}
    }
    true
}

/// Whether a descriptor can be written.
fn can_write(descriptor: i32) -> bool {
    // By its number, for the function is a cancellation point.
    // SAFETY: writes nothing.
    unsafe { libc::syscall(libc::SYS_write, descriptor, ptr::null::<u8>(), 0) == 0 }
}

/// Whether a file can be read.
fn can_read(path: &CStr) -> bool {
    // SAFETY: the path is a C string.
    unsafe { libc::access(path.as_ptr(), libc::R_OK) == 0 }
}

/// Whether handlers run that were registered with `atexit`.
static EXITING: AtomicBool = AtomicBool::new(false);

/// What [`Fault::GoneAtExit`] waits for.
pub(super) fn expect_exit() {
    extern "C" fn handler() {
        EXITING.store(true, Relaxed);
    }
    // SAFETY: the handler lives as long as the program.
    unsafe { libc::atexit(handler) };
}

/// Crashes if the process is exiting.
pub(super) fn crash_at_exit() {
    if EXITING.load(Relaxed) {
        sys::crash();
    }
}

/// Whether a signal has told that a child has ended.
static BEREFT: AtomicBool = AtomicBool::new(false);

/// What [`Fault::ChildEndCrashes`] waits for.
pub(super) fn expect_child() {
    extern "C" fn handler(_signal: libc::c_int) {
        BEREFT.store(true, Relaxed);
    }
    let handler = handler as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler lives as long as the program, and only stores.
    unsafe { libc::signal(libc::SIGCHLD, handler) };
}

/// Crashes if a child has ended.
pub(super) fn crash_after_child() {
    if BEREFT.load(Relaxed) {
        sys::crash();
    }
}

/// Whether the constructors of what is loaded have run.
static CONSTRUCTED: AtomicBool = AtomicBool::new(false);

/// Notes that the constructors of what is loaded have run.
pub fn constructed() {
    CONSTRUCTED.store(true, Relaxed);
}

/// Crashes if they have not.
pub(super) fn crash_unless_constructed() {
    if !CONSTRUCTED.load(Relaxed) {
        sys::crash();
    }
}

/// Waits for a moment. Whether nothing interrupted that.
fn rest() -> bool {
    let short = libc::timespec {
        tv_sec: 0,
        tv_nsec: SHORT,
    };
    // SAFETY: `errno` is this thread's, and the structure is ours. Again by its number.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let result = libc::syscall(
            libc::SYS_nanosleep,
            &raw const short,
            ptr::null_mut::<libc::timespec>(),
        );
        *errno = before;
        result == 0
    }
}

#[inline(never)]
fn take_stack() {
    black_box(&mut [0u8; FRAME]);
}
