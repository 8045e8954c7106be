//! What the fuzz targets do with an input: all of `fuzz/` but the entry points.
//!
//! An input is read as a program, [`input`]. The allocators run it in this process, as [`run`](crate::run) does in
//! workers; what comes of it is a panic whose message is a trace, from the line that begins one on.

mod debug_layer;
mod domains;
pub mod input;
mod layouts;
mod mutate;
mod pymalloc;
mod shrink;
mod subject;
mod told;
mod trace;

pub use debug_layer::{DebugLayer, debug_mutants, is_debug_mutant};
pub use domains::domains;
pub use layouts::Layouts;
pub use mutate::mutate;
pub use pymalloc::Pymalloc;
pub use shrink::Shrink;
pub use subject::Subject;
pub use trace::trace;

#[cfg(test)]
mod tests;
