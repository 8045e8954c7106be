//! The reference as a C library: checked like anybody's, and preloaded into programs that know nothing of it.

use crate::room::{BUDGET, Room, Run, compiled, skip};
use object::{Object, read::File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, which `ci/test` builds beside the program.
fn library() -> Option<PathBuf> {
    let built =
        Path::new(env!("CARGO_BIN_EXE_allocspec")).with_file_name("liballocspec_pymalloc.so");
    if built.exists() {
        return Some(built);
    }
    skip(&format!(
        "{} is not built: cargo build --workspace",
        built.display()
    ));
    None
}

/// The names that a file exports.
fn exports(file: &Path) -> Vec<String> {
    let bytes = std::fs::read(file).expect("it was built");
    let file = File::parse(&*bytes).expect("an ELF file");
    let exports = file.exports().expect("a table of exports");
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    exports.iter().map(|export| name(export.name())).collect()
}

#[test]
fn the_reference_is_conformant_when_it_is_preloaded() {
    let Some(library) = library() else { return };
    for profile in ["linux", "c23", "posix-2024"] {
        let report = Room::new().check_for(2 * BUDGET, &library, &["--profile", profile]);
        report.assert_sound();
        assert_eq!(report.verdict_of("disjoint"), "pass");
    }
}

#[test]
fn only_the_library_exports_an_allocator() {
    let Some(library) = library() else { return };
    let names = exports(&library);
    for name in [
        "malloc",
        "calloc",
        "realloc",
        "free",
        "reallocarray",
        "aligned_alloc",
        "posix_memalign",
        "memalign",
        "valloc",
        "pvalloc",
        "malloc_usable_size",
        "PyMem_RawMalloc",
        "PyMem_RawCalloc",
        "PyMem_RawRealloc",
        "PyMem_RawFree",
        "PyMem_Malloc",
        "PyMem_Calloc",
        "PyMem_Realloc",
        "PyMem_Free",
        "PyObject_Malloc",
        "PyObject_Calloc",
        "PyObject_Realloc",
        "PyObject_Free",
        "PyMem_GetAllocator",
        "PyMem_SetAllocator",
        "PyObject_GetArenaAllocator",
        "PyObject_SetArenaAllocator",
        "PyMem_SetupDebugHooks",
    ] {
        assert!(names.iter().any(|export| export == name), "{name}");
    }
    assert_eq!(names.len(), 28, "{names:?}");
    let program = exports(Path::new(env!("CARGO_BIN_EXE_allocspec")));
    assert!(
        !program.iter().any(|name| names.contains(name)),
        "{program:?}"
    );
}

/// Runs a command in a room, with the library preloaded.
fn preloaded(library: &Path, command: &str, arguments: &[&str]) -> Option<Run> {
    let room = Room::new();
    let mut command = Command::new(command);
    room.furnish(&mut command);
    command.args(arguments).env("LD_PRELOAD", library);
    if let Err(error) = Command::new(command.get_program())
        .arg("--version")
        .output()
    {
        skip(&format!("{command:?} does not run: {error}"));
        return None;
    }
    Some(room.run(command))
}

#[test]
fn programs_run_on_the_reference() {
    let Some(library) = library() else { return };
    for (program, arguments, said) in [
        (
            "/usr/bin/python3",
            &["-c", "print(sum(len(str(n)) for n in range(10 ** 5)))"][..],
            "488890\n",
        ),
        ("git", &["--version"], "git version"),
        (
            "perl",
            &["-e", "print join ',', map { $_ * $_ } 1 .. 5"],
            "1,4,9,16,25",
        ),
    ] {
        let Some(run) = preloaded(&library, program, arguments) else {
            continue;
        };
        assert_eq!(
            (run.status, run.stderr.as_str()),
            (Some(0), ""),
            "{program}"
        );
        assert!(run.stdout.starts_with(said), "{program}: {}", run.stdout);
    }
}

/// Compiles and runs a program of `subjects/programs`.
fn run_program(name: &str, linked: bool) {
    let Some(library) = library() else { return };
    let room = Room::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = room.path(name);
    let mut cc = Command::new("cc");
    cc.args([
        "-O1",
        "-fno-builtin",
        "-pthread",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I",
    ])
    .arg(root.join("capi/include"))
    .arg(root.join(format!("tests/subjects/programs/{name}.c")))
    .arg("-o")
    .arg(&program);
    if linked {
        cc.arg(&library);
    }
    if !compiled(&mut cc) {
        return;
    }
    let mut command = Command::new(&program);
    room.furnish(&mut command);
    if !linked {
        command.env("LD_PRELOAD", &library);
    }
    let run = room.run(command);
    assert_eq!(
        (run.status, run.stdout.as_str()),
        (Some(0), "done\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn threads_and_forks_are_minded() {
    run_program("threads_and_forks", false);
}

#[test]
fn domains_are_cpythons() {
    run_program("domains", true);
}
