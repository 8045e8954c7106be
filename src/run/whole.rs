//! Findings about a library as a whole, for which no program is run.

use crate::program::{Call, Program};
use crate::run::pairs;
use crate::run::scope::provides;
use crate::run::verdict::{Provider, SubjectInfo};
use crate::shadow::{Case, Evidence, Finding};
use crate::spec::{RuleId, RuleSet};

/// What a library that replaces `malloc` must replace.
const CORE: [&str; 4] = ["malloc", "calloc", "realloc", "free"];
/// What else makes blocks, or reads what lies beside them, in the C library's own heap. `reallocarray` calls whatever
/// `realloc` there is, and `malloc_trim` has nothing to do with blocks.
const BESIDES: [&str; 6] = [
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
];

/// Findings about a library as a whole.
pub(super) fn library_cases(info: &SubjectInfo, rules: &RuleSet, said: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |rule: RuleId, evidence: Evidence| {
        let finding = Finding {
            rule,
            op_index: 0,
            evidence,
        };
        let phase = "loading".to_owned();
        if rules.contains(rule) {
            cases.push(Case {
                finding,
                program: Program {
                    rule: Some(rule),
                    ops: Vec::new(),
                },
                outcomes: Vec::new(),
                live: Vec::new(),
                phase,
                reproduced: true,
                shown: None,
            });
        }
    };
    if info.kind == "preload" {
        let foreign = |wanted: &[&str]| -> Vec<&str> {
            let others = info
                .entry_points
                .iter()
                .filter(|entry| matches!(entry.provider, Provider::Other(_)));
            others
                .map(|entry| entry.name)
                .filter(|name| wanted.contains(name))
                .collect()
        };
        for (rule, wanted) in [
            (RuleId::InterposeCore, CORE.as_slice()),
            (RuleId::InterposeComplete, BESIDES.as_slice()),
        ] {
            let names = foreign(wanted);
            if !names.is_empty() {
                let what = format!(
                    "does not define {}: the C library would serve it from another heap",
                    names.join(", ")
                );
                add(rule, Evidence::Library { what });
            }
        }
        let defines = |call: Call| call.entry_point().is_some_and(|name| provides(info, name));
        for (rule, what) in pairs::broken(defines) {
            add(rule, Evidence::Library { what });
        }
    }
    if !said.trim().is_empty() {
        add(
            RuleId::NoOutput,
            Evidence::Output {
                text: said.to_owned(),
            },
        );
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::verdict::EntryPoint;
    use crate::subject::Native;

    /// The rules about the library as a whole that these foreign functions break in a library loaded like this.
    fn broken(kind: &'static str, foreign: &[&'static str], said: &str) -> Vec<RuleId> {
        let entry = |&name: &&'static str| EntryPoint {
            name,
            symbol: name.to_owned(),
            provider: match foreign.contains(&name) {
                true => Provider::Other("libc.so.6".into()),
                false => Provider::Subject,
            },
        };
        let info = SubjectInfo {
            kind,
            name: "./lib.so".into(),
            path: None,
            arguments: String::new(),
            environment: Vec::new(),
            entry_points: Native::NAMES.iter().map(entry).collect(),
            notes: Vec::new(),
        };
        let rules = RuleId::ALL.iter().copied().collect();
        let cases = library_cases(&info, &rules, said);
        cases.iter().map(|case| case.finding.rule).collect()
    }

    #[test]
    fn functions_left_to_another_heap_break_the_rule_about_them() {
        assert_eq!(broken("preload", &[], ""), []);
        for name in ["malloc", "calloc", "realloc", "free"] {
            assert_eq!(broken("preload", &[name], ""), [RuleId::InterposeCore]);
        }
        assert_eq!(
            broken("preload", &["memalign"], ""),
            [RuleId::InterposeComplete]
        );
        assert_eq!(
            broken("preload", &["calloc", "valloc"], ""),
            [RuleId::InterposeCore, RuleId::InterposeComplete]
        );
        assert_eq!(broken("dlopen", &["calloc", "valloc"], ""), []);
        assert_eq!(broken("dlopen", &[], "hello\n"), [RuleId::NoOutput]);
    }
}
