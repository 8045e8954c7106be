//! The subjects of a gate checked, several at a time.

use super::bless::{Blessed, bless};
use super::expectations::Expectations;
use super::judge::judge;
use super::{GateError, GateSubject};
use crate::report::Report;
use crate::report::document::{Complaint, ComplaintKind, Document, Entry, Judgement, Standing};
use crate::report::save::{SaveError, save};
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
    /// Its expectations as they should be, if they are to be written.
    pub blessed: Option<Blessed>,
    /// What went wrong.
    pub error: Option<RanError>,
}

/// Why a subject could not be checked, or what came of it could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum RanError {
    /// It is not there, and no package has it.
    #[error("{0}")]
    Missing(String),
    /// It cannot be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// Its findings cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// Its expectations cannot be changed.
    #[error(transparent)]
    Bless(#[from] GateError),
}

/// Checks subjects and judges them, telling of each as it is done; in the order given.
///
/// # Errors
///
/// A file of expectations cannot be used. What goes wrong with one subject is no error: the others go on.
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
            tell(&ran);
            results.push((index, ran));
        }
    });
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, ran)| ran).collect())
}

fn one(subject: &GateSubject, expected: &Expectations, options: &GateOptions) -> Ran {
    if let Some(why) = subject.missing() {
        let (verdict, kind) = match (&subject.package, options.require) {
            // Nobody can install it: the path is wrong, or it was not built.
            (None, _) => return failed(subject, RanError::Missing(why)),
            (Some(_), true) => (Standing::Fail, Some(ComplaintKind::NotInstalled)),
            (Some(_), false) => (Standing::Skipped, None),
        };
        return unchecked(subject, verdict, kind, why, None);
    }
    let result = match check(&subject.options, &mut |_| {}) {
        Ok(result) => result,
        Err(error) => return failed(subject, error.into()),
    };
    let mut report = Report {
        result: &result,
        catalogue: Catalogue::embedded(),
        saved: &[],
        strict: subject.options.strict,
    };
    let saved = match &options.out {
        Some(out) if !result.cases.is_empty() => save(&report, &out.join(&subject.name)),
        _ => Ok(Vec::new()),
    };
    report.saved = saved.as_deref().unwrap_or_default();
    let document = Document::new(&report);
    let file = &subject.expectations;
    let judgement = judge(&document, expected, file);
    let blessed = match options.bless {
        true => bless(file, expected.text.as_deref(), &document, &judgement),
        false => Ok(None),
    };
    let (blessed, error) = match (blessed, saved) {
        (Err(error), _) => (None, Some(error.into())),
        (Ok(blessed), saved) => (blessed, saved.err().map(RanError::from)),
    };
    Ran {
        entry: Entry {
            name: subject.name.clone(),
            judgement: Some(judgement),
            report: Some(document),
        },
        blessed,
        error,
    }
}

/// A subject that cannot be checked.
fn failed(subject: &GateSubject, error: RanError) -> Ran {
    let kind = Some(ComplaintKind::Unusable);
    let why = error.to_string();
    unchecked(subject, Standing::Error, kind, why, Some(error))
}

fn unchecked(
    subject: &GateSubject,
    verdict: Standing,
    kind: Option<ComplaintKind>,
    why: String,
    error: Option<RanError>,
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
        unseen: Vec::new(),
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
