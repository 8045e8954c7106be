//! What one document promises, or several together.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::catalogue::CatalogueError;
use super::{Level, Rule, RuleId, RuleSet};

/// Arguments that one document defines and another leaves undefined. They are passed to a subject only if its profile
/// [defines](Profile::defines) them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeCase {
    /// `realloc` of a live block to size 0.
    ReallocZero,
    /// `aligned_alloc` with an alignment that is 0 or not a power of two.
    AlignedAllocInvalid,
    /// `aligned_alloc` with a size that is not a multiple of the alignment.
    AlignedAllocNonmultiple,
    /// `memalign` with an alignment that is 0 or not a power of two.
    MemalignInvalid,
}

/// The rules, entry points and edge cases that a document promises, or several together.
#[derive(Clone, Debug)]
pub struct Profile {
    id: String,
    title: String,
    document: String,
    aliases: Vec<String>,
    /// By rule index.
    levels: Vec<Option<Level>>,
    entry_points: BTreeSet<String>,
    defines: BTreeSet<EdgeCase>,
    waivers: BTreeMap<RuleId, String>,
}

impl Profile {
    /// Its name: `c17`, or `c17+posix-2017` for a union.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is, in a few words.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The document, with edition and chapter.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// Its other names.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// The level of a rule, or `None` if the profile does not have it. In a union the strongest level counts.
    pub fn level(&self, rule: RuleId) -> Option<Level> {
        self.levels[rule.index()]
    }

    /// Whether the profile has the rule.
    pub fn has(&self, rule: RuleId) -> bool {
        self.level(rule).is_some()
    }

    /// The rules that the profile has.
    pub fn rules(&self) -> RuleSet {
        RuleId::ALL
            .iter()
            .copied()
            .filter(|&rule| self.has(rule))
            .collect()
    }

    /// Why the profile leaves out a rule that a profile within it has.
    pub fn waiver(&self, rule: RuleId) -> Option<&str> {
        self.waivers.get(&rule).map(String::as_str)
    }

    /// The C functions that the profile promises, sorted; no others are called.
    pub fn entry_points(&self) -> impl Iterator<Item = &str> {
        self.entry_points.iter().map(String::as_str)
    }

    /// Whether the profile promises this C function.
    pub fn promises(&self, entry_point: &str) -> bool {
        self.entry_points.contains(entry_point)
    }

    /// Whether a document of the profile says what comes of this edge case.
    pub fn defines(&self, case: EdgeCase) -> bool {
        self.defines.contains(&case)
    }

    /// Takes in what another profile promises.
    ///
    /// A subject that claims two documents owes what either demands: levels, entry points and edge cases add up. But
    /// where one says the opposite of the other, as its waivers tell, nobody can keep both.
    pub(super) fn join(&mut self, other: &Profile) {
        for (level, also) in self.levels.iter_mut().zip(&other.levels) {
            *level = (*level).max(*also);
        }
        self.entry_points.extend(other.entry_points.iter().cloned());
        self.defines.extend(&other.defines);
        self.waivers
            .extend(other.waivers.iter().map(|(&rule, why)| (rule, why.clone())));
        for rule in self.waivers.keys() {
            self.levels[rule.index()] = None;
        }
    }

    /// The union of profiles, under their names joined; `None` of no profile.
    pub(super) fn union<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> Option<Profile> {
        let mut parts = profiles.into_iter();
        let mut union = parts.next()?.clone();
        for part in parts {
            union.join(part);
            union.aliases.clear();
            union.id = format!("{}+{}", union.id, part.id);
            union.title = format!("{} + {}", union.title, part.title);
            union.document = format!("{}; {}", union.document, part.document);
        }
        Some(union)
    }
}

/// A profile as it stands in `profiles.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileEntry {
    pub(super) id: String,
    title: String,
    document: String,
    /// The name by which rules list all profiles of its kind.
    pub(super) family: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    includes: Vec<String>,
    #[serde(default)]
    entry_points: BTreeSet<String>,
    #[serde(default)]
    defines: BTreeSet<EdgeCase>,
    #[serde(default)]
    waives: Vec<Waiver>,
}

/// A rule that a document contradicts: a profile with it does not have the rule, whatever else it is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiver {
    rule: RuleId,
    reason: String,
}

impl ProfileEntry {
    /// The profile, given the rules and the profiles before it in the file, which are those it may include.
    ///
    /// # Errors
    ///
    /// An included profile is unknown.
    pub(super) fn resolve(
        self,
        rules: &[Rule],
        before: &[Profile],
    ) -> Result<Profile, CatalogueError> {
        let mut profile = Profile {
            levels: rules.iter().map(|rule| self.level_of(rule)).collect(),
            id: self.id,
            title: self.title,
            document: self.document,
            aliases: self.aliases,
            entry_points: self.entry_points,
            defines: self.defines,
            waivers: BTreeMap::new(),
        };
        for name in self.includes {
            match before.iter().find(|included| included.id == name) {
                Some(included) => profile.join(included),
                None => {
                    return Err(CatalogueError::UnknownName {
                        place: profile.id,
                        name,
                    });
                }
            }
        }
        for waiver in self.waives {
            profile.levels[waiver.rule.index()] = None;
            profile.waivers.insert(waiver.rule, waiver.reason);
        }
        Ok(profile)
    }

    /// The level that a rule gives this profile: by its name, else by its family, else the rule's own. A rule of the
    /// family is one of those members that have the entry points for it.
    fn level_of(&self, rule: &Rule) -> Option<Level> {
        let names = || [Some(&self.id), self.family.as_ref()].into_iter().flatten();
        let missing = rule.missing_calls(|call| self.entry_points.contains(call));
        let has = |name: &String| {
            rule.profiles.contains(name) && (missing.is_empty() || *name == self.id)
        };
        names().any(has).then(|| {
            names()
                .find_map(|name| rule.levels.get(name))
                .copied()
                .unwrap_or(rule.level)
        })
    }
}
