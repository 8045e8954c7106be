//! An allocator of the user's against the shadow.

use super::{input, told};
use crate::run::{CheckError, CheckOptions, InProcess, Names, SubjectSpec};
use crate::spec::{Catalogue, RuleId};
use crate::subject::Native;
use std::convert::Infallible;
use std::env;
use std::path::PathBuf;

/// The allocator in this process.
pub struct Subject(InProcess<Native>);

impl Subject {
    /// The allocator that the environment names: the library `ALLOCSPEC_SUBJECT`, opened with `dlopen`, or the C
    /// library. As on the command line, `ALLOCSPEC_PREFIX` or `ALLOCSPEC_MAP` say what its entry points are called,
    /// `ALLOCSPEC_PROFILE` which rules are checked; those in `ALLOCSPEC_EXCEPT` are not.
    ///
    /// # Errors
    ///
    /// One line that says what cannot be used.
    pub fn from_environment() -> Result<Subject, String> {
        let subject = match variable("ALLOCSPEC_SUBJECT") {
            None => SubjectSpec::System,
            Some(name) if name == "system" => SubjectSpec::System,
            Some(path) => SubjectSpec::Library {
                path: PathBuf::from(path),
                names: names()?,
                env: Vec::new(),
            },
        };
        let except = match variable("ALLOCSPEC_EXCEPT") {
            Some(list) => list.split(',').map(rule).collect::<Result<_, String>>()?,
            None => Vec::new(),
        };
        Subject::of(subject, variable("ALLOCSPEC_PROFILE"), &except)
            .map_err(|error| error.to_string())
    }

    /// An allocator against the rules of a profile, or of the usual one, except these.
    ///
    /// # Errors
    ///
    /// When something cannot be used.
    pub fn of(
        subject: SubjectSpec,
        profile: Option<String>,
        except: &[RuleId],
    ) -> Result<Subject, CheckError> {
        let mut options = CheckOptions {
            profile,
            ..input::options(subject)
        };
        let mut subject = InProcess::open(&options)?;
        if !except.is_empty() {
            let kept = |rule: &RuleId| !except.contains(rule);
            options.rules = subject.rules().iter().filter(kept).collect();
            subject = InProcess::open(&options)?;
        }
        Ok(Subject(subject))
    }

    /// Runs the program of an input. Answers whether there is one.
    ///
    /// # Panics
    ///
    /// When a rule is broken.
    pub fn run(&mut self, bytes: &[u8]) -> bool {
        let Some(program) = input::program(bytes, self.0.vocabulary()) else {
            return false;
        };
        match self.0.run(&program, |_, _| Ok::<(), Infallible>(())) {
            Ok(None) => true,
            Ok(Some(finding)) => {
                let case = self.0.look_closely(&program, finding);
                told::broken(&case, self.0.profile())
            }
            Err(never) => match never {},
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn names() -> Result<Names, String> {
    match (variable("ALLOCSPEC_PREFIX"), variable("ALLOCSPEC_MAP")) {
        (Some(_), Some(_)) => Err("ALLOCSPEC_PREFIX and ALLOCSPEC_MAP exclude each other".into()),
        (Some(prefix), None) => Ok(Names::Prefix(prefix)),
        (None, Some(map)) => Ok(Names::Map(
            map.split(',').map(Names::pair).collect::<Result<_, _>>()?,
        )),
        (None, None) => Ok(Names::Plain),
    }
}

fn rule(name: &str) -> Result<RuleId, String> {
    let rule = Catalogue::embedded().find(name).map(|rule| rule.id);
    rule.ok_or_else(|| format!("no rule is named {name:?}: `allocspec rules` lists them"))
}
