//! Memory shared by a supervisor and one worker.
//!
//! Orders and reports are JSON in two buffers; programs, which may have millions of operations, are plain words. What
//! the supervisor reads may have been scribbled over by a broken allocator: every length is bounded and every word
//! decoded before it is believed.

use crate::program::{Call, Expect, MAX_THREADS, Op, Program};
use crate::shadow::{Ledger, Moment};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::*};
use std::time::Duration;

/// Operations a program may have.
pub const MAX_OPS: usize = 4 << 20;
const MESSAGE: usize = 4 << 20;
const WORDS: usize = 4;
/// A thread that works beside those of the program.
const BESIDE: u32 = u32::MAX;
const MAGIC: u64 = 0x616c_6c6f_6373_7065;

#[repr(C)]
struct Page {
    magic: AtomicU64,
    /// Orders given, and orders dealt with: a worker has work while they differ.
    ordered: AtomicU32,
    done: AtomicU32,
    child: AtomicI32,
    /// Whether the worker is inside `fork`, to have a process that deals with the order, and whether that process has begun.
    forks: AtomicU32,
    begun: AtomicU32,
    /// How the process that dealt with the last order ended, as `waitpid` says.
    status: AtomicI32,
    /// Whether it reported before it ended.
    reported: AtomicU32,
    /// The address of a fault and whether there was one.
    fault: AtomicU64,
    faulted: AtomicU32,
    /// The thread whose signal ended the process, by its place in a section, from 1; 0 for the main one, [`BESIDE`] for one
    /// that makes no operations.
    signalled: AtomicU32,
    order_length: AtomicU32,
    report_length: AtomicU32,
    op_count: AtomicU32,
    ledger: Ledger,
    thread_ledgers: [Ledger; MAX_THREADS as usize],
    order: [u8; MESSAGE],
    report: [u8; MESSAGE],
    ops: [[u64; WORDS]; MAX_OPS],
}

/// The mapping.
pub struct Shared {
    page: *mut Page,
    file: File,
    /// How many orders the supervisor gave, where the subject cannot change it.
    given: AtomicU32,
}

// SAFETY: what both sides write at the same time is atomic; the buffers are handed over by `ordered` and `done`.
unsafe impl Send for Shared {}

impl Shared {
    /// New shared memory. Its pages take memory when they are written.
    ///
    /// # Errors
    ///
    /// When the machine refuses the memory or the descriptor.
    pub fn create() -> io::Result<Shared> {
        // SAFETY: the name is a C string; the descriptor is new and ours.
        let file = unsafe {
            let fd = libc::memfd_create(
                c"allocspec".as_ptr(),
                libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
            );
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            File::from_raw_fd(fd)
        };
        file.set_len(size_of::<Page>() as u64)?;
        // Whoever has the descriptor must not be able to take the pages away.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: a plain request about a descriptor of ours.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let shared = Shared::map(file)?;
        shared.reset_ledgers();
        shared.page().magic.store(MAGIC, Release);
        Ok(shared)
    }

    /// Maps shared memory made by [`Shared::create`].
    ///
    /// # Errors
    ///
    /// When the file is something else.
    pub fn open(file: File) -> io::Result<Shared> {
        if file.metadata()?.len() != size_of::<Page>() as u64 {
            return Err(io::Error::other("not the memory of a supervisor"));
        }
        let shared = Shared::map(file)?;
        match shared.page().magic.load(Acquire) {
            MAGIC => Ok(shared),
            _ => Err(io::Error::other("not the memory of a supervisor")),
        }
    }

