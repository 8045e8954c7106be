//! Links the program so that a Python interpreter can load it, and compiles the smaller agent of `allocspec lockstep`, so
//! that the program can carry it along.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// The agent's files, from the root of the package.
const SOURCES: [&str; 4] = [
    "src/lockstep/agent/main.rs",
    "src/lockstep/play.rs",
    "src/lockstep/stage.rs",
    "src/lockstep/wire.rs",
];

fn main() {
    if env::var_os("CARGO_FEATURE_CLI").is_none() {
        return;
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    link_loadable();
    let library = PathBuf::from(variable("OUT_DIR")).join("agent.so");
    // Flags for the crate, such as those of sanitizers, are not for a library that lives in a foreign process.
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args([
            "--edition=2024",
            "--crate-name=agent",
            "--crate-type=cdylib",
        ])
        .args(["-Copt-level=3", "-Cpanic=abort", "-Cstrip=symbols"])
        .arg("--target")
        .arg(variable("TARGET"))
        .arg("-o")
        .arg(&library)
        .arg(SOURCES[0]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = OsString::from("-Clinker=");
        flag.push(linker);
        rustc.arg(flag);
    }
    match rustc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("the agent does not compile: {status}"),
        Err(error) => panic!("cannot run {rustc:?}: {error}"),
    }
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"))
}

/// Makes the program a shared library that can be run, as the C library is one. `dlopen` refuses what is linked as an
/// executable, and code so linked takes the thread-local storage of whatever program it is loaded into for its own.
///
/// The compiler must be given the start-up code by name, which it adds to executables alone; the path of the dynamic
/// linker is in `main.rs`. Nothing may define thread-local variables there, nor may the program be optimised as a whole
/// when it is linked: that code would be made for an executable.
fn link_loadable() {
    let whole = ["CARGO_PROFILE_RELEASE_LTO", "CARGO_PROFILE_DEV_LTO"];
    if whole
        .iter()
        .any(|name| env::var(name).is_ok_and(|lto| lto != "off" && lto != "false"))
    {
        println!(
            "cargo::warning=built with LTO, the program cannot be loaded into interpreters: `check --python` crashes"
        );
    }
    let exports = PathBuf::from(variable("OUT_DIR")).join("exports.map");
    std::fs::write(&exports, "{ global: allocspec_worker; local: *; };\n")
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", exports.display()));
    let cc = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let found = Command::new(&cc).arg("-print-file-name=Scrt1.o").output();
    let found = found.unwrap_or_else(|error| panic!("cannot run {cc:?}: {error}"));
    let start = String::from_utf8_lossy(&found.stdout);
    let start = start.trim();
    assert!(
        start.starts_with('/'),
        "{cc:?} has no Scrt1.o: install the C library's development files"
    );
    for argument in [
        "-shared",
        start,
        "-Wl,-e,_start",
        &format!("-Wl,--version-script={}", exports.display()),
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
