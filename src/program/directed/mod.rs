//! Programs made for a rule: the situations in which an allocator that breaks it shows that it does.
//!
//! Random programs meet most rules by chance, some of them rarely: an overflowing product, memory that runs out, a
//! huge request while caches are warm. Here each is met on purpose, one theme a file, from the sizes and calls that the
//! subject has. A program is short where it can be, since it is run in a fresh process.

mod alignment;
mod arguments;
mod bounded;
mod bsd;
mod calloc;
mod contents;
mod cpython;
mod cpython_sources;
mod cxx;
mod exhaustion;
mod failing;
mod growth;
mod huge;
mod introspection;
mod life;
mod realloc;
mod script;
mod threads;
mod zero;

use super::op::Program;
use super::vocabulary::Vocabulary;
use script::Kit;

/// The directed programs for a subject, cheapest first. Each names the rule it was made for.
pub fn directed(vocabulary: &Vocabulary, seed: u64) -> Vec<Program> {
    let kit = Kit::new(vocabulary, seed);
    let mut programs = Vec::new();
    let themes = [
        huge::programs,
        arguments::programs,
        zero::programs,
        alignment::programs,
        calloc::programs,
        realloc::programs,
        introspection::programs,
        contents::programs,
        exhaustion::programs,
        failing::programs,
        bounded::programs,
        bsd::programs,
        cxx::programs,
        growth::programs,
        life::programs,
        threads::programs,
        cpython::programs,
        cpython_sources::programs,
    ];
    for theme in themes {
        theme(&kit, &mut programs);
    }
    programs.retain(|program| !program.ops.is_empty() && vocabulary.permits(program));
    programs.sort_by_cached_key(Program::steps);
    programs
}

#[cfg(test)]
mod tests;
