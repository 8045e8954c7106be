//! The worker's side: a process in which a subject lives, and that may be ruined by it at any time.
//!
//! The worker is this same program, started again with `ALLOCSPEC_WORKER` in its environment; in a Python interpreter it
//! is this same file, loaded there as a library. The program takes over before `main`, from the table of initialisers:
//! the language's own start-up calls `malloc`, and a rule about a process' first call can only be put to the test by
//! whoever comes before it. It then forks a child for every order, so that each program meets a heap that nothing has
//! touched.

pub mod circumstances;
pub mod crowd;
pub mod executor;
pub mod exiting;
pub mod intercept;
pub mod preempt;
pub mod resolve;
pub mod threads;

pub use executor::{Ending, Executor};
pub use resolve::c_library;

use crate::program::{Call, Program};
use crate::pymalloc::{Geometry, Layout, Sound, Visitor};
use crate::run::learn;
use crate::run::misuse;
use crate::run::protocol::{
    Calling, Carrier, Ended, Found, Hello, Order, Report, VARIABLE, conduct,
};
use crate::run::shared::{self, Shared};
use crate::run::strays;
use crate::shadow::{Finding, LiveBlock, Outcome, Shadow};
use crate::subject::faulty::{Faulty, constructed, surviving_forks};
use crate::subject::interpreter::{self, Hooked};
use crate::subject::mutants::Mutant;
use crate::subject::threaded::Threaded;
use crate::subject::{Native, Reference, Subject};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Live blocks told with a finding at most.
const LIVE_TOLD: usize = 64;
/// The exit status of a worker that cannot do its part.
pub const USELESS: i32 = 97;

/// Makes what this process runs count: it never comes to where the counters are set up.
#[cfg(coverage)]
fn count_coverage() {
    unsafe extern "C" {
        fn __llvm_profile_initialize();
    }
    // SAFETY: may be called at any time, once.
    unsafe { __llvm_profile_initialize() };
}

/// Becomes a worker if the environment says so, and then never returns. To be called before `main`.
pub extern "C" fn on_load(
    _count: c_int,
    _arguments: *const *const c_char,
    _environment: *const *const c_char,
) {
    let Ok(name) = CString::new(VARIABLE) else {
        return;
    };
    // SAFETY: nothing changes the environment before `main`; the value is a C string.
    let value = unsafe {
        let value = libc::getenv(name.as_ptr());
        if value.is_null() {
            return;
        }
        CStr::from_ptr(value)
    };
    become_worker(value)
}

/// Becomes a worker in a Python interpreter, whose lock the caller holds.
///
/// # Safety
///
/// `calling` is a C string.
pub unsafe fn on_call(calling: *const c_char) -> ! {
    // SAFETY: the caller's promise.
    become_worker(unsafe { CStr::from_ptr(calling) })
}

fn become_worker(calling: &CStr) -> ! {
    let calling = calling
        .to_str()
        .ok()
        .and_then(|text| serde_json::from_str::<Calling>(text).ok());
    let shared = calling
        .as_ref()
        .and_then(|calling| open_shared(calling).ok());
    if let (Some(calling), Some(shared)) = (calling, shared) {
        match calling.early && !is_program() {
            true => circumstances::begin_early(),
            false => constructed(),
        }
        #[cfg(coverage)]
        count_coverage();
        // A library that is opened later has handlers of its own, which run before those registered here.
        if !matches!(calling.carrier, Carrier::Opened { .. }) {
            exiting::expect_exit();
        }
        serve(&calling, &shared);
    }
    end(USELESS)
}

/// Whether this code is that of the program which the process runs, and not of a library beside it.
fn is_program() -> bool {
    // SAFETY: any address may be asked about; the structure is ours.
    let base = |address: *const c_void| unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address, &raw mut info) != 0).then_some(info.dli_fbase)
    };
    // SAFETY: a plain request; where the kernel has put the program's headers.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    base(on_load as *const c_void) == base(std::ptr::with_exposed_provenance(headers))
}

