//! Findings as files: a trace each, and a C program where there can be one.

use super::c_program::c_program;
use super::{Report, trace};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The trace; none if the finding is about the library as a whole.
    pub trace: Option<PathBuf>,
    /// The C program.
    pub c: Option<PathBuf>,
}

/// Files that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}: choose another directory for --out", path.display())]
pub struct SaveError {
    path: PathBuf,
    source: std::io::Error,
}

/// Makes the directory if it is missing, and makes sure that files can be written into it.
///
/// # Errors
///
/// Why they cannot.
pub fn prepare(directory: &Path) -> Result<(), SaveError> {
    let ready = std::fs::create_dir_all(directory)
        .and_then(|()| tempfile::tempfile_in(directory).map(drop));
    ready.map_err(|source| SaveError {
        path: directory.to_owned(),
        source,
    })
}

/// Writes `RULE.trace` for every case into a directory, which is made if it is missing, and `RULE.c` for those that showed
/// again; a second case of the same rule is `RULE-2`. Files of these names are overwritten.
///
/// # Errors
///
/// The first file or directory that cannot be written, and why.
pub fn save(report: &Report<'_>, directory: &Path) -> Result<Vec<Saved>, SaveError> {
    std::fs::create_dir_all(directory).map_err(|source| SaveError {
        path: directory.to_owned(),
        source,
    })?;
    let mut numbers = BTreeMap::new();
    let mut saved = Vec::new();
    for case in &report.result.cases {
        let number = numbers.entry(case.finding.rule).or_insert(0_usize);
        *number += 1;
        let stem = match number {
            1 => case.finding.rule.to_string(),
            _ => format!("{}-{number}", case.finding.rule),
        };
        let mut trace = None;
        if !case.program.ops.is_empty() {
            let file = directory.join(format!("{stem}.trace"));
            write(&file, &trace::text(report, case))?;
            trace = Some(file);
        }
        let mut c = None;
        let file = directory.join(format!("{stem}.c"));
        let rule = report.cited(case.finding.rule);
        if let Some(text) = c_program(case, &report.result.subject, &rule, &file) {
            write(&file, &text)?;
            c = Some(file);
        }
        saved.push(Saved { trace, c });
    }
    Ok(saved)
}

fn write(path: &Path, text: &str) -> Result<(), SaveError> {
    std::fs::write(path, text).map_err(|source| SaveError {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::spec::Catalogue;

    #[test]
    fn every_case_has_files_of_its_own() {
        let case = sample::realloc_fail_keeps();
        let result = sample::result(vec![case.clone(), case]);
        let report = Report {
            result: &result,
            catalogue: Catalogue::embedded(),
            saved: &[],
            strict: false,
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let out = directory.path().join("a/b");
        let saved = save(&report, &out).expect("the directory can be written");
        let trace = |index: usize| saved[index].trace.clone().expect("the case has a program");
        assert_eq!(trace(1), out.join("realloc-fail-keeps-2.trace"));
        assert_eq!(saved[1].c, Some(out.join("realloc-fail-keeps-2.c")));
        assert!(trace(0).is_file());

        prepare(&out).expect("the directory can still be written");
        let error = prepare(&trace(0)).expect_err("a file is no directory");
        let line = error.to_string();
        assert!(
            line.starts_with("cannot write ") && line.contains("--out"),
            "{line}"
        );
    }
}
