//! `allocspec`: which documented rules of allocation does a memory allocator keep, and which does it break?
//!
//! The rooms, lowest floor first; each knows only those above it in this list:
//!
//! - [`pymalloc`]: the reference allocator, CPython's small-object allocator in Rust.
//! - [`spec`]: the catalogue of rules, read from `conformance/`.
//! - [`program`]: operations, programs, their text form, their generation and their shrinking.
//! - [`shadow`]: the model of what must be true of every live block, and the findings when it is not.
//! - [`subject`]: the allocators under test behind one trait, and the mutants that prove the checks.
//! - [`run`]: executing programs in disposable worker processes.
//! - [`lockstep`]: the reference and a real CPython, address for address.
//! - [`report`]: findings and verdicts for people and for programs.
//! - [`gate`]: many subjects against what is recorded of them.
//! - [`bench`](mod@bench): how fast the harness and the reference are.
//! - [`fuzz`]: what the fuzz targets do with an input.
//! - [`cli`]: the command line.

#[cfg(feature = "cli")]
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod fuzz;
#[cfg(feature = "cli")]
pub mod gate;
#[cfg(feature = "cli")]
pub mod lockstep;
pub mod program;
pub mod pymalloc;
pub mod report;
pub mod run;
pub mod shadow;
pub mod spec;
pub mod subject;
