//! What documents say that is not so.

use super::RuleId;
use serde::{Deserialize, Serialize};

/// A statement of a document that does not describe what happens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub document: String,
    /// What it means to say.
    pub says: String,
    /// What really happens.
    pub really: String,
    /// From which version on the two differ.
    pub since: String,
    /// The rules that it bears on.
    #[serde(default)]
    pub rules: Vec<RuleId>,
    /// `reference` if the reference allocator shows it; otherwise why it cannot.
    pub shown: String,
}

#[cfg(test)]
mod tests;
