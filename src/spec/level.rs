//! How much a broken rule weighs.

use serde::{Deserialize, Serialize};

/// How much a rule weighs; the greater level is the stronger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The document leaves a choice. The choice is told and never fails, unless it lies outside what the document
    /// permits: that is a failure like that of a [`Must`](Level::Must).
    Fact,
    /// No document requires it outright, or not by how much. Fails only when asked to be strict.
    Quality,
    /// Breaking it breaks conformance.
    Must,
}

impl Level {
    /// The word used in the catalogue and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Fact => "fact",
            Level::Quality => "quality",
            Level::Must => "must",
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn must_is_the_strongest() {
        assert_eq!(
            [Level::Quality, Level::Must, Level::Fact].into_iter().max(),
            Some(Level::Must)
        );
        assert!(Level::Quality > Level::Fact);
    }
}
