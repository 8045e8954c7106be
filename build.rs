//! Compiles the agent that `allocspec lockstep` loads into Python interpreters, so that the program can carry it along.

use std::env;
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
    let variable = |name| env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
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
        let mut flag = std::ffi::OsString::from("-Clinker=");
        flag.push(linker);
        rustc.arg(flag);
    }
    match rustc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("the agent does not compile: {status}"),
        Err(error) => panic!("cannot run {rustc:?}: {error}"),
    }
}