    fn map(file: File) -> io::Result<Shared> {
        // SAFETY: a new mapping of a file that is as long as the page.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<Page>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Shared {
            page: page.cast(),
            file,
            given: AtomicU32::new(0),
        })
    }

    fn page(&self) -> &Page {
        // SAFETY: mapped while `self` lives; zero bytes are valid for every field; the buffers are only reached
        // through raw pointers while the other side may write them.
        unsafe { &*self.page }
    }

    /// The descriptor behind the mapping.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The ledger, of a program's main thread.
    pub fn ledger(&self) -> &Ledger {
        &self.page().ledger
    }

    /// Those of its other threads, by their place in a section.
    pub fn thread_ledgers(&self) -> &[Ledger] {
        &self.page().thread_ledgers
    }

    fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        std::iter::once(self.ledger()).chain(self.thread_ledgers())
    }

    fn reset_ledgers(&self) {
        self.ledgers().for_each(Ledger::reset);
    }

    /// Adds to `total` what the last order counted.
    pub fn add_to(&self, total: &Ledger) {
        self.ledgers().for_each(|ledger| total.absorb(ledger));
    }

    /// Operations begun.
    pub fn begun(&self) -> u64 {
        self.ledgers().map(Ledger::ops).sum()
    }

    /// Where the run is, or where it ended: of several threads where the one is whose signal ended it; or else one that is
    /// inside a call, or at work in another way; or else the first that may not have ended yet, which is the one that the
    /// main thread waits for.
    pub fn position(&self) -> (usize, Moment) {
        match self.page().signalled.load(Relaxed) {
            BESIDE => (self.ledger().position().0, Moment::Beside),
            _ => self.ledger_at_work().position(),
        }
    }

    /// The address and size of the block last resized there.
    pub fn resized(&self) -> (u64, u64) {
        self.ledger_at_work().resized()
    }

    fn ledger_at_work(&self) -> &Ledger {
        let signalled = self.page().signalled.load(Relaxed) as usize;
        let at = |moment| self.ledgers().find(|it| it.position().1 == moment);
        let moments = [
            Moment::Fork,
            Moment::Born,
            Moment::Call,
            Moment::Touch,
            Moment::Verify,
            Moment::Ending,
        ];
        let busy = || moments.into_iter().find_map(at);
        let signalled = signalled.checked_sub(1);
        let signalled = signalled.and_then(|place| self.thread_ledgers().get(place));
        signalled.or_else(busy).unwrap_or(self.ledger())
    }

    /// Notes the thread that a signal has come to; called from its handler.
    pub fn note_thread(&self) {
        // SAFETY: has no preconditions.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
        let place = self
            .thread_ledgers()
            .iter()
            .position(|it| it.thread() == Some(thread));
        // SAFETY: has no preconditions.
        let is_first = unsafe { libc::syscall(libc::SYS_getpid) } as i32 == thread;
        let is_main = is_first || self.ledger().thread() == Some(thread);
        let signalled = match place {
            Some(place) => place as u32 + 1,
            None if is_main => 0,
            None => BESIDE,
        };
        self.page().signalled.store(signalled, Relaxed);
    }

    /// Expects a worker: its first report is dealt with like that of an order.
    pub fn call(&self) {
        self.page().ordered.store(self.next(), Release);
    }

    /// Gives an order; the ledger and the last report are cleared.
    ///
    /// # Errors
    ///
    /// When the order is too long or the program has too many operations.
    pub fn give(&self, order: &impl Serialize, ops: &[Op]) -> io::Result<()> {
        let page = self.page();
        self.reset_ledgers();
        page.signalled.store(0, Relaxed);
        page.reported.store(0, Relaxed);
        page.report_length.store(0, Relaxed);
        page.faulted.store(0, Relaxed);
        page.child.store(0, Relaxed);
        page.forks.store(0, Relaxed);
        page.begun.store(0, Relaxed);
        let text = serde_json::to_vec(order)?;
        if text.len() > MESSAGE || ops.len() > MAX_OPS {
            return Err(io::Error::other("the program is too long"));
        }
        // SAFETY: the worker reads neither before `ordered` changes; both fit, as was just checked.
        unsafe {
            ptr::copy_nonoverlapping(
                text.as_ptr(),
                (&raw mut (*self.page).order).cast(),
                text.len(),
            );
            let words: *mut [u64; WORDS] = (&raw mut (*self.page).ops).cast();
            for (index, op) in ops.iter().enumerate() {
                words.add(index).write(pack(op));
            }
        }
        page.order_length.store(text.len() as u32, Relaxed);
        page.op_count.store(ops.len() as u32, Relaxed);
        page.ordered.store(self.next(), Release);
        wake(&page.ordered);
        Ok(())
    }

    /// The number of a new order.
    fn next(&self) -> u32 {
        self.given.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// Waits until the last order is dealt with; says whether it is.
    pub fn wait_done(&self, patience: Duration) -> bool {
        let page = self.page();
        let given = self.given.load(Relaxed);
        let done = page.done.load(Acquire);
        if done == given {
            return true;
        }
        wait(&page.done, done, Some(patience));
        page.done.load(Acquire) == given
    }

    /// The worker's side: waits for an order that is not dealt with, and gives its number.
    pub fn wait_ordered(&self) -> u32 {
        let page = self.page();
        loop {
            let ordered = page.ordered.load(Acquire);
            if ordered != page.done.load(Relaxed) {
                return ordered;
            }
            wait(&page.ordered, ordered, None);
        }
    }

    /// The worker's side: this order is dealt with, by a process that ended with this `waitpid` status. Whatever the
    /// subject wrote over the numbers is undone, or the worker would see orders for ever that nobody gave.
    pub fn finish(&self, order: u32, status: i32) {
        let page = self.page();
        page.status.store(status, Relaxed);
        page.ordered.store(order, Relaxed);
        page.done.store(order, Release);
        wake(&page.done);
    }

    /// The worker's side: whether it is inside `fork`.
    pub fn set_forks(&self, forks: bool) {
        self.page().forks.store(forks.into(), Relaxed);
    }

    /// The worker's side: a process begins to deal with the order.
    pub fn set_begun(&self) {
        self.page().begun.store(1, Relaxed);
    }

    /// Whether the worker is inside `fork`.
    pub fn is_forking(&self) -> bool {
        self.page().forks.load(Relaxed) != 0
    }

    /// Whether a process has begun to deal with the order.
    pub fn has_begun(&self) -> bool {
        self.page().begun.load(Relaxed) != 0
    }

    /// Whether what there is of the worker has yet to begin with the order, or stands where it should wait for who has:
    /// nothing that the order says is being done.
    pub fn is_outside(&self) -> bool {
        self.is_forking() || !self.has_begun()
    }

    /// The worker's side: the process that deals with the order.
    pub fn set_child(&self, child: i32) {
        self.page().child.store(child, Relaxed);
    }

    /// The process that deals with the order, 0 before there is one.
    pub fn child(&self) -> i32 {
        self.page().child.load(Relaxed)
    }

    /// The `waitpid` status of the process that dealt with the last order.
    pub fn status(&self) -> i32 {
        self.page().status.load(Relaxed)
    }

    /// Notes the address of a fault; called from a signal handler.
    pub fn note_fault(&self, address: u64) {
        self.page().fault.store(address, Relaxed);
        self.page().faulted.store(1, Relaxed);
    }

    /// The address of the fault that ended the process, if it is known.
    pub fn fault(&self) -> Option<u64> {
        (self.page().faulted.load(Relaxed) == 1).then(|| self.page().fault.load(Relaxed))
    }

    /// The worker's side: the order.
    ///
    /// # Errors
    ///
    /// When there is none that can be read.
    pub fn order<T: DeserializeOwned>(&self) -> io::Result<T> {
        let length = (self.page().order_length.load(Relaxed) as usize).min(MESSAGE);
        // SAFETY: the supervisor writes no order before this one is dealt with.
        let text =
            unsafe { std::slice::from_raw_parts((&raw const (*self.page).order).cast(), length) };
        Ok(serde_json::from_slice(text)?)
    }

    /// The worker's side: the operations of the program.
    ///
    /// # Errors
    ///
    /// When one of them is none.
    pub fn ops(&self) -> io::Result<Vec<Op>> {
        let count = (self.page().op_count.load(Relaxed) as usize).min(MAX_OPS);
        // SAFETY: only the address of a field of the mapping is taken.
        let words: *const [u64; WORDS] = unsafe { (&raw const (*self.page).ops).cast() };
        // SAFETY: as in `order`; `count` operations lie inside the buffer.
        (0..count)
            .map(|index| unpack(unsafe { words.add(index).read() }))
            .collect()
    }

    /// The worker's side: writes the report.
    pub fn report(&self, report: &impl Serialize) {
        let Ok(text) = serde_json::to_vec(report) else {
            return;
        };
        if text.len() > MESSAGE {
            return;
        }
        // A process that ends in here has reported nothing, whatever it reported before.
        self.page().reported.store(0, Release);
        // SAFETY: the supervisor reads no report before `reported` is set.
        unsafe {
            ptr::copy_nonoverlapping(
                text.as_ptr(),
                (&raw mut (*self.page).report).cast(),
                text.len(),
            )
        };
        self.page().report_length.store(text.len() as u32, Relaxed);
        self.page().reported.store(1, Release);
    }

    /// The report, if one was made and can be read.
    pub fn take_report<T: DeserializeOwned>(&self) -> Option<T> {
        let page = self.page();
        if page.reported.load(Acquire) != 1 {
            return None;
        }
        let length = (page.report_length.load(Relaxed) as usize).min(MESSAGE);
        let mut text = vec![0u8; length];
        // SAFETY: inside the buffer. It is copied first: a process that is left over might still write it.
        unsafe {
            ptr::copy_nonoverlapping(
                (&raw const (*self.page).report).cast(),
                text.as_mut_ptr(),
                length,
            )
        };
        serde_json::from_slice(&text).ok()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing borrows from it any more.
        unsafe { libc::munmap(self.page.cast(), size_of::<Page>()) };
    }
}

