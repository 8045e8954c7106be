//! The gate file: which subjects there are, and where what is expected of them stands.

use super::GateError;
use crate::pymalloc::{Domain, Edition};
use crate::run::{CheckError, CheckOptions, Names, SubjectSpec};
use crate::spec::Catalogue;
use crate::subject::interpreter;
use crate::subject::mutants::Mutant;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds for each subject unless the file says otherwise.
const SECONDS: f64 = 10.0;
/// Live bytes a program may hold.
const MAX_MEMORY: u64 = 1 << 30;

/// The subjects of a gate.
#[derive(Clone, Debug)]
pub struct GateFile {
    /// In the order of the file.
    pub subjects: Vec<GateSubject>,
}

/// A subject of the gate.
#[derive(Clone, Debug)]
pub struct GateSubject {
    /// What it is called in reports.
    pub name: String,
    /// How it is checked.
    pub options: CheckOptions,
    /// What is expected of it; the file may be missing, then nothing is.
    pub expectations: PathBuf,
    /// The Debian package that has it; one that is not installed is no mistake then.
    pub package: Option<String>,
}

impl GateSubject {
    /// Why the subject is not there, with what to do; `None` if it is.
    pub fn missing(&self) -> Option<String> {
        let (path, is_here) = match &self.options.subject {
            SubjectSpec::Library { path, .. } => (path, path.exists()),
            SubjectSpec::Interpreter { python, .. } => (python, is_found(python)),
            SubjectSpec::Reference(_) | SubjectSpec::System | SubjectSpec::Mutant(_) => {
                return None;
            }
        };
        if is_here {
            return None;
        }
        Some(match &self.package {
            Some(package) => format!("not installed: apt-get install {package}"),
            None => format!(
                "there is no {}: mend its path, or name the `package` that has it",
                path.display()
            ),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    /// Seconds for each subject.
    time: Option<f64>,
    #[serde(default, rename = "subject")]
    subjects: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: String,
    /// The path of a library, from the directory of the gate file; or `system`, `reference`, `mutant:NAME`.
    subject: Option<String>,
    /// Instead of that a Python interpreter: its path, from the directory of the gate file, or its name in `PATH`.
    python: Option<String>,
    domain: Option<String>,
    malloc: Option<String>,
    package: Option<String>,
    prefix: Option<String>,
    #[serde(default)]
    map: BTreeMap<String, String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    layout: Option<String>,
    profile: Option<String>,
    time: Option<f64>,
    seed: Option<u64>,
    #[serde(default)]
    strict: bool,
    expectations: Option<PathBuf>,
}

impl GateFile {
    /// Reads a gate file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or something in it is wrong.
    pub fn read(path: &Path) -> Result<GateFile, GateError> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            GateError(format!(
                "cannot read {name}: {error}: give the path of a gate file"
            ))
        })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        GateFile::parse(&text, directory).map_err(|error| GateError(format!("{name}: {error}")))
    }

    fn parse(text: &str, directory: &Path) -> Result<GateFile, String> {
        let entries: Entries = toml::from_str(text).map_err(|error| one_line(text, &error))?;
        let mut subjects: Vec<GateSubject> = Vec::new();
        for entry in entries.subjects {
            let name = entry.name.clone();
            if !is_plain(&name) {
                return Err(format!(
                    "{name:?} is no name for a subject: use letters, digits, '-', '_', '.' and '+'"
                ));
            }
            if subjects.iter().any(|subject| subject.name == name) {
                return Err(format!("two subjects are named {name}: rename one"));
            }
            let subject = entry
                .subject(entries.time, directory)
                .map_err(|error| format!("subject {name}: {error}"))?;
            let other = subjects
                .iter()
                .find(|other| other.expectations == subject.expectations);
            if let Some(other) = other {
                return Err(format!(
                    "subjects {} and {name} share {}: give each `expectations` of its own",
                    other.name,
                    subject.expectations.display()
                ));
            }
            subjects.push(subject);
        }
        if subjects.is_empty() {
            return Err(
                "no [[subject]] in it: write one with `name` and `subject` or `python`".into(),
            );
        }
        Ok(GateFile { subjects })
    }
}

/// A name may be that of a file.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

