//! Circumstances under which programs run, brought about in this very process.

use super::exiting::{Reached, exit_until};
use crate::program::{Condition, Under};
use crate::run::process;
use crate::shadow::{Choice, HandlerState, Ledger, Moment};
use crate::subject::SetNewHandler;
use std::cmp::Ordering;
use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The status of a child that did all it was to do. Any other end of a child is its parent's as well.
const DONE: i32 = 98;

/// On which side of a fork one is.
pub enum Forked {
    /// In the child.
    Child,
    /// In the parent, whose child has done all it was to do.
    Parent,
    /// In the parent. No child could be had, or nobody can tell how it ended.
    Alone,
}

/// Forks, and in the parent waits for the child. If that ends before it has come to [`leave`], the parent ends in the
/// same way: whoever waits for the parent sees the fate of the child, and if it reported before it ended, its report.
pub fn fork(ledger: &Ledger, index: usize) -> Forked {
    // SAFETY: a plain request to the kernel. A subject that ignores the signal would keep from us how the child ends.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    ledger.begin_fork(index);
    // SAFETY: the C library's own, so that what the subject registered to be called is called. The child goes on with a
    // copy of everything but other threads, of which the harness has none that it needs.
    let child = unsafe { libc::fork() };
    if child != 0 {
        // From here on the moment is the child's to tell, until it has ended.
        ledger.end_fork();
    }
    match child {
        0 => {
            // The parent may still be inside.
            ledger.enter(Moment::Idle);
            // SAFETY: a plain request to the kernel.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Forked::Child
        }
        1.. => {
            ledger.hand_to(child);
            let status = wait_for(child);
            ledger.hand_to(0);
            let Some(status) = status else {
                return Forked::Alone;
            };
            if !(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == DONE) {
                share_fate(status);
            }
            ledger.enter(Moment::Idle);
            Forked::Parent
        }
        _ => {
            ledger.enter(Moment::Idle);
            Forked::Alone
        }
    }
}

/// Ends a child that has done all it was to do.
pub fn leave() -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(DONE) }
}

