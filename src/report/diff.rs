//! What changed between two reports, such as those of two builds of one allocator.

use super::words::{count, wrap};
use anstyle::{AnsiColor, Style};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What is read of a JSON report; other versions may have written it.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    subject: Subject,
    profile: String,
    #[serde(default)]
    strict: bool,
    facts: BTreeMap<String, String>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
struct Subject {
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Rule {
    id: String,
    level: String,
    verdict: String,
    title: String,
}

impl Rule {
    fn is(&self, verdict: &str) -> bool {
        self.verdict == verdict
    }

    /// Whether it was neither kept nor broken.
    fn is_untested(&self) -> bool {
        !self.is("pass") && !self.is("fail")
    }
}

/// What changed between two reports.
#[derive(Clone, Debug)]
pub struct Difference<'a> {
    before: &'a Told,
    after: &'a Told,
    broken: Vec<&'a Rule>,
    mended: Vec<&'a Rule>,
    lost: Vec<&'a Rule>,
    gained: Vec<&'a Rule>,
    facts: Vec<(&'a str, Option<&'a str>, Option<&'a str>)>,
}

impl<'a> Difference<'a> {
    /// Compares two reports.
    ///
    /// # Errors
    ///
    /// They are of different profiles; one line that says what to do.
    pub fn new(before: &'a Told, after: &'a Told) -> Result<Difference<'a>, String> {
        if before.profile != after.profile {
            return Err(format!(
                "one report is of profile {}, the other of {}: check both with the same --profile",
                before.profile, after.profile
            ));
        }
        let earlier = |rule: &Rule| before.rules.iter().find(|other| other.id == rule.id);
        let which = |fits: &dyn Fn(Option<&Rule>, &Rule) -> bool| -> Vec<&'a Rule> {
            let rules = after.rules.iter();
            rules.filter(|rule| fits(earlier(rule), rule)).collect()
        };
        let tested = |rule: &Option<&Rule>| rule.is_some_and(|rule| !rule.is_untested());
        let mut names: Vec<&str> = before.facts.keys().map(String::as_str).collect();
        names.extend(after.facts.keys().map(String::as_str));
        names.sort_unstable();
        names.dedup();
        let fact = |told: &'a Told, name: &str| told.facts.get(name).map(String::as_str);
        Ok(Difference {
            before,
            after,
            broken: which(&|old, new| new.is("fail") && !old.is_some_and(|old| old.is("fail"))),
            mended: which(&|old, new| new.is("pass") && old.is_some_and(|old| old.is("fail"))),
            lost: which(&|old, new| new.is_untested() && tested(&old)),
            gained: which(&|old, new| new.is("pass") && old.is_none_or(|old| old.is_untested())),
            facts: names
                .into_iter()
                .map(|name| (name, fact(before, name), fact(after, name)))
                .filter(|(_, old, new)| old != new)
                .collect(),
        })
    }

    /// Whether a rule is newly broken that must not be.
    pub fn is_worse(&self) -> bool {
        let strict = self.after.strict;
        self.broken
            .iter()
            .any(|rule| strict || rule.level != "quality")
    }

    /// Writes what changed, and last a line that says it all.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&self, out: &mut dyn Write, width: usize) -> io::Result<()> {
        writeln!(out, "before  {}", self.before.subject.name)?;
        writeln!(out, "after   {}", self.after.subject.name)?;
        writeln!(out, "profile {}\n", self.after.profile)?;
        let bad = AnsiColor::Red.on_default().bold();
        let good = AnsiColor::Green.on_default();
        let faint = Style::new().dimmed();
        let sections = [
            ("newly broken", bad, &self.broken),
            ("mended", good, &self.mended),
            ("no longer put to the test", faint, &self.lost),
            ("newly put to the test", faint, &self.gained),
        ];
        for (heading, style, rules) in sections {
            if rules.is_empty() {
                continue;
            }
            writeln!(out, "  {style}{heading}{style:#}")?;
            let column = rules
                .iter()
                .map(|rule| rule.id.len())
                .max()
                .unwrap_or_default()
                + 2;
            for rule in rules {
                writeln!(out, "    {:column$}{}", rule.id, rule.title)?;
            }
        }
        if !self.facts.is_empty() {
            writeln!(out, "  other facts")?;
        }
        for (rule, old, new) in &self.facts {
            writeln!(out, "    {rule}")?;
            for (word, fact) in [("was", old), ("is", new)] {
                let fact = fact.unwrap_or("not found out");
                for line in wrap(&format!("{word} {fact}"), width.saturating_sub(6)) {
                    writeln!(out, "      {line}")?;
                }
            }
        }
        let changes = [&self.broken, &self.mended, &self.lost, &self.gained];
        if !self.facts.is_empty() || changes.iter().any(|rules| !rules.is_empty()) {
            writeln!(out)?;
        }
        let left = format!(
            "{} newly broken, {} mended, {} no longer put to the test, {} changed",
            self.broken.len(),
            self.mended.len(),
            self.lost.len(),
            count(self.facts.len(), "fact")
        );
        let (style, word) = match (self.is_worse(), self.mended.is_empty()) {
            (true, _) => (bad, "worse"),
            (false, false) => (good, "better"),
            (false, true) => (Style::new(), "no worse"),
        };
        let gap = width
            .saturating_sub(left.chars().count() + word.len())
            .max(2);
        writeln!(out, "{left}{:gap$}{style}{word}{style:#}", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use serde_json::Value;

    fn told(change: impl FnOnce(&mut Value)) -> Told {
        let mut value = serde_json::to_value(sample::document()).expect("documents are JSON");
        change(&mut value);
        serde_json::from_value(value).expect("what is written can be read")
    }

    fn text(difference: &Difference<'_>) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        difference
            .write(&mut out, 100)
            .expect("memory can be written");
        String::from_utf8(out.into_inner()).expect("reports are text")
    }

    #[test]
    fn every_kind_of_change() {
        let before = told(|_| ());
        let after = told(|value| {
            value["rules"][0]["verdict"] = "fail".into();
            value["rules"][1]["verdict"] = "not-exercised".into();
            value["rules"][3]["verdict"] = "pass".into();
            value["rules"][4]["verdict"] = "pass".into();
            value["facts"]["malloc-zero-choice"] = "malloc(0) returns NULL".into();
        });
        let difference = Difference::new(&before, &after).expect("the same profile");
        assert!(difference.is_worse());
        insta::assert_snapshot!(text(&difference));
        let back = Difference::new(&after, &before).expect("the same profile");
        assert!(back.is_worse(), "another rule is newly broken");
    }

    #[test]
    fn quality_is_not_worse_unless_strict() {
        let mended = |value: &mut Value| value["rules"][2]["verdict"] = "pass".into();
        let (before, after) = (told(mended), told(|_| ()));
        assert_eq!(before.rules[2].level, "quality");
        let difference = Difference::new(&before, &after).expect("the same profile");
        assert!(!difference.is_worse());
        let strict = told(|value| value["strict"] = true.into());
        let difference = Difference::new(&before, &strict).expect("the same profile");
        assert!(difference.is_worse());
        let same = Difference::new(&after, &after).expect("the same profile");
        assert!(text(&same).ends_with("  no worse\n"), "{}", text(&same));
    }

    #[test]
    fn profiles_are_not_mixed() {
        let other = told(|value| value["profile"] = "c17".into());
        let error = Difference::new(&told(|_| ()), &other).map(|_| ());
        assert!(error.is_err_and(|line| line.contains("--profile")));
    }
}
