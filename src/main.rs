//! The `allocspec` command.

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

fn main() -> ExitCode {
    allocspec::cli::main()
}