/// Ends the process at once: handlers of the subject must not run.
fn end(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// Maps the shared memory, through the supervisor if the subject closed the descriptor while it was loaded.
fn open_shared(calling: &Calling) -> io::Result<Shared> {
    // SAFETY: `fstat` on any number is harmless; the descriptor, if it is the right one, was made for this process.
    let mut shared = unsafe {
        let mut stat = std::mem::zeroed();
        match libc::fstat(calling.fd, &raw mut stat) {
            0 => Shared::open(File::from_raw_fd(calling.fd)),
            _ => Err(io::Error::last_os_error()),
        }
    };
    if shared.is_err() {
        let path = format!("/proc/{}/fd/{}", calling.supervisor, calling.supervisor_fd);
        shared = File::options()
            .read(true)
            .write(true)
            .open(path)
            .and_then(Shared::open);
    }
    shared
}

fn serve(calling: &Calling, shared: &Shared) -> ! {
    match &calling.carrier {
        Carrier::Reference(_) => {
            struct Serve<'a>(&'a Calling, &'a Shared);
            impl Visitor for Serve<'_> {
                type Output = ();
                fn visit<L: Layout + 'static>(self) {
                    serve_built_in(self.0, self.1, Reference::<Sound, L>::with_layout)
                }
            }
            calling
                .carrier
                .edition()
                .build
                .visit(Serve(calling, shared));
            end(USELESS)
        }
        Carrier::Mutant(name) => match Mutant::named(name) {
            Some(Mutant::Faulty(fault)) => serve_built_in(calling, shared, move || {
                surviving_forks(Faulty::new(Some(fault)))
            }),
            Some(Mutant::Sound(variant)) => serve_built_in(calling, shared, move || {
                surviving_forks(Faulty::sound(variant))
            }),
            Some(Mutant::Threaded(fault)) => {
                serve_built_in(calling, shared, move || Threaded::new(Some(fault)))
            }
            Some(Mutant::Reference(fault)) => {
                serve_built_in(calling, shared, move || Reference::with_fault(fault))
            }
            None => end(USELESS),
        },
        Carrier::Linked { file, symbols } => {
            let (native, found) = resolve::linked(file.as_ref(), symbols);
            serve_native(calling, shared, native, &Hello::Ready(found))
        }
        Carrier::Opened {
            path,
            file,
            symbols,
        } => match resolve::opened(path, file, symbols) {
            Ok((native, found)) => {
                exiting::expect_exit();
                serve_native(calling, shared, native, &Hello::Ready(found))
            }
            Err(reason) => {
                shared.report(&Hello::NotOpened(reason));
                end(0)
            }
        },
        Carrier::Interpreter { domain } => serve_interpreter(calling, shared, domain),
    }
}

fn serve_interpreter(calling: &Calling, shared: &Shared, domain: &str) -> ! {
    // SAFETY: has no preconditions.
    if unsafe { libc::getppid() }.cast_unsigned() != calling.supervisor {
        let reason = "a wrapper starts it and waits for it: name the interpreter itself, or let the wrapper exec it";
        shared.report(&Hello::NotOpened(reason.into()));
        end(0);
    }
    let domain = interpreter::domain(domain).unwrap_or_else(|_| end(USELESS));
    // SAFETY: whoever loaded this into an interpreter holds its lock, and waits for this process to end.
    let prepared = unsafe { interpreter::prepare(domain) };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => {
            shared.report(&Hello::NotOpened(reason));
            end(0)
        }
    };
    let found = |(name, symbol, own): (String, String, bool)| Found {
        name,
        symbol,
        object: None,
        own,
    };
    if !calling.once {
        shared.report(&Hello::Interpreter {
            edition: prepared.edition.to_string(),
            found: prepared.symbols.into_iter().map(found).collect(),
            hidden: prepared.hooked.as_ref().err().cloned(),
            pools: prepared.pools,
            counts: prepared.hooked.as_ref().is_ok_and(Hooked::counts),
            free_threaded: prepared.free_threaded,
        });
    }
    let geometry = prepared.edition.geometry();
    match prepared.hooked {
        Ok(hooked) => serve_subject(calling, shared, geometry, move || hooked),
        Err(_) => serve_subject(calling, shared, geometry, move || prepared.native),
    }
}

