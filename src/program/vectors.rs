//! The hand-written programs of `conformance/programs`: at least one for every rule that a program can exercise.
//!
//! They are data that any other project could use; each file is named for its rule and says in its second line what it
//! shows.

use super::op::Program;
use include_dir::{Dir, include_dir};

static PROGRAMS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/conformance/programs");

/// Every vector with its name, which is that of its file without the ending, in alphabetical order.
///
/// A vector may need calls that a subject lacks or arguments that a profile leaves undefined: ask
/// [`Vocabulary::permits`](super::Vocabulary::permits) before running it.
pub fn vectors() -> impl Iterator<Item = (&'static str, Program)> {
    PROGRAMS.files().filter_map(|file| {
        let name = file.path().file_stem()?.to_str()?;
        // A file that is no trace fails the tests below, so that none is left out here.
        let program = Program::parse(file.contents_utf8()?).ok()?;
        Some((name, program))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Vocabulary;
    use crate::spec::RuleId;
    use std::collections::BTreeSet;

    /// Rules for which no readable program can be written.
    const WITHOUT: [RuleId; 8] = [
        // Read from the loaded process, not from what its calls do.
        RuleId::InterposeCore,
        RuleId::InterposeComplete,
        RuleId::CxxPairComplete,
        RuleId::CxxPairSized,
        RuleId::CxxPairDelete,
        // A matter of which call is the first of a process, not of a program in it.
        RuleId::FirstCallAny,
        // It takes two arenas of a thousand blocks and more before one is given back; the directed programs do that.
        RuleId::ArenaFreeSamePtr,
        RuleId::ArenaDefaultBackend,
    ];

    #[test]
    fn every_file_is_a_trace_named_for_its_rule() {
        assert_eq!(vectors().count(), PROGRAMS.files().count());
        for file in PROGRAMS.files() {
            let path = file.path().display();
            let text = file.contents_utf8().unwrap();
            let program = Program::parse(text).unwrap_or_else(|error| panic!("{path}: {error}"));
            let rule = program
                .rule
                .unwrap_or_else(|| panic!("{path} names no rule"));
            let name = path.to_string();
            let rest = name
                .strip_prefix(rule.as_str())
                .unwrap_or_else(|| panic!("{path} is for {rule}"));
            assert!(rest == ".trace" || rest.starts_with('-'), "{path}");
            let why = text.lines().nth(1).and_then(|line| line.split_once(": "));
            assert!(
                why.is_some_and(|(_, why)| !why.is_empty()),
                "{path} does not say why"
            );
            assert!(Vocabulary::default().permits(&program), "{path}");
            assert!(program.ops.len() <= 20, "{path} is too long to be read");
        }
    }

    #[test]
    fn every_rule_has_one() {
        let rules: BTreeSet<_> = vectors().filter_map(|(_, program)| program.rule).collect();
        for &rule in RuleId::ALL {
            assert_ne!(rules.contains(&rule), WITHOUT.contains(&rule), "{rule}");
        }
    }
}
