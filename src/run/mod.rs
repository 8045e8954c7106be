//! Running programs against subjects, in processes that may die.

mod campaign;
mod candidates;
mod check;
mod executor;
mod facts;
mod investigate;
mod launch;
mod learn;
mod library;
mod mutants;
mod options;
mod plan;
mod process;
mod protocol;
mod resolve;
mod shared;
mod strays;
mod supervisor;
pub mod verdict;
pub mod worker;

pub use candidates::candidates_per_second;
pub use check::{check, replay};
pub use executor::{Ending, Executor};
pub use mutants::mutants;
pub use options::*;
pub use resolve::c_library;
