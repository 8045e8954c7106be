//! Every rule and every profile, read once from the files of `conformance/` that are built into the program.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use super::profile::ProfileEntry;
use super::{Profile, Rule, RuleId, Statement};

static RULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/conformance/rules");
static PROFILES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/conformance/profiles.toml"
));

static DOCUMENTS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/conformance/documents.toml"
));

/// The rules, the profiles, and what documents say that is not so.
#[derive(Debug)]
pub struct Catalogue {
    /// By rule index.
    rules: Vec<Rule>,
    profiles: Vec<Profile>,
    statements: Vec<Statement>,
}

/// Why files are not a catalogue.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogueError {
    /// A file is not TOML, or has not the keys it must have.
    #[error("{file}: {source}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong where.
        source: Box<toml::de::Error>,
    },
    /// A rule is stated twice.
    #[error("the rule {0} is stated twice")]
    DuplicateRule(RuleId),
    /// A rule that the code checks is stated nowhere.
    #[error("the rule {0} is stated nowhere")]
    MissingRule(RuleId),
    /// A name stands for two rules or for two profiles.
    #[error("{0:?} is the name of two things")]
    DuplicateName(String),
    /// A rule or profile names a profile, family or entry point that does not exist.
    #[error("{place} names {name:?}, which does not exist")]
    UnknownName {
        /// The rule or the profile.
        place: String,
        /// The name.
        name: String,
    },
}

/// A profile was asked for that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no profile is named {name:?}; there are {}", known.join(", "))]
pub struct UnknownProfile {
    /// The name asked for.
    pub name: String,
    /// The profiles that exist.
    pub known: Vec<String>,
}

/// A file of rules: one section of the catalogue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    section: String,
    rule: Vec<Rule>,
}

/// The file of statements.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentFile {
    statement: Vec<Statement>,
}

/// The file of profiles.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    profile: Vec<ProfileEntry>,
}

impl Catalogue {
    /// The catalogue built into the program.
    pub fn embedded() -> &'static Catalogue {
        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
            // A test reads the same bytes, so a program whose tests passed does not panic here.
            Catalogue::read_embedded().expect("the catalogue built into the program is sound")
        });
        &CATALOGUE
    }

    fn read_embedded() -> Result<Catalogue, CatalogueError> {
        let files = RULES.files().map(|file| {
            let name = file.path().display().to_string();
            (name, file.contents_utf8().unwrap_or_default())
        });
        Self::read(files, PROFILES, DOCUMENTS)
    }

    /// The catalogue of these files of rules, each a name and a text, and these texts of
    /// `profiles.toml` and `documents.toml`.
    ///
    /// # Errors
    ///
    /// A file cannot be read, the rules are not exactly those of [`RuleId`], or a name is ambiguous or unknown.
    fn read<'a>(
        files: impl IntoIterator<Item = (String, &'a str)>,
        profiles: &str,
        documents: &str,
    ) -> Result<Catalogue, CatalogueError> {
        let mut slots: Vec<Option<Rule>> = vec![None; RuleId::ALL.len()];
        for (name, text) in files {
            let file: RuleFile = parse(name, text)?;
            for mut rule in file.rule {
                rule.section.clone_from(&file.section);
                let slot = &mut slots[rule.id.index()];
                if slot.is_some() {
                    return Err(CatalogueError::DuplicateRule(rule.id));
                }
                *slot = Some(rule);
            }
        }
        let rules = slots
            .into_iter()
            .zip(RuleId::ALL)
            .map(|(slot, &id)| slot.ok_or(CatalogueError::MissingRule(id)))
            .collect::<Result<Vec<_>, _>>()?;

        let entries = parse::<ProfileFile>("profiles.toml".into(), profiles)?.profile;
        let families: BTreeSet<String> = entries.iter().filter_map(|p| p.family.clone()).collect();
        let mut profiles = Vec::with_capacity(entries.len());
        for entry in entries {
            let profile = entry.resolve(&rules, &profiles)?;
            profiles.push(profile);
        }

        let statements = parse::<DocumentFile>("documents.toml".into(), documents)?.statement;
        let catalogue = Catalogue {
            rules,
            profiles,
            statements,
        };
        catalogue.check_names(families)?;
        Ok(catalogue)
    }

    /// Every name means one thing, and every name used has a meaning.
    fn check_names(&self, families: BTreeSet<String>) -> Result<(), CatalogueError> {
        let rule_names = self.rules.iter().flat_map(|rule| {
            std::iter::once(rule.id.as_str()).chain(rule.aliases.iter().map(String::as_str))
        });
        unique(rule_names)?;
        let profile_names = self.profiles.iter().flat_map(|profile| {
            std::iter::once(profile.id()).chain(profile.aliases().iter().map(String::as_str))
        });
        unique(profile_names.chain(families.iter().map(String::as_str)))?;
        unique(
            self.statements
                .iter()
                .map(|statement| statement.id.as_str()),
        )?;

        let mut listable = families;
        listable.extend(self.profiles.iter().map(|profile| profile.id().to_owned()));
        for rule in &self.rules {
            let unknown_profile = rule
                .profiles
                .iter()
                .chain(rule.levels.keys())
                .find(|&name| !listable.contains(name));
            let unknown_call = rule
                .calls
                .iter()
                .chain(&rule.calls_all)
                .find(|call| !self.profiles.iter().any(|profile| profile.promises(call)));
            if let Some(name) = unknown_profile.or(unknown_call) {
                return Err(CatalogueError::UnknownName {
                    place: rule.id.to_string(),
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }

    /// What the catalogue says of a rule.
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.index()]
    }

    /// The rule of this id or alias.
    pub fn find(&self, name: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.id.as_str() == name || rule.aliases.iter().any(|alias| alias == name))
    }

    /// Every rule in catalogue order; the rules of a section stand together.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What documents say that is not so.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Every profile that has a name of its own.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The profile of this name: an id (`posix-2017`), another name of it (`posix17`), or several joined by `+`.
    ///
    /// # Errors
    ///
    /// A part of the name is unknown.
    pub fn profile(&self, name: &str) -> Result<Profile, UnknownProfile> {
        let mut parts: Vec<&Profile> = Vec::new();
        for part in name.split('+') {
            let profile = self
                .profiles
                .iter()
                .find(|profile| {
                    profile.id() == part || profile.aliases().iter().any(|alias| alias == part)
                })
                .ok_or_else(|| self.unknown_profile(part))?;
            if !parts.iter().any(|other| other.id() == profile.id()) {
                parts.push(profile);
            }
        }
        Profile::union(parts).ok_or_else(|| self.unknown_profile(name))
    }

    fn unknown_profile(&self, name: &str) -> UnknownProfile {
        UnknownProfile {
            name: name.to_owned(),
            known: self
                .profiles
                .iter()
                .map(|profile| profile.id().to_owned())
                .collect(),
        }
    }
}

