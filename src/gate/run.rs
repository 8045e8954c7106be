//! The subjects of a gate checked, several at a time.

use super::bless::{Blessed, bless};
use super::expectations::Expectations;
use super::judge::judge;
use super::{GateError, GateSubject};
use crate::report::Report;
use crate::report::document::{Complaint, ComplaintKind, Document, Entry, Judgement, Standing};
use crate::report::save::save;
use crate::run::{CheckError, check};
use crate::spec::Catalogue;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;

/// How a gate is run.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// Whether a subject that is not installed fails.
    pub require: bool,
    /// Whether expectations are written from what was seen.
    pub bless: bool,
    /// Subjects side by side.
    pub jobs: usize,
    /// Where the files of findings go: a directory for each subject.
    pub out: Option<PathBuf>,
}

/// What came of a subject.
#[derive(Debug)]
pub struct Ran {
    /// What is reported of it.
    pub entry: Entry,
    /// Its expectations as they should be, if they were to be written.
    pub blessed: Option<Blessed>,
    /// Why it could not be checked.
    pub error: Option<CheckError>,
}

/// Checks subjects and judges them, telling of each as it is done; in the order given.
///
/// # Errors
///
/// A file of expectations cannot be used, or files cannot be written. A subject that cannot be checked is no error: the
/// others go on.
pub fn run(
    subjects: &[&GateSubject],
    options: &GateOptions,
    tell: &mut dyn FnMut(&Ran),
) -> Result<Vec<Ran>, GateError> {
    let expectations = subjects
        .iter()
        .map(|subject| Expectations::read(&subject.expectations))
        .collect::<Result<Vec<Expectations>, GateError>>()?;
    let next = AtomicUsize::new(0);
    let mut results = Vec::new();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..options.jobs.clamp(1, subjects.len().max(1)) {
            let sender = sender.clone();
            let (next, expectations) = (&next, &expectations);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    let Some(subject) = subjects.get(index) else {
                        return;
                    };
                    let ran = one(subject, &expectations[index], options);
                    if sender.send((index, ran)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, ran) in receiver {
            if let Ok(ran) = &ran {
                tell(ran);
            }
            results.push((index, ran));
        }
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, ran)| ran).collect()
}

fn one(
    subject: &GateSubject,
    expected: &Expectations,
    options: &GateOptions,
) -> Result<Ran, GateError> {
    if let Some(why) = subject.missing() {
        let (verdict, kind) = match options.require {
            true => (Standing::Fail, Some(ComplaintKind::NotInstalled)),
            false => (Standing::Skipped, None),
        };
        return Ok(unchecked(subject, verdict, kind, why, None));
    }
    let result = match check(&subject.options, &mut |_| {}) {
        Ok(result) => result,
        Err(error) => {
            let why = error.to_string();
            let kind = Some(ComplaintKind::Unusable);
            return Ok(unchecked(subject, Standing::Error, kind, why, Some(error)));
        }
    };
    let mut report = Report {
        result: &result,
        catalogue: Catalogue::embedded(),
        saved: &[],
        strict: subject.options.strict,
    };
    let saved = match &options.out {
        Some(out) if !result.cases.is_empty() => {
            save(&report, &out.join(&subject.name)).map_err(|error| GateError(error.to_string()))?
        }
        _ => Vec::new(),
    };
    report.saved = &saved;
    let document = Document::new(&report);
    let judgement = judge(&document, expected, &subject.expectations);
    let blessed = match options.bless {
        true => bless(&subject.expectations, &document, &judgement)?,
        false => None,
    };
    Ok(Ran {
        entry: Entry {
            name: subject.name.clone(),
            judgement: Some(judgement),
            report: Some(document),
        },
        blessed,
        error: None,
    })
}

fn unchecked(
    subject: &GateSubject,
    verdict: Standing,
    kind: Option<ComplaintKind>,
    why: String,
    error: Option<CheckError>,
) -> Ran {
    let complaint = kind.map(|kind| Complaint {
        kind,
        rule: None,
        message: why.clone(),
    });
    let judgement = Judgement {
        verdict,
        note: complaint.is_none().then_some(why),
        complaints: complaint.into_iter().collect(),
        known: Vec::new(),
    };
    Ran {
        entry: Entry {
            name: subject.name.clone(),
            judgement: Some(judgement),
            report: None,
        },
        blessed: None,
        error,
    }
}

/// One of several parts of a gate, so that several machines can share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    index: usize,
    of: usize,
}

impl Shard {
    /// Whether the subject at this position, from 0, belongs to the part.
    pub fn has(self, position: usize) -> bool {
        position % self.of == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let wrong = || "write a part and how many there are, such as 1/3".to_owned();
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
        let (index, of) = (number(index)?, number(of)?);
        match (1..=of).contains(&index) {
            true => Ok(Shard { index, of }),
            false => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_in_one_shard() {
        for text in ["", "1", "0/2", "3/2", "1/0", "a/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        let shards = ["1/3", "2/3", "3/3"].map(|text| text.parse::<Shard>().expect("a shard"));
        for position in 0..10 {
            let having = shards.iter().filter(|shard| shard.has(position));
            assert_eq!(having.count(), 1);
        }
    }
}
