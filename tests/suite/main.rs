//! The program as its users run it, on allocators of every kind.
//!
//! `subjects/` holds the allocators as C sources, compiled on the fly: `odd` ones that are correct, `faulty` ones that
//! break one rule each, `designs` that are sound or faulty as they are built, `hostile` ones that fight the harness, `traps`
//! in which a harness deceives itself, and what lies `beneath` an interpreter. One crate, so that it is linked once;
//! `cargo test --test suite hostile` runs a part of it.

mod adversity;
mod behaviours;
mod cli;
mod deaths;
mod debian;
mod decorated;
mod designs;
mod entry_points;
mod environment;
mod faulty;
mod gate;
mod hardened;
mod hooks;
mod hostile;
mod interpreters;
mod life;
mod lockstep;
mod mutants;
mod odd_but_correct;
mod page;
mod preload;
mod report;
mod room;
mod threads;
mod traps;
