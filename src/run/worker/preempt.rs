//! Takes the processor from a thread again and again, wherever in a call it is.
//!
//! Where threads could disturb one another they do so only if one is stopped between two instructions that belong
//! together. Left alone, that is rare, on a machine with few processors above all; so a timer interrupts every thread
//! after some microseconds, and its handler lets the others go first.

use std::mem::zeroed;
use std::ptr;

/// Nanoseconds from the end of one interruption of a thread to the next; each thread has a period of its own, so that they
/// do not keep step.
const PERIOD: i64 = 150_000;
const APART: i64 = 17_000;

/// Interrupts the calling thread from here on until it ends. `number` tells it from others. Where no timer can be had the
/// thread is left alone.
pub(super) fn often(number: u64) {
    // Neither the functions of the C library nor their callers may allocate: the subject is at work in this process.
    // SAFETY: plain requests to the kernel, on structures of ours. The handler only gives the processor away.
    unsafe {
        let signal = libc::SIGRTMIN() + 3;
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = give_way
            as extern "C" fn(libc::c_int, *const libc::siginfo_t, *const libc::c_void)
            as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO;
        libc::sigaction(signal, &raw const action, ptr::null_mut());
        let mut event: libc::sigevent = zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = libc::gettid();
        event.sigev_value.sival_ptr = ptr::without_provenance_mut(number as usize % 8);
        let mut timer: libc::c_int = 0;
        let made = libc::syscall(
            libc::SYS_timer_create,
            libc::CLOCK_MONOTONIC,
            &raw mut event,
            &raw mut timer,
        );
        if made == 0 {
            start(timer, number as usize % 8);
        }
    }
}

/// Starts a timer, which runs out once: one that went on while its thread waits for the processor would interrupt it again
/// before it came to anything.
fn start(timer: libc::c_int, number: usize) {
    let once = libc::itimerspec {
        it_interval: libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: libc::timespec {
            tv_sec: 0,
            tv_nsec: PERIOD + APART * number as i64,
        },
    };
    // SAFETY: a plain request to the kernel about a timer that was made above. It fails for none, and so keeps `errno`.
    unsafe {
        libc::syscall(
            libc::SYS_timer_settime,
            timer,
            0,
            &raw const once,
            ptr::null_mut::<libc::itimerspec>(),
        )
    };
}

extern "C" fn give_way(
    _signal: libc::c_int,
    info: *const libc::siginfo_t,
    _context: *const libc::c_void,
) {
    // SAFETY: the kernel fills in what belongs to the signal of a timer: its number behind the three words that every signal
    // has, and the value it was made with.
    unsafe {
        let timer = info.cast::<libc::c_int>().add(4).read();
        let number = (*info).si_value().sival_ptr.addr();
        libc::sched_yield();
        start(timer, number);
    }
}
