//! The commands that show a finding again.

use super::words::shell;
use crate::run::verdict::{CheckResult, EntryPoint, SubjectInfo};
use crate::shadow::Case;
use std::path::Path;

/// Shows the finding again: `allocspec replay TRACE …`, or without a program `allocspec check … --rule RULE`.
pub fn again(result: &CheckResult, case: &Case, trace: Option<&Path>) -> String {
    let mut words = vec!["allocspec".to_owned()];
    match trace {
        Some(trace) => words.push(format!("replay {}", path(trace))),
        None => words.push("check".into()),
    }
    words.push(result.subject.arguments.clone());
    let usual = match result.subject.kind {
        "reference" => "cpython-3.14",
        _ => "linux",
    };
    if result.profile.0 != usual {
        words.push(format!("--profile {}", shell(&result.profile.0)));
    }
    words.push(format!("--rule {}", case.finding.rule));
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// Compiles a C program and runs it on the subject.
pub fn compile_and_run(subject: &SubjectInfo, c: &Path) -> String {
    let c = path(c);
    let mut environment = String::new();
    for (key, value) in &subject.environment {
        environment.push_str(&format!("{}={} ", shell(key), shell(value)));
    }
    let Some(library) = &subject.path else {
        return format!("cc {c} -o t && {environment}./t");
    };
    let file = path(&with_directory(library));
    if is_linked(subject) {
        let directory = run_path(library);
        format!("cc {c} {file} -o t -Wl,-rpath,{directory} && {environment}./t")
    } else {
        format!("cc {c} -o t && {environment}LD_PRELOAD={file} ./t")
    }
}

/// Whether a C program is linked with the subject rather than run under it: its functions have names of their own.
pub fn is_linked(subject: &SubjectInfo) -> bool {
    let other_name = |point: &EntryPoint| point.symbol != point.name;
    subject.kind == "dlopen" || subject.entry_points.iter().any(other_name)
}

fn path(path: &Path) -> String {
    shell(&path.to_string_lossy())
}

/// A path that neither the loader nor the linker takes for a bare library name.
fn with_directory(library: &Path) -> std::path::PathBuf {
    match library.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => library.to_owned(),
        _ => Path::new(".").join(library),
    }
}

/// The directory in which the loader will find the library, whatever directory the program is started from.
fn run_path(library: &Path) -> String {
    let directory = library.parent().unwrap_or(Path::new(""));
    if directory.is_absolute() {
        return path(directory);
    }
    let relative = directory.strip_prefix(".").unwrap_or(directory);
    match relative.as_os_str().is_empty() {
        true => "\"$PWD\"".into(),
        false => format!("\"$PWD\"/{}", path(relative)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_case_without_a_program_takes_a_whole_check() {
        let case = sample::realloc_fail_keeps();
        let mut result = sample::result(Vec::new());
        let trace = Path::new("out/x.trace");
        assert_eq!(
            again(&result, &case, Some(trace)),
            "allocspec replay out/x.trace ./libfast.so --rule realloc-fail-keeps"
        );
        result.profile.0 = "c99".into();
        assert_eq!(
            again(&result, &case, None),
            "allocspec check ./libfast.so --profile c99 --rule realloc-fail-keeps"
        );
    }

    #[test]
    fn a_preloaded_library_is_preloaded_again() {
        let subject = sample::subject("./libfast.so");
        assert_eq!(
            compile_and_run(&subject, Path::new("out/disjoint.c")),
            "cc out/disjoint.c -o t && LD_PRELOAD=./libfast.so ./t"
        );
        let mut bare = sample::subject("libfast.so");
        bare.environment = vec![("CONF".into(), "a b".into())];
        assert_eq!(
            compile_and_run(&bare, Path::new("disjoint.c")),
            "cc disjoint.c -o t && CONF='a b' LD_PRELOAD=./libfast.so ./t"
        );
    }

    #[test]
    fn a_library_of_other_names_is_linked() {
        let mut subject = sample::subject("./build/libfast.so");
        subject.kind = "dlopen";
        assert_eq!(
            compile_and_run(&subject, Path::new("x.c")),
            "cc x.c ./build/libfast.so -o t -Wl,-rpath,\"$PWD\"/build && ./t"
        );
        subject.path = Some("/opt/lib/libfast.so".into());
        assert_eq!(
            compile_and_run(&subject, Path::new("x.c")),
            "cc x.c /opt/lib/libfast.so -o t -Wl,-rpath,/opt/lib && ./t"
        );
    }
}
