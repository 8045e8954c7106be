//! Running programs against subjects, in processes that may die.

mod budget;
mod campaign;
mod check;
mod circumstances;
mod crowd;
mod crowded;
mod executor;
mod exiting;
mod facts;
mod fate;
mod followers;
mod in_process;
mod intercept;
mod investigate;
mod kind;
mod known;
mod launch;
mod learn;
mod library;
mod misuse;
mod mutants;
mod obstacles;
mod options;
#[cfg(feature = "cli")]
mod pace;
mod pairs;
mod patience;
mod phase;
mod plan;
mod preempt;
mod preparing;
mod process;
mod protocol;
pub(crate) mod python;
mod races;
mod resolve;
mod scope;
mod seat;
mod shared;
mod spare;
mod strays;
mod supervisor;
mod threads;
pub mod verdict;
mod whole;
pub mod worker;

pub use check::{check, plain_vocabulary, replay};
pub use executor::{Ending, Executor};
pub use in_process::InProcess;
pub use mutants::mutants;
pub use options::*;
#[cfg(feature = "cli")]
pub use pace::{Pace, pace};
pub use phase::{Phase, PhaseShare};
pub use resolve::c_library;