fn serve_built_in<S: Subject>(calling: &Calling, shared: &Shared, make: impl Fn() -> S) -> ! {
    if !calling.once {
        shared.report(&Hello::Ready(resolve::built_in(&make())));
    }
    serve_subject(calling, shared, usual_geometry(calling), make)
}

fn serve_native(calling: &Calling, shared: &Shared, native: Native, hello: &Hello) -> ! {
    if !calling.once {
        shared.report(hello);
    }
    serve_subject(calling, shared, usual_geometry(calling), move || native)
}

fn usual_geometry(calling: &Calling) -> Geometry {
    calling.carrier.edition().geometry()
}

fn serve_subject<S: Subject>(
    calling: &Calling,
    shared: &Shared,
    geometry: Geometry,
    make: impl Fn() -> S,
) -> ! {
    let is_foreign = matches!(
        calling.carrier,
        Carrier::Linked { .. } | Carrier::Opened { .. } | Carrier::Interpreter { .. }
    );
    if calling.once {
        obey(
            shared,
            calling.supervisor as i32,
            is_foreign,
            geometry,
            make,
        );
    }
    // SAFETY: a plain request to the kernel.
    let worker = unsafe { libc::getpid() };
    shared.finish(shared.wait_ordered(), 0);
    loop {
        let order = shared.wait_ordered();
        reset_signals();
        shared.set_forks(true);
        // SAFETY: this process has one thread.
        let child = unsafe { libc::fork() };
        if child != 0 {
            shared.set_forks(false);
        }
        match child {
            0 => obey(shared, worker, is_foreign, geometry, make),
            1.. => {
                shared.set_child(child);
                let status = wait_for(child);
                strays::end_all_but(&BTreeSet::new());
                shared.finish(order, status);
            }
            _ => {
                shared.report(&failed(&io::Error::last_os_error()));
                shared.finish(order, 0);
            }
        }
    }
}

/// Undoes what the subject may have done to the signals that the worker depends on.
fn reset_signals() {
    // SAFETY: plain requests to the kernel, on structures of ours.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn wait_for(child: i32) -> i32 {
    let mut status = 0;
    loop {
        // SAFETY: a child of ours that nobody else waits for.
        if unsafe { libc::waitpid(child, &raw mut status, 0) } == child {
            return status;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            end(USELESS);
        }
    }
}

