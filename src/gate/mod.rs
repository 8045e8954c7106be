//! Many subjects against what is recorded of them: for CI.
//!
//! A check asks whether an allocator keeps the rules. The gate asks whether it does what it did when somebody last
//! looked: a rule newly broken fails, and so does one that is kept again, or a fact that has changed, until the record
//! says so too.

mod bless;
mod expectations;
mod file;
mod judge;
mod run;

pub use bless::Blessed;
pub use file::{GateFile, GateSubject};
pub use run::{GateOptions, Ran, RanError, Shard, run};

/// Why a file of the gate cannot be used: one line that says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GateError(String);
