//! One rule, as the catalogue states it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Level, RuleId};

/// A documented requirement on allocators.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name in the code.
    pub id: RuleId,
    /// The heading under which tables group it: that of its file.
    #[serde(skip_deserializing)]
    pub section: String,
    /// The rule in a few words, lower-case, without a full stop.
    pub title: String,
    /// The rule in full.
    pub statement: String,
    /// Its level in the profiles for which [`levels`](Rule::levels) has none.
    pub level: Level,
    /// The level in single profiles or families where it is another.
    #[serde(default)]
    pub levels: BTreeMap<String, Level>,
    /// The profiles and families of profiles that have the rule.
    pub profiles: Vec<String>,
    /// Document and place, the defining one first.
    pub sources: Vec<String>,
    /// How it is exercised: on every call, by scenarios made for it, by hand-written programs.
    pub checked: String,
    /// The entry points of which any one suffices to exercise the rule; empty if it needs none in particular.
    #[serde(default)]
    pub calls: Vec<String>,
    /// The entry points without any one of which the rule cannot be exercised.
    #[serde(default)]
    pub calls_all: Vec<String>,
    /// Whether it shows only from inside: in what the subject asks of its raw and arena sources, or in its own count
    /// of live blocks.
    #[serde(default)]
    pub hooks: bool,
    /// Whether it is about blocks in pymalloc's pools, and shows without hooks where it is known which are.
    #[serde(default)]
    pub pools: bool,
    /// The seeded faults that the rule's check catches.
    pub mutants: Vec<String>,
    /// What was decided where the documents or their readers disagree.
    #[serde(default)]
    pub note: Option<String>,
    /// Other names by which the rule can be found.
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl Rule {
    /// The entry points whose absence makes the rule not applicable; empty if it applies.
    pub fn missing_calls(&self, provides: impl Fn(&str) -> bool) -> Vec<&str> {
        let absent: Vec<&str> = self
            .calls_all
            .iter()
            .map(String::as_str)
            .filter(|call| !provides(call))
            .collect();
        let served = self.calls.is_empty() || self.calls.iter().any(|call| provides(call));
        if !absent.is_empty() || served {
            return absent;
        }
        self.calls.iter().map(String::as_str).collect()
    }
}
