//! The shadow model: what must be true of every live block after every operation.

mod allocate;
mod attribute;
pub mod block;
pub mod contents;
mod cpython;
mod event;
mod finding;
mod ledger;
mod model;
pub mod occupancy;
mod query;
mod reallocate;
mod release;

pub use attribute::{attribute_death, attribute_shrunk, is_killed};
pub use event::{Event, Source};
pub use finding::{Case, Death, Evidence, Finding, LiveBlock, Moment, Outcome};
pub use ledger::{Choice, Ledger};
pub use model::{
    Checked, Conduct, ERRNO_BEFORE, MEMPTR_BEFORE, Muted, Reply, Request, Shadow, Stop,
};