/// How the child ended; `None` if nobody is told.
fn wait_for(child: i32) -> Option<i32> {
    let mut status = 0;
    loop {
        // SAFETY: a child of ours that nobody else waits for.
        if unsafe { libc::waitpid(child, &raw mut status, 0) } == child {
            return Some(status);
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// Ends as the child did.
fn share_fate(status: i32) -> ! {
    // SAFETY: plain requests to the kernel, on structures of ours; the process ends.
    unsafe {
        if libc::WIFSIGNALED(status) {
            let signal = libc::WTERMSIG(status);
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, signal);
            libc::signal(signal, libc::SIG_DFL);
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
            libc::kill(libc::getpid(), signal);
        }
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

/// Brings circumstances about, to the end of the process.
///
/// # Errors
///
/// What to note if that is not possible here.
pub fn enter(under: Under) -> Result<(), Choice> {
    match under.condition {
        Condition::Signals => send_signals(under.number),
        Condition::Cancellation if !cancel() => return Err(Choice::CancellationRefused),
        Condition::ClosedDescriptors => close_descriptors(),
        Condition::NoProc if !hide_proc() => return Err(Choice::NoProcRefused),
        Condition::Exit if !exit_until(Reached::Handlers) => return Err(Choice::ExitRefused),
        Condition::Destructors if !exit_until(Reached::Streams) => return Err(Choice::ExitRefused),
        Condition::Spawns if !spawn_often(under.number) => return Err(Choice::SpawnsRefused),
        Condition::Constructor if !EARLY.load(Relaxed) => return Err(Choice::ConstructorRefused),
        Condition::Cancellation
        | Condition::NoProc
        | Condition::Exit
        | Condition::Destructors
        | Condition::Spawns
        | Condition::Constructor => {}
        // Whoever runs the program sees to these.
        Condition::Stack | Condition::Threads | Condition::NewHandler => {}
    }
    Ok(())
}

/// Runs `work` in a thread that has a stack of so many bytes, and waits for it; does nothing if no such thread can be had.
pub fn on_stack(bytes: usize, work: &mut dyn FnMut()) {
    extern "C" fn begin(work: *mut c_void) -> *mut c_void {
        // SAFETY: the reference below, which nobody else uses until this thread has ended.
        unsafe { (*work.cast::<&mut dyn FnMut()>())() };
        ptr::null_mut()
    }
    let mut work = work;
    // SAFETY: plain requests on structures of ours, which outlive the thread.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        libc::pthread_attr_init(&raw mut attributes);
        let mut thread = 0;
        if libc::pthread_attr_setstacksize(&raw mut attributes, bytes) == 0
            && libc::pthread_create(
                &raw mut thread,
                &raw const attributes,
                begin,
                (&raw mut work).cast(),
            ) == 0
        {
            libc::pthread_join(thread, ptr::null_mut());
        }
        libc::pthread_attr_destroy(&raw mut attributes);
    }
}

/// Whether the constructors of what is loaded with the subject have yet to run.
static EARLY: AtomicBool = AtomicBool::new(false);

/// Notes that the constructors of what is loaded with the subject have yet to run.
pub fn begin_early() {
    EARLY.store(true, Relaxed);
}

/// Another thread has programs started to the end of the process. Gives back once the first has ended.
fn spawn_often(micros: u64) -> bool {
    extern "C" fn work(micros: *mut c_void) -> *mut c_void {
        loop {
            std::thread::sleep(Duration::from_micros(micros.addr() as u64));
            spawn();
        }
    }
    if !spawn() {
        return false;
    }
    let mut thread = 0;
    let micros = ptr::without_provenance_mut(micros as usize);
    // SAFETY: the thread is left to itself.
    unsafe { libc::pthread_create(&raw mut thread, ptr::null(), work, micros) == 0 }
}

/// Has a program started that does nothing, and waits for its end. Whether it could be. It gets no environment: the
/// subject is not to be loaded there.
fn spawn() -> bool {
    let name = c"true".as_ptr();
    let arguments = [name.cast_mut(), ptr::null_mut()];
    let environment = [ptr::null_mut()];
    let mut child = 0;
    // SAFETY: plain requests on structures of ours; both lists end with a null pointer.
    let failed = unsafe {
        libc::posix_spawnp(
            &raw mut child,
            name,
            ptr::null(),
            ptr::null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    if failed == 0 {
        wait_for(child);
    }
    failed == 0
}

/// Mounts an empty directory on `/proc`, for this process alone.
fn hide_proc() -> bool {
    let proc = c"/proc".as_ptr();
    // SAFETY: plain requests to the kernel; the strings are C strings.
    unsafe {
        let apart = libc::unshare(libc::CLONE_NEWNS) == 0
            || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) == 0;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        apart
            && libc::mount(
                ptr::null(),
                c"/".as_ptr(),
                ptr::null(),
                private,
                ptr::null(),
            ) == 0
            && libc::mount(c"none".as_ptr(), proc, c"tmpfs".as_ptr(), 0, ptr::null()) == 0
    }
}

/// Signals that have come since they are sent.
static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_signal: libc::c_int) {
    SIGNALS.fetch_add(1, Relaxed);
}

/// Whether a signal has come since they are sent.
pub fn has_come() -> bool {
    SIGNALS.load(Relaxed) != 0
}

/// A signal comes every so many microseconds from here on. System calls that it interrupts are not taken up again.
fn send_signals(micros: u64) {
    let often = libc::timeval {
        tv_sec: (micros / 1_000_000) as libc::time_t,
        tv_usec: (micros % 1_000_000) as libc::suseconds_t,
    };
    let timer = libc::itimerval {
        it_interval: often,
        it_value: often,
    };
    SIGNALS.store(0, Relaxed);
    // SAFETY: plain requests to the kernel, on structures of ours; the handler only counts.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}

/// Calls of the new handler since it was installed, and the one that makes room.
static HANDLED: AtomicU32 = AtomicU32::new(0);
static MAKES_ROOM: AtomicU32 = AtomicU32::new(0);
/// With what it is taken away, while it is installed.
static TAKE_AWAY: Mutex<Option<SetNewHandler>> = Mutex::new(None);

extern "C" fn new_handler() {
    let calls = HANDLED.fetch_add(1, Relaxed) + 1;
    match calls.cmp(&MAKES_ROOM.load(Relaxed)) {
        Ordering::Less => {}
        Ordering::Equal => drop(process::limit_mapping(None)),
        Ordering::Greater => {
            if let Some(set) = TAKE_AWAY.lock().ok().and_then(|mut set| set.take()) {
                // SAFETY: the C++ library's own, which may be called in a handler.
                unsafe { set(None) };
            }
        }
    }
}

/// Installs a new handler that makes room the time of this number that it is called, and takes itself away the time after
/// that: whoever goes on asking it comes to an end.
pub fn handle_new(number: u64, set: SetNewHandler) {
    HANDLED.store(0, Relaxed);
    MAKES_ROOM.store(u32::try_from(number).unwrap_or(u32::MAX), Relaxed);
    if let Ok(mut take_away) = TAKE_AWAY.lock() {
        *take_away = Some(set);
    }
    // SAFETY: the C++ library's own; the handler allocates nothing.
    unsafe { set(Some(new_handler)) };
}

/// What has become of the new handler.
pub fn handler_state() -> HandlerState {
    HandlerState {
        calls: HANDLED.load(Relaxed),
        is_set: TAKE_AWAY.lock().is_ok_and(|set| set.is_some()),
    }
}

unsafe extern "C" {
    fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
}

/// This thread is to end at the next cancellation point. The harness comes to none before it has reported. Answers
/// whether that can be: the C library opens the unwinder for it, and ends the process if there is no memory to do so.
fn cancel() -> bool {
    // SAFETY: cancellation is deferred, as it is for every thread that has not asked for another kind.
    unsafe {
        !libc::dlopen(c"libgcc_s.so.1".as_ptr(), libc::RTLD_NOW).is_null()
            && pthread_cancel(libc::pthread_self()) == 0
    }
}

/// Closes what a process has by convention.
fn close_descriptors() {
    for descriptor in 0..=2 {
        // SAFETY: nothing of the harness in this process uses them.
        unsafe { libc::close(descriptor) };
    }
}
