//! The report to be looked at: one HTML file that needs no other and asks the network for nothing.
//!
//! The templates are compiled and checked with the program. What they show is prepared here and in `picture`; the script
//! only filters, copies and opens, so that the page is whole without it.

mod curve;
mod picture;
mod shares;

use super::document::{
    Answer, Document, Entry, Finding, Known, Rule, RuleVerdict, Standing, VERSION,
};
use super::words::thousands;
use crate::spec::Level;
use askama::Template;
use curve::Curve;
use picture::Picture;
use shares::Shares;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Writes the page of these subjects. `caption` stands under the title: what was checked, when, with what.
///
/// # Errors
///
/// Those of the writer.
pub fn write(entries: &[Entry], caption: &str, out: &mut dyn Write) -> io::Result<()> {
    let page = page(entries, caption);
    let text = page.render().map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    caption: &'a str,
    version: &'static str,
    style: &'static str,
    script: &'static str,
    subjects: Vec<Subject<'a>>,
    sections: Vec<Section<'a>>,
    facts: Vec<FactRow<'a>>,
    profiles: Vec<&'a str>,
}

/// A subject with its findings.
struct Subject<'a> {
    id: String,
    name: &'a str,
    document: Option<&'a Document>,
    standing: &'static str,
    verdict: String,
    effort: String,
    notes: Vec<String>,
    failures: Option<Shares>,
    findings: Vec<FindingView<'a>>,
}

struct FindingView<'a> {
    id: String,
    word: &'static str,
    class: &'static str,
    rule: &'a Rule,
    finding: &'a Finding,
    known: Option<&'a Known>,
    /// Whether the link of what is known goes to the web: nothing else becomes one.
    is_web: bool,
    picture: Option<Picture>,
    curve: Option<Curve>,
    /// How often it shows, if not every time.
    runs: Option<Shares>,
}

/// The rules under one heading.
struct Section<'a> {
    name: &'a str,
    rules: Vec<Row<'a>>,
}

/// A rule with what became of it for every subject.
struct Row<'a> {
    rule: &'a Rule,
    /// For the filter: the verdicts that occur, the profiles, and what a text is looked for in.
    verdicts: String,
    profiles: String,
    text: String,
    cells: Vec<Cell<'a>>,
}

struct Cell<'a> {
    subject: &'a str,
    class: &'static str,
    word: &'static str,
    /// What was exercised, or why nothing was.
    detail: String,
    /// The finding to go to.
    link: Option<String>,
}

/// A fact side by side.
struct FactRow<'a> {
    rule: &'a str,
    told: Vec<Option<&'a str>>,
}

fn page<'a>(entries: &'a [Entry], caption: &'a str) -> Page<'a> {
    let subjects: Vec<Subject<'_>> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| subject(index, entry))
        .collect();
    let documents = || entries.iter().filter_map(|entry| entry.report.as_ref());
    let facts: BTreeSet<&str> = documents()
        .flat_map(|document| document.facts.keys().map(String::as_str))
        .collect();
    let facts = facts.into_iter().map(|rule| FactRow {
        rule,
        told: entries
            .iter()
            .map(|entry| {
                let facts = entry.report.as_ref().map(|document| &document.facts);
                facts.and_then(|facts| facts.get(rule)).map(String::as_str)
            })
            .collect(),
    });
    let profiles: BTreeSet<&str> = documents()
        .flat_map(|document| &document.rules)
        .flat_map(|rule| rule.profiles.iter().map(String::as_str))
        .collect();
    Page {
        title: match entries {
            [entry] => format!("Conformance of {}", entry.name),
            _ => format!("Conformance of {} allocators", entries.len()),
        },
        caption,
        version: VERSION,
        style: include_str!("report.css"),
        script: include_str!("report.js"),
        subjects,
        sections: sections(entries),
        facts: facts.collect(),
        profiles: profiles.into_iter().collect(),
    }
}

