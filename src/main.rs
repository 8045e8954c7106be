//! The `allocspec` command.
//!
//! The file is a program and a shared library at once (see the build script): what checks an interpreter's allocator must
//! live in the interpreter's process.

use std::ffi::{c_char, c_int};
use std::process::ExitCode;

/// The harness's memory is never the subject's: it comes from the kernel, whatever `malloc` is.
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Runs before `main`, and does not return in a worker: see [`allocspec::run::worker`].
#[used]
#[unsafe(link_section = ".init_array")]
static WORKER: extern "C" fn(c_int, *const *const c_char, *const *const c_char) =
    allocspec::run::worker::on_load;

/// Who loads the program. Linkers write this into executables only.
#[used]
#[unsafe(link_section = ".interp")]
static LOADER: [u8; 28] = *b"/lib64/ld-linux-x86-64.so.2\0";

/// Makes a worker of the interpreter that has loaded this file, whose lock the caller holds. Does not return.
///
/// # Safety
///
/// `calling` is a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn allocspec_worker(calling: *const c_char) {
    // SAFETY: the caller's promise.
    unsafe { allocspec::run::worker::on_call(calling) }
}

fn main() -> ExitCode {
    allocspec::cli::main()
}