/// Deals with one order, reports, and ends the process, at the latest with its parent.
fn obey<S: Subject>(
    shared: &Shared,
    parent: i32,
    is_foreign: bool,
    geometry: Geometry,
    make: impl FnOnce() -> S,
) -> ! {
    shared.set_begun();
    // SAFETY: plain requests to the kernel.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != parent {
            end(USELESS);
        }
    }
    watch_faults(shared);
    match shared.order() {
        Ok(Order::Learn { deadline }) => {
            shared.report(&learn::learn(&mut make(), deadline));
        }
        // Where a subject that is part of the harness panics, it has noticed something: it ends as one that aborts.
        Ok(Order::Misuse(scene)) => {
            shared.report(&misuse::play(&mut make(), &scene, shared.ledger()));
        }
        Ok(Order::Run {
            rule,
            rules,
            muted,
            stores,
            closely,
            deadline,
        }) => {
            let conduct = conduct(rules, &muted, stores, closely);
            let listener = |finding: &Finding, outcomes: &[Outcome]| {
                shared.report(&Report {
                    ended: Ended::Broken(finding.clone()),
                    outcomes: outcomes.to_vec(),
                    live: Vec::new(),
                });
            };
            let attempt = || {
                shared::program_of(shared, rule).and_then(|program| {
                    let shadow = Shadow::new(shared.ledger(), conduct)?.of_layout(geometry);
                    if program.calls().any(|call| call == Call::FailSyscall) {
                        intercept::begin(shared.ledger());
                    }
                    if program.has_threads() || program.is_among_threads() {
                        watch(shared, libc::SIGABRT);
                    }
                    let executor = Executor::new(make(), shadow, shared.ledger(), deadline)
                        .with_ledgers(shared.thread_ledgers())
                        .with_listener(&listener);
                    Ok(run(executor, &program))
                })
            };
            // Where the subject is part of the harness, a panic is the harness's own fault and must not look like the
            // subject's. A foreign one may have stored in the harness's memory: then it is a death like another.
            let report = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
                if is_foreign {
                    abort();
                }
                Err(io::Error::other(
                    "the harness failed while it ran a program",
                ))
            });
            shared.report(&report.unwrap_or_else(|error| failed(&error)));
        }
        Err(error) => shared.report(&failed(&error)),
    }
    end(0)
}

fn failed(error: &io::Error) -> Report {
    Report {
        ended: Ended::Failed(error.to_string()),
        outcomes: Vec::new(),
        live: Vec::new(),
    }
}

fn run<S: Subject>(mut executor: Executor<'_, S>, program: &Program) -> Report {
    let ended = Ended::from(executor.run(program));
    let shadow = executor.shadow();
    let told = |(slot, block): (u32, &crate::shadow::block::Block)| LiveBlock {
        slot,
        address: block.address,
        size: block.requested,
    };
    Report {
        ended,
        outcomes: shadow.outcomes().to_vec(),
        live: shadow.live_blocks().take(LIVE_TOLD).map(told).collect(),
    }
}

/// The memory in which a fault is noted.
static WATCHED: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());
/// Room for the handler: the subject may have used up the stack.
const STACK: usize = 64 << 10;

/// Notes the address of a fault before it kills the process.
fn watch_faults(shared: &Shared) {
    let stack = Box::leak(vec![0u8; STACK].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: stack.len(),
    };
    // SAFETY: the stack is never freed.
    unsafe {
        let mut present: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(std::ptr::null(), &raw mut present);
        if present.ss_flags & libc::SS_DISABLE != 0 {
            libc::sigaltstack(&raw const stack, std::ptr::null_mut());
        }
    }
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
        watch(shared, signal);
    }
}

/// Notes what is known of a signal before it kills the process, if the subject has no handler for it.
fn watch(shared: &Shared, signal: c_int) {
    WATCHED.store(std::ptr::from_ref(shared).cast_mut(), Relaxed);
    // SAFETY: plain requests to the kernel; the handler only stores words to mapped memory, or sends the signal again.
    // Being reset when it is entered, it lets a fault happen again and kill the process. A handler of the subject's stays:
    // allocators may live by them.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction =
            note_fault as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
        let mut present: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut present);
        if [libc::SIG_DFL, libc::SIG_IGN].contains(&present.sa_sigaction) {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn note_fault(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: set before the handler was, and never unset.
    let Some(shared) = (unsafe { WATCHED.load(Relaxed).as_ref() }) else {
        abort()
    };
    shared.note_thread();
    // SAFETY: the kernel passes a valid record.
    if unsafe { (*info).si_code } <= 0 {
        // Sent by a process: nothing will happen again by itself, and where an address would be is the sender.
        // SAFETY: the signal waits until this handler, which is no longer that of the signal, has returned.
        unsafe { libc::raise(signal) };
        return;
    }
    // SAFETY: the kernel passes a valid record.
    shared.note_fault(unsafe { (*info).si_addr() } as u64);
}