fn subject(index: usize, entry: &Entry) -> Subject<'_> {
    let document = entry.report.as_ref();
    let (standing, verdict) = match (&entry.judgement, document) {
        (Some(judgement), _) => {
            let known = judgement.known.len();
            let text = match (judgement.verdict, known) {
                (Standing::Pass, 0) => "as expected".to_owned(),
                (Standing::Pass, known) => format!("as expected, {known} known"),
                (Standing::Fail, _) => "not as expected".into(),
                (other, _) => other.as_str().into(),
            };
            (judgement.verdict.as_str(), text)
        }
        (None, Some(document)) => {
            let standing = match document.verdict {
                Answer::Conformant => "pass",
                Answer::Nonconformant => "fail",
            };
            let verdict = match document.misuse.is_empty() {
                true => document.verdict.as_str(),
                false => "misused on purpose",
            };
            (standing, verdict.into())
        }
        (None, None) => ("error", "not checked".into()),
    };
    let mut notes: Vec<String> = Vec::new();
    if let Some(judgement) = &entry.judgement {
        notes.extend(judgement.note.clone());
        notes.extend(judgement.complaints.iter().map(|of| of.message.clone()));
        notes.extend(judgement.unseen.iter().map(Known::not_seen));
    }
    notes.extend(document.iter().flat_map(|of| of.subject.notes.clone()));
    let findings = document.map_or(Vec::new(), |document| findings(index, entry, document));
    Subject {
        id: format!("s{index}"),
        name: &entry.name,
        document,
        standing,
        verdict,
        effort: document.map_or(String::new(), |document| {
            format!(
                "{} operations in {:.1} s",
                thousands(document.ops),
                document.elapsed_s
            )
        }),
        notes,
        failures: document
            .and_then(|document| document.failures.as_ref())
            .map(Shares::of_failures),
        findings,
    }
}

fn findings<'a>(index: usize, entry: &'a Entry, document: &'a Document) -> Vec<FindingView<'a>> {
    let mut numbers = BTreeMap::new();
    let mut findings: Vec<FindingView<'_>> = document
        .findings
        .iter()
        .filter_map(|finding| {
            let rule = document.rule(finding.rule)?;
            let number = numbers.entry(finding.rule).or_insert(0);
            *number += 1;
            let known = entry.known(finding.rule);
            let (word, class) = match (known, finding.breaks) {
                (Some(_), _) => ("known", "known"),
                (None, true) => ("FAIL", "fail"),
                (None, false) => ("WARN", "warn"),
            };
            Some(FindingView {
                id: finding_id(index, finding.rule, *number),
                word,
                class,
                rule,
                finding,
                known,
                is_web: known
                    .and_then(|known| known.link.as_deref())
                    .is_some_and(is_web),
                picture: finding.heap.as_ref().map(Picture::of),
                curve: finding.series.as_ref().map(Curve::of),
                runs: finding.shown.map(Shares::of_runs),
            })
        })
        .collect();
    findings.sort_by_key(|view| !view.finding.breaks);
    findings
}

fn is_web(link: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| link.starts_with(scheme))
}

fn finding_id(subject: usize, rule: &str, number: usize) -> String {
    match number {
        1 => format!("s{subject}-{rule}"),
        _ => format!("s{subject}-{rule}-{number}"),
    }
}

/// The rules of all subjects by heading, in the order of the first subject that has them.
fn sections(entries: &[Entry]) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut seen = BTreeSet::new();
    let all = entries.iter().filter_map(|entry| entry.report.as_ref());
    for rule in all.flat_map(|document| &document.rules) {
        if !seen.insert(rule.id) {
            continue;
        }
        let row = row(entries, rule);
        match sections
            .iter_mut()
            .find(|section| section.name == rule.section)
        {
            Some(section) => section.rules.push(row),
            None => sections.push(Section {
                name: &rule.section,
                rules: vec![row],
            }),
        }
    }
    sections
}

fn row<'a>(entries: &'a [Entry], rule: &'a Rule) -> Row<'a> {
    let cells: Vec<Cell<'_>> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| cell(index, entry, rule.id))
        .collect();
    let verdicts: BTreeSet<&str> = cells.iter().map(|cell| cell.class).collect();
    Row {
        rule,
        verdicts: verdicts.into_iter().collect::<Vec<_>>().join(" "),
        profiles: rule.profiles.join(" "),
        text: format!(
            "{} {} {} {}",
            rule.id, rule.title, rule.statement, rule.source
        )
        .to_lowercase(),
        cells,
    }
}

