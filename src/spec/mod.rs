//! The catalogue: rules, profiles and levels, read from `conformance/`.

mod catalogue;
mod document;
mod id;
mod level;
mod profile;
mod rule;
mod rule_set;

pub use catalogue::{Catalogue, UnknownProfile};
pub use document::Statement;
pub use id::RuleId;
pub use level::Level;
pub use profile::{EdgeCase, Profile};
pub use rule::Rule;
pub use rule_set::RuleSet;

#[cfg(test)]
mod tests;