/// A program as the worker gets it.
pub fn program_of(shared: &Shared, rule: Option<crate::spec::RuleId>) -> io::Result<Program> {
    Ok(Program {
        rule,
        ops: shared.ops()?,
    })
}

fn pack(op: &Op) -> [u64; WORDS] {
    [
        u64::from(op.call as u8) << 8 | u64::from(op.expect as u8),
        u64::from(op.slot),
        op.a,
        op.b,
    ]
}

fn unpack([head, slot, a, b]: [u64; WORDS]) -> io::Result<Op> {
    let call = Call::from_u8((head >> 8) as u8);
    let expect = Expect::from_u8(head as u8);
    match (call, expect, u32::try_from(slot)) {
        (Some(call), Some(expect), Ok(slot)) => Ok(Op {
            call,
            expect,
            slot,
            a,
            b,
        }),
        _ => Err(io::Error::other("a word of the program is no operation")),
    }
}

fn wait(word: &AtomicU32, value: u32, patience: Option<Duration>) {
    let time = patience.map(|patience| libc::timespec {
        tv_sec: patience.as_secs() as libc::time_t,
        tv_nsec: patience.subsec_nanos() as libc::c_long,
    });
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word is mapped and aligned; the system call reads it and the time. Waking early is allowed for.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            time,
        )
    };
}