fn cell<'a>(index: usize, entry: &'a Entry, id: &str) -> Cell<'a> {
    let rules = entry.report.iter().flat_map(|document| &document.rules);
    let rule = rules.into_iter().find(|rule| rule.id == id);
    let finding = entry
        .report
        .iter()
        .flat_map(|document| &document.findings)
        .find(|finding| finding.rule == id);
    let exercised = |rule: &Rule| format!("exercised {} times", thousands(rule.checks));
    let (class, word, detail) = match rule.map(|rule| (rule, rule.verdict)) {
        None => ("none", "", "not in its profile".to_owned()),
        Some((rule, RuleVerdict::Pass)) if rule.level == Level::Fact => {
            ("fact", "fact", exercised(rule))
        }
        Some((rule, RuleVerdict::Pass)) => ("pass", "pass", exercised(rule)),
        Some((rule, RuleVerdict::NotExercised)) => {
            ("idle", "–", format!("never exercised{}", why(rule)))
        }
        Some((rule, RuleVerdict::NotApplicable)) => {
            ("na", "n/a", format!("not applicable{}", why(rule)))
        }
        Some((rule, RuleVerdict::Fail)) => match (entry.known(id), finding) {
            (Some(_), _) => ("known", "known", exercised(rule)),
            (None, Some(finding)) if !finding.breaks => ("warn", "WARN", exercised(rule)),
            _ => ("fail", "FAIL", exercised(rule)),
        },
    };
    Cell {
        subject: &entry.name,
        class,
        word,
        detail,
        link: finding.map(|finding| finding_id(index, finding.rule, 1)),
    }
}

fn why(rule: &Rule) -> String {
    rule.reason
        .as_ref()
        .map_or(String::new(), |reason| format!(": {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn written(entries: &[Entry]) -> String {
        let mut out = Vec::new();
        write(entries, "Measured here", &mut out).expect("memory can be written");
        String::from_utf8(out).expect("pages are text")
    }

    /// What stands between each `before` and the next quote.
    fn quoted<'a>(page: &'a str, before: &str) -> Vec<&'a str> {
        let parts = page.split(before).skip(1);
        parts.filter_map(|part| part.split('"').next()).collect()
    }

    #[test]
    fn a_page_but_for_its_looks() {
        let page = written(&sample::entries());
        let (head, rest) = page.split_once("<style>").expect("a style");
        let (_, rest) = rest.split_once("</style>").expect("the end of the style");
        let (body, rest) = rest.split_once("<script>").expect("a script");
        let (_, end) = rest.split_once("</script>").expect("the end of the script");
        let version = format!("allocspec {}", env!("CARGO_PKG_VERSION"));
        insta::assert_snapshot!(
            format!("{head}{body}{end}").replace(&version, "allocspec VERSION")
        );
    }

    #[test]
    fn every_place_named_is_there_once() {
        let page = written(&sample::entries());
        let ids = quoted(&page, " id=\"");
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
        let links = quoted(&page, "href=\"#");
        assert!(links.contains(&"s0-realloc-fail-keeps"), "{links:?}");
        for link in links {
            assert!(unique.contains(link), "{link}");
        }
    }

    #[test]
    fn nothing_is_loaded_and_what_a_subject_says_is_text() {
        let mut entries = sample::entries();
        if let Some(document) = &mut entries[0].report {
            document.findings[0].found = "<img src=http://x>".into();
        }
        if let Some(judgement) = &mut entries[0].judgement {
            judgement.known[0].link = Some("javascript:alert(1)".into());
        }
        let page = written(&entries);
        assert!(page.contains("&#60;img src=http://x&#62;"), "not escaped");
        assert!(page.contains("javascript:") && !page.contains("href=\"javascript:"));
        for part in [" src=", "<link rel=\"stylesheet", "@import", "url("] {
            assert!(!page.replace("&#60;img src=", "").contains(part), "{part}");
        }
        assert!(page.contains("Measured here") && page.contains("libabsent1"));
    }

    #[test]
    fn commands_name_files_that_are_there() {
        let mut entries = sample::entries();
        let page = written(&entries);
        assert!(!page.contains("allocspec replay"), "no trace was written");
        assert!(page.contains("--out DIR writes realloc-fail-keeps.trace"));
        for finding in &mut entries[0].report.as_mut().expect("a report").findings {
            finding.kept = true;
        }
        assert!(written(&entries).contains("allocspec replay realloc-fail-keeps.trace"));
    }

    #[test]
    fn pictures_keep_to_their_width() {
        let document = sample::document();
        let map = document.findings[0]
            .heap
            .as_ref()
            .expect("an overlap has a map");
        let picture = Picture::of(map);
        assert_eq!(picture.frames.len(), 3);
        let last = &picture.frames[2];
        assert_eq!(last.bars.len(), 2);
        assert_ne!(
            last.bars[0].y, last.bars[1].y,
            "blocks that overlap have rows of their own"
        );
        for bar in picture.frames.iter().flat_map(|frame| &frame.bars) {
            assert!(bar.x + bar.width <= picture.width);
        }
        assert!(picture.mark.width > picture.width / 3);
    }
}
