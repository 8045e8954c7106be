//! A process that is ending, in which a program goes on.
//!
//! Another thread calls `exit` and is held up on its way: in a handler registered with `atexit`, or further on, where what
//! is left in streams is written.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

/// How far a process has come that exits.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Reached {
    /// Nowhere: it does not exit, or it came from one that does.
    Nothing,
    /// A handler runs that was registered with `atexit`.
    Handlers,
    /// What is left in streams is written, which comes after all handlers and destructors.
    Streams,
}

/// Where the thread that exits is to stay.
static LEAVING: AtomicU32 = AtomicU32::new(Reached::Nothing as u32);
/// Where it has come to, and stays.
static EXITING: AtomicU32 = AtomicU32::new(Reached::Nothing as u32);

/// Stays here as long as this is where the thread that exits is to stay.
fn stay_at(reached: Reached) {
    while LEAVING.load(Relaxed) == reached as u32 {
        EXITING.store(reached as u32, Release);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Registers a handler in which a program can go on when the process exits. To be called before the program begins: what
/// is registered later runs earlier, and belongs to the subject.
pub fn expect_exit() {
    extern "C" fn handler() {
        stay_at(Reached::Handlers);
    }
    // SAFETY: the handler lives as long as the program.
    unsafe { libc::atexit(handler) };
}

/// Opens a stream in which something is left to write when the process exits. Whether it could be.
fn leave_something_to_write() -> bool {
    unsafe extern "C" fn write(_: *mut c_void, _: *const c_char, count: usize) -> isize {
        stay_at(Reached::Streams);
        count.cast_signed()
    }
    let functions = StreamFunctions {
        write: Some(write),
        ..StreamFunctions::default()
    };
    // SAFETY: the C library copies the structure, which is laid out as it has it; the stream stays open to the end.
    unsafe {
        let stream = fopencookie(ptr::null_mut(), c"w".as_ptr(), functions);
        !stream.is_null() && libc::fputc(c_int::from(b'.'), stream) != libc::EOF
    }
}

/// What a stream of one's own is made of: `cookie_io_functions_t` of the GNU C library.
#[derive(Default)]
#[repr(C)]
struct StreamFunctions {
    read: Option<unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> isize>,
    write: Option<unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> isize>,
    seek: Option<unsafe extern "C" fn(*mut c_void, *mut i64, c_int) -> c_int>,
    close: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
}

unsafe extern "C" {
    fn fopencookie(
        cookie: *mut c_void,
        mode: *const c_char,
        functions: StreamFunctions,
    ) -> *mut libc::FILE;
}

/// Another thread calls `exit`. Gives back once that has come to where it is to stay, or further: this thread goes on while
/// the process is ending. Answers whether that could be.
pub(super) fn exit_until(reached: Reached) -> bool {
    extern "C" fn exit(_: *mut c_void) -> *mut c_void {
        // SAFETY: one thread calls it, once.
        unsafe { libc::exit(0) }
    }
    let has_come_to = || EXITING.load(Acquire);
    if has_come_to() >= reached as u32 {
        return true;
    }
    if matches!(reached, Reached::Streams) && !leave_something_to_write() {
        return false;
    }
    LEAVING.store(reached as u32, Relaxed);
    if has_come_to() == Reached::Nothing as u32 {
        let mut thread = 0;
        // SAFETY: the thread is left to itself.
        let failed =
            unsafe { libc::pthread_create(&raw mut thread, ptr::null(), exit, ptr::null_mut()) };
        if failed != 0 {
            return false;
        }
    }
    while has_come_to() < reached as u32 {
        std::thread::sleep(Duration::from_micros(50));
    }
    true
}
