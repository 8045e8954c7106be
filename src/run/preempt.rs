//! Takes the processor from a thread again and again, wherever in a call it is.
//!
//! Where threads could disturb one another they do so only if one is stopped between two instructions that belong
//! together. Left alone, that is rare, on a machine with few processors above all; so a timer interrupts every thread
//! after some microseconds, and its handler lets the others go first.

use std::mem::zeroed;
use std::ptr;

/// Nanoseconds between two interruptions of one thread; each thread has a period of its own, so that they do not keep step.
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
        action.sa_sigaction = give_way as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &raw const action, ptr::null_mut());
        let mut event: libc::sigevent = zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer: libc::c_int = 0;
        let made = libc::syscall(
            libc::SYS_timer_create,
            libc::CLOCK_MONOTONIC,
            &raw mut event,
            &raw mut timer,
        );
        if made == 0 {
            let period = libc::timespec {
                tv_sec: 0,
                tv_nsec: PERIOD + APART * (number % 8).cast_signed(),
            };
            let interval = libc::itimerspec {
                it_interval: period,
                it_value: period,
            };
            libc::syscall(
                libc::SYS_timer_settime,
                timer,
                0,
                &raw const interval,
                ptr::null_mut::<libc::itimerspec>(),
            );
        }
    }
}

extern "C" fn give_way(_signal: libc::c_int) {
    // SAFETY: a plain request to the kernel, which leaves `errno` as it is.
    unsafe { libc::sched_yield() };
}