/// The content of a TOML file.
fn parse<T: serde::de::DeserializeOwned>(file: String, text: &str) -> Result<T, CatalogueError> {
    toml::from_str(text).map_err(|error| CatalogueError::Syntax {
        file,
        source: Box::new(error),
    })
}

/// Fails on the first name that occurs twice.
fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), CatalogueError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(CatalogueError::DuplicateName(name.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The embedded rules as one file of text for each, after a change to one of them.
    fn rules_with(
        change: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<Catalogue, CatalogueError> {
        let files: Vec<(String, String)> = RULES
            .files()
            .filter_map(|file| {
                let name = file.path().display().to_string();
                let text = change(&name, file.contents_utf8()?)?;
                Some((name, text))
            })
            .collect();
        let files = files
            .iter()
            .map(|(name, text)| (name.clone(), text.as_str()));
        Catalogue::read(files, PROFILES, DOCUMENTS)
    }

    /// The error of the embedded rules with `from` replaced by `to`.
    fn error_of(from: &str, to: &str) -> CatalogueError {
        rules_with(|_, text| Some(text.replacen(from, to, 1))).expect_err("a broken catalogue")
    }

    #[test]
    fn the_embedded_catalogue_is_sound() {
        if let Err(error) = Catalogue::read_embedded() {
            panic!("{error}");
        }
    }

    #[test]
    fn every_rule_is_stated_once() {
        let missing = rules_with(|name, text| (name != "zero.toml").then(|| text.to_owned()));
        assert!(matches!(
            missing,
            Err(CatalogueError::MissingRule(RuleId::MallocZeroChoice))
        ));
        let twice = error_of("\"distinct-nonzero\"", "\"disjoint\"");
        assert!(matches!(
            twice,
            CatalogueError::DuplicateRule(RuleId::Disjoint)
        ));
        let unheard_of = error_of("\"distinct-nonzero\"", "\"distinct\"");
        assert!(
            unheard_of
                .to_string()
                .contains("no rule is named \"distinct\"")
        );
    }

    #[test]
    fn a_misspelt_key_is_no_key() {
        let error = error_of(
            "aliases   = [\"live-disjoint\"]",
            "alias = [\"live-disjoint\"]",
        );
        let CatalogueError::Syntax { file, source } = error else {
            panic!("{error}");
        };
        assert_eq!(file, "contents.toml");
        assert!(
            source.message().contains("unknown field `alias`"),
            "{source}"
        );
    }

    #[test]
    fn names_mean_one_thing() {
        let error = error_of("\"live-disjoint\"", "\"free-null\"");
        assert!(matches!(error, CatalogueError::DuplicateName(name) if name == "free-null"));
        let profiles = PROFILES.replacen("\"posix17\"", "\"posix08\"", 1);
        let files = RULES
            .files()
            .map(|file| (String::new(), file.contents_utf8().unwrap_or_default()));
        let error = Catalogue::read(files, &profiles, DOCUMENTS).expect_err("a broken catalogue");
        assert!(matches!(error, CatalogueError::DuplicateName(name) if name == "posix08"));
    }

    #[test]
    fn names_have_a_meaning() {
        for (from, to) in [
            (
                "profiles  = [\"c\", \"posix\", \"gnu\"]",
                "profiles = [\"windows\"]",
            ),
            ("posix-2008 = \"quality\"", "windows = \"quality\""),
            ("calls     = [\"pvalloc\"]", "calls = [\"windows\"]"),
            ("\"malloc_usable_size\"]", "\"windows\"]"),
        ] {
            let error = error_of(from, to);
            assert!(
                matches!(&error, CatalogueError::UnknownName { name, .. } if name == "windows"),
                "{from}: {error}"
            );
        }
        let profiles = PROFILES.replacen("includes     = [\"c17\"", "includes = [\"c16\"", 1);
        let files = RULES
            .files()
            .map(|file| (String::new(), file.contents_utf8().unwrap_or_default()));
        let error = Catalogue::read(files, &profiles, DOCUMENTS).expect_err("a broken catalogue");
        assert!(
            matches!(error, CatalogueError::UnknownName { place, name } if place == "linux" && name == "c16")
        );
    }
}