/// What is wrong with a TOML text, and in which line.
pub(super) fn one_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let message = error.message().replace('\n', ": ");
    match before {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

impl Entry {
    fn subject(self, time: Option<f64>, directory: &Path) -> Result<GateSubject, String> {
        let time = self.time.or(time).unwrap_or(SECONDS);
        let time = Duration::try_from_secs_f64(time)
            .ok()
            .filter(|time| !time.is_zero())
            .ok_or("`time` is no number of seconds")?;
        let expectations = self
            .expectations
            .clone()
            .unwrap_or_else(|| format!("expectations/{}.toml", self.name).into());
        if expectations.file_name().is_none() {
            return Err("`expectations` names no file: give a path, or leave it out".into());
        }
        if let Some(profile) = &self.profile {
            let known = Catalogue::embedded().profile(profile);
            known.map_err(|unknown| unknown.to_string())?;
        }
        Ok(GateSubject {
            options: CheckOptions {
                subject: self.spec(directory)?,
                profile: self.profile,
                seed: self.seed.unwrap_or(1),
                time,
                ops: None,
                rules: Vec::new(),
                phases: Vec::new(),
                jobs: 1,
                max_memory: MAX_MEMORY,
                strict: self.strict,
            },
            name: self.name,
            expectations: directory.join(expectations),
            package: self.package,
        })
    }

    fn spec(&self, directory: &Path) -> Result<SubjectSpec, String> {
        match (self.subject.as_deref(), self.python.as_deref()) {
            (Some(subject), None) => self.allocator(subject, directory),
            (None, Some(python)) => self.interpreter(python, directory),
            (None, None) => Err("it has neither `subject` nor `python`: write one".into()),
            (Some(_), Some(_)) => {
                Err("`subject` and `python` exclude each other: leave one out".into())
            }
        }
    }

    fn interpreter(&self, python: &str, directory: &Path) -> Result<SubjectSpec, String> {
        if self.of_library() || self.layout.is_some() {
            return Err(
                "`prefix`, `map`, `env` and `layout` are not for an interpreter: leave them out"
                    .into(),
            );
        }
        let domain = self.domain.as_deref().map(interpreter::domain).transpose();
        Ok(SubjectSpec::Interpreter {
            python: match is_name(Path::new(python)) {
                true => python.into(),
                false => located(python, directory),
            },
            domain: domain
                .map_err(|error| format!("`domain`: {error}"))?
                .unwrap_or(Domain::Object),
            malloc: self.malloc.clone(),
        })
    }

    fn of_library(&self) -> bool {
        self.prefix.is_some() || !self.map.is_empty() || !self.env.is_empty()
    }

    fn allocator(&self, subject: &str, directory: &Path) -> Result<SubjectSpec, String> {
        if self.domain.is_some() || self.malloc.is_some() {
            return Err("`domain` and `malloc` are for an interpreter: leave them out".into());
        }
        let edition = match &self.layout {
            Some(layout) => layout.parse().map_err(|error| format!("{error}"))?,
            None => Edition::default(),
        };
        let spec = match (subject, subject.strip_prefix("mutant:")) {
            ("reference", _) => SubjectSpec::Reference(edition),
            ("system", _) => SubjectSpec::System,
            (_, Some(name)) if Mutant::named(name).is_none() => {
                let name = name.to_owned();
                return Err(CheckError::UnknownMutant { name }.to_string());
            }
            (_, Some(mutant)) => SubjectSpec::Mutant(mutant.to_owned()),
            (path, None) => {
                return Ok(SubjectSpec::Library {
                    path: located(path, directory),
                    names: self.names()?,
                    env: self.env.clone().into_iter().collect(),
                });
            }
        };
        if self.of_library() {
            return Err("`prefix`, `map` and `env` are for a library: leave them out".into());
        }
        if self.layout.is_some() && !matches!(spec, SubjectSpec::Reference(_)) {
            return Err("`layout` is for the reference: leave it out".into());
        }
        Ok(spec)
    }

    fn names(&self) -> Result<Names, String> {
        let pairs = self.map.iter();
        let pairs: Result<Vec<_>, String> = pairs
            .map(|(name, symbol)| Names::pair(&format!("{name}={symbol}")))
            .collect();
        match (&self.prefix, pairs?) {
            (None, pairs) if pairs.is_empty() => Ok(Names::Plain),
            (None, pairs) => Ok(Names::Map(pairs)),
            (Some(prefix), pairs) if pairs.is_empty() => Ok(Names::Prefix(prefix.clone())),
            (Some(_), _) => Err("`prefix` and `map` exclude each other: leave one out".into()),
        }
    }
}

/// Whether this is the name of a program, to be looked for in `PATH`, not its path.
fn is_name(program: &Path) -> bool {
    program.components().count() == 1
}

/// Whether there is a program at this path, or of this name in `PATH`.
fn is_found(program: &Path) -> bool {
    if !is_name(program) {
        return program.exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// A path as seen from here that is written as seen from the directory of the gate file.
fn located(path: &str, directory: &Path) -> PathBuf {
    let located = directory.join(path.strip_prefix("./").unwrap_or(path));
    match located.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => located,
        _ => Path::new(".").join(located),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<GateFile, String> {
        GateFile::parse(text, Path::new("conformance"))
    }

    #[test]
    fn subjects_of_every_kind() {
        let gate = parsed(
            r#"
            time = 4
            [[subject]]
            name = "reference"
            subject = "reference"
            layout = "3.9"
            [[subject]]
            name = "fast"
            subject = "../build/libfast.so"
            package = "libfast1"
            prefix = "fast_"
            env = { FAST_CONF = "small" }
            time = 0.5
            expectations = "fast.toml"
            [[subject]]
            name = "python"
            python = "python3-of-nobody"
            [[subject]]
            name = "built"
            python = "../build/python"
            package = "python3"
            domain = "mem"
            malloc = "debug"
            "#,
        )
        .expect("a sound file");
        let [reference, fast, python, built] = &gate.subjects[..] else {
            panic!("{gate:?}");
        };
        assert_eq!(reference.options.time, Duration::from_secs(4));
        assert_eq!(
            reference.expectations,
            Path::new("conformance/expectations/reference.toml")
        );
        assert_eq!(reference.missing(), None);
        assert_eq!(fast.options.time, Duration::from_millis(500));
        assert_eq!(fast.expectations, Path::new("conformance/fast.toml"));
        let SubjectSpec::Library { path, names, env } = &fast.options.subject else {
            panic!("{fast:?}");
        };
        assert_eq!(path, Path::new("conformance/../build/libfast.so"));
        assert_eq!(*names, Names::Prefix("fast_".into()));
        assert_eq!(env[..], [("FAST_CONF".to_owned(), "small".to_owned())]);
        assert_eq!(
            fast.missing().as_deref(),
            Some("not installed: apt-get install libfast1")
        );
        let interpreter = |python: &str, domain, malloc: Option<&str>| SubjectSpec::Interpreter {
            python: python.into(),
            domain,
            malloc: malloc.map(str::to_owned),
        };
        assert_eq!(
            python.options.subject,
            interpreter("python3-of-nobody", Domain::Object, None)
        );
        assert_eq!(
            python.missing().as_deref(),
            Some("there is no python3-of-nobody: mend its path, or name the `package` that has it")
        );
        assert_eq!(
            built.options.subject,
            interpreter("conformance/../build/python", Domain::Mem, Some("debug"))
        );
        assert_eq!(
            built.missing().as_deref(),
            Some("not installed: apt-get install python3")
        );
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        let subject = |rest: &str| format!("[[subject]]\nname = \"x\"\n{rest}\n");
        for (text, says) in [
            (String::new(), "[[subject]]"),
            (subject(""), "neither `subject` nor `python`"),
            (subject("subject = \"system\"\npython = \"x\""), "exclude"),
            (subject("python = \"x\"\nlayout = \"3.9\""), "layout"),
            (subject("python = \"x\"\ndomain = \"all\""), "`domain`"),
            (subject("subject = \"x.so\"\nmalloc = \"debug\""), "malloc"),
            (subject("subject = \"system\"\nprefix = \"x_\""), "prefix"),
            (subject("subject = \"system\"\nlayout = \"3.9\""), "layout"),
            (subject("subject = \"system\"\ntime = 0"), "time"),
            (
                subject("subject = \"x.so\"\nmap = { mallok = \"x\" }"),
                "mallok",
            ),
            (subject("subject = \"system\"\ncolour = 1"), "line 4"),
            (subject("subject = \"system\"\n").repeat(2), "named x"),
            (subject("subject = \"system\"\nprofile = \"c18\""), "c18"),
            (subject("subject = \"mutant:no\""), "no mutant"),
            (
                subject("subject = \"system\"\nexpectations = \"\""),
                "names no file",
            ),
            (
                format!(
                    "{}\n[[subject]]\nname = \"y\"\nsubject = \"system\"\nexpectations = \"./expectations/x.toml\"",
                    subject("subject = \"reference\"")
                ),
                "share",
            ),
            (
                "[[subject]]\nname = \"../x\"\nsubject = \"system\"".into(),
                "no name",
            ),
        ] {
            let error = parsed(&text).expect_err(&text);
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
    }
}
