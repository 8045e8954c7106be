//! The options that several subcommands have.

use super::{Failure, values};
use crate::pymalloc::{Domain, Edition};
use crate::run::{Names, SubjectSpec};
use crate::subject::interpreter;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What is checked.
#[derive(Debug, Args)]
pub struct SubjectOptions {
    /// The allocator: a shared library (.so), `system` for the C library's own malloc, `reference` for the built-in
    /// pymalloc, or `mutant:NAME`
    #[arg(default_value = "reference")]
    pub subject: OsString,
    /// Entry points are the C names with this in front, such as je_; the library is opened with dlopen
    #[arg(long, value_name = "PREFIX", conflicts_with = "map")]
    pub prefix: Option<String>,
    /// Entry points of other names, such as malloc=pvPortMalloc,free=vPortFree; those left out are not exercised
    #[arg(long, value_name = "NAME=SYMBOL", value_delimiter = ',', value_parser = Names::pair)]
    pub map: Vec<(String, String)>,
    /// The reference as in this version of CPython, such as 2.7 or 3.9, or with the layout of this name, such as p4k8
    /// [default: 3.14]
    #[arg(long, value_name = "VERSION")]
    pub layout: Option<Edition>,
    /// Checks the allocator of this Python interpreter: a path, or a name that is in PATH
    #[arg(long, value_name = "EXE", conflicts_with_all = ["subject", "prefix", "map", "layout", "env"])]
    pub python: Option<PathBuf>,
    /// The functions of the interpreter: raw is PyMem_Raw*, mem PyMem_*, obj PyObject_*; all checks one after another,
    /// each for a third of the time [default: obj]
    #[arg(long, value_name = "DOMAIN", requires = "python")]
    pub domain: Option<Domains>,
    /// The allocators the interpreter is told to use, by PYTHONMALLOC: pymalloc, debug, malloc, malloc_debug,
    /// pymalloc_debug, mimalloc, mimalloc_debug or default [default: those it was built for]
    #[arg(long, value_name = "NAME", requires = "python")]
    pub malloc: Option<String>,
    /// Sets a variable in the environment of the library
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::variable)]
    pub env: Vec<(String, String)>,
}

/// The families of functions of an interpreter that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domains {
    /// This one.
    One(Domain),
    /// Every one.
    All,
}

impl FromStr for Domains {
    type Err = String;

    fn from_str(name: &str) -> Result<Domains, String> {
        match name {
            "all" => Ok(Domains::All),
            name => interpreter::domain(name)
                .map(Domains::One)
                .map_err(|_| "write raw, mem, obj or all".into()),
        }
    }
}

impl SubjectOptions {
    /// The subjects that the options name: one, or one for each domain. Each of several has a name among them.
    pub fn subjects(&self) -> Result<Vec<(&'static str, SubjectSpec)>, Failure> {
        match (&self.python, self.domain) {
            (Some(python), Some(Domains::All)) => {
                let all = interpreter::DOMAINS.iter();
                let all = all.map(|&(name, domain)| (name, self.interpreter(python, domain)));
                Ok(all.collect())
            }
            _ => Ok(vec![("", self.subject()?)]),
        }
    }

    fn interpreter(&self, python: &Path, domain: Domain) -> SubjectSpec {
        SubjectSpec::Interpreter {
            python: python.to_owned(),
            domain,
            malloc: self.malloc.clone(),
        }
    }

    /// The one subject that the options name.
    pub fn subject(&self) -> Result<SubjectSpec, Failure> {
        if let Some(python) = &self.python {
            return match self.domain.unwrap_or(Domains::One(Domain::Object)) {
                Domains::One(domain) => Ok(self.interpreter(python, domain)),
                Domains::All => Err(Failure::Unusable(
                    "a trace is of one domain: use --domain raw, mem or obj".into(),
                )),
            };
        }
        let name = self.subject.to_str();
        let spec = match (name, name.and_then(|name| name.strip_prefix("mutant:"))) {
            (Some("reference"), _) => SubjectSpec::Reference(self.layout.unwrap_or_default()),
            (Some("system"), _) => SubjectSpec::System,
            (_, Some(mutant)) => SubjectSpec::Mutant(mutant.to_owned()),
            _ => SubjectSpec::Library {
                path: PathBuf::from(&self.subject),
                names: self.names(),
                env: self.env.clone(),
            },
        };
        if self.layout.is_some() && !matches!(spec, SubjectSpec::Reference(_)) {
            return Err(Failure::Unusable(format!(
                "--layout is for the reference: leave it out, or check `reference` instead of {:?}",
                self.subject
            )));
        }
        let of_library = [
            ("--prefix", self.prefix.is_some()),
            ("--map", !self.map.is_empty()),
            ("--env", !self.env.is_empty()),
        ];
        let twice = |index: usize| {
            self.map[..index]
                .iter()
                .any(|(name, _)| *name == self.map[index].0)
        };
        if let Some(index) = (0..self.map.len()).find(|&index| twice(index)) {
            let name = &self.map[index].0;
            return Err(Failure::Unusable(format!(
                "--map names {name} twice: give one symbol for it"
            )));
        }
        match of_library.iter().find(|(_, given)| *given) {
            Some((option, _)) if !matches!(spec, SubjectSpec::Library { .. }) => {
                Err(Failure::Unusable(format!(
                    "{option} is for a library: give the path of a .so, not {:?}",
                    self.subject
                )))
            }
            _ => Ok(spec),
        }
    }

    fn names(&self) -> Names {
        match &self.prefix {
            Some(prefix) => Names::Prefix(prefix.clone()),
            None if self.map.is_empty() => Names::Plain,
            None => Names::Map(self.map.clone()),
        }
    }
}

/// How the result is told.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Also fail on broken rules of quality
    #[arg(long)]
    pub strict: bool,
    /// Writes RULE.trace and RULE.c for every finding into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub forms: FormOptions,
    /// Shows only findings and the summary, and no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// The forms of a report, and where they go.
#[derive(Debug, Args)]
pub struct FormOptions {
    /// The form of the report: human, json, junit, sarif, markdown or html. With a file, such as junit=report.xml, a
    /// further form; may be given several times [default: human]
    #[arg(long, value_name = "FORMAT[=FILE]")]
    pub format: Vec<Form>,
    /// Writes the form that has no file of its own to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// A form of the report, and its file if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The form.
    pub format: Format,
    /// Its file.
    pub file: Option<PathBuf>,
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Form, String> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (name, Some(file)),
            None => (text, None),
        };
        let format = Format::from_str(name, false).map_err(|_| {
            let names = Format::value_variants().iter();
            let names =
                names.filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()));
            format!("use one of {}", names.collect::<Vec<_>>().join(", "))
        })?;
        match file {
            Some("") => Err(format!("write {name}=FILE, or {name} alone")),
            file => Ok(Form {
                format,
                file: file.map(PathBuf::from),
            }),
        }
    }
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Human,
    /// One JSON object
    Json,
    /// JUnit XML
    Junit,
    /// SARIF 2.1.0
    Sarif,
    /// Markdown for the page of a build
    Markdown,
    /// A page for the browser, in one file
    Html,
}

/// The form of what is no report of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Text for people
    Human,
    /// JSON
    Json,
}