fn wake(word: &AtomicU32) {
    // SAFETY: as in `wait`.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_laid_to_the_thread_that_it_comes_to() {
        let shared = Shared::create().expect("shared memory");
        let (main, first) = (shared.ledger(), &shared.thread_ledgers()[0]);
        main.begin(7);
        main.enter(Moment::Call);
        first.begin(3);
        let noted = || {
            shared.note_thread();
            shared.position()
        };
        // Of a process whose first thread this one, of a test, is not.
        assert_eq!(noted(), (7, Moment::Beside));
        first.attend();
        first.enter(Moment::Touch);
        assert_eq!(noted(), (3, Moment::Touch));
        first.reset();
        main.attend();
        assert_eq!(noted(), (7, Moment::Call));
    }

    #[test]
    fn a_thread_in_its_end_is_not_taken_for_one_in_a_call() {
        let shared = Shared::create().expect("shared memory");
        let [first, second, third, ..] = shared.thread_ledgers() else {
            panic!("there are several threads");
        };
        let at = |ledger: &Ledger, index, moment| {
            ledger.begin(index);
            ledger.enter(moment);
        };
        at(first, 1, Moment::Ending);
        at(second, 2, Moment::Ending);
        assert_eq!(shared.position(), (1, Moment::Ending));
        at(third, 3, Moment::Verify);
        assert_eq!(shared.position(), (3, Moment::Verify));
        at(third, 4, Moment::Call);
        assert_eq!(shared.position(), (4, Moment::Call));
        // One has been joined, and another still ends.
        at(third, 5, Moment::Idle);
        first.enter(Moment::Idle);
        assert_eq!(shared.position(), (2, Moment::Ending));
    }
}
