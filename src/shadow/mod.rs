//! The shadow model: what must be true of every live block after every operation.

mod alignment;
mod allocate;
mod attribute;
mod attribute_threads;
pub mod block;
mod conduct;
pub mod contents;
mod cpython;
mod discard;
mod event;
mod expectation;
mod finding;
mod growth;
mod holding;
mod interception;
mod ledger;
mod model;
pub mod occupancy;
mod operators;
mod placing;
mod posix_memalign;
mod query;
mod reallocate;
mod release;
mod threads;
#[cfg(test)]
mod verdicts;

pub use attribute::{attribute_death, attribute_shrunk, is_killed, rule_of_fork};
pub use attribute_threads::{attribute_threads, is_about_threads, provisional};
pub use conduct::{Conduct, Muted};
pub use event::{Event, Source};
pub use finding::{Case, Death, Evidence, Finding, LiveBlock, Moment, Outcome, Shown};
pub use growth::{Climb, Measured, Sample, is_plain};
pub use growth::{LEAST as LEAST_SAMPLES, MOST as MOST_SAMPLES};
pub use interception::{Interception, Standing};
pub use ledger::{Choice, Ledger};
pub use model::{
    Checked, ERRNO_BEFORE, HandlerState, MEMPTR_BEFORE, Reply, Request, Shadow, Stop, Thrown,
};
