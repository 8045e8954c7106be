//! Running programs against subjects, in processes that may die.
//!
//! A `plan` says which programs, and when. A `campaign` goes through it and looks into what they show. The `supervisor` starts
//! workers and outlives what becomes of them; in a `worker` the subject lives. The other files are what a whole check takes
//! from options to verdicts, and what both sides share.

mod budget;
mod campaign;
mod check;
mod facts;
mod in_process;
mod learn;
mod misuse;
mod mutants;
mod obstacles;
mod options;
#[cfg(feature = "cli")]
mod pace;
mod pairs;
mod phase;
mod plan;
mod process;
mod protocol;
mod scope;
mod shared;
mod strays;
mod supervisor;
pub mod verdict;
mod whole;
pub mod worker;

pub use check::{check, plain_vocabulary, replay};
pub use in_process::InProcess;
pub use mutants::mutants;
pub use options::*;
#[cfg(feature = "cli")]
pub use pace::{Pace, pace};
pub use phase::{Phase, PhaseShare};
pub(crate) use supervisor::python;
pub use worker::{Ending, Executor, c_library};
