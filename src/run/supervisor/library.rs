//! What can be told of a library from its file: whether it can be loaded here, and what it exports.

use crate::run::CheckError;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, elf};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Reads the names of the functions that a shared library exports.
///
/// # Errors
///
/// When the file cannot be read, or is no shared library for this machine.
pub fn exports(path: &Path) -> Result<BTreeSet<String>, CheckError> {
    let unreadable = |reason: String| CheckError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(lower(&error)))?;
    if metadata.is_dir() {
        return Err(unreadable("it is a directory".into()));
    }
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file".into()));
    }
    let data = std::fs::read(path).map_err(|error| unreadable(lower(&error)))?;
    check_header(&data).map_err(|reason| CheckError::NotALibrary {
        path: path.to_owned(),
        reason,
    })?;
    let broken = |error: object::Error| CheckError::NotALibrary {
        path: path.to_owned(),
        reason: format!("it is damaged ({error})"),
    };
    let file = ElfFile64::<Endianness>::parse(data.as_slice()).map_err(broken)?;
    let names = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global())
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    Ok(names.collect())
}

/// An error of the system in the middle of a sentence.
fn lower(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Says what a file is if it is not an x86-64 shared library.
fn check_header(data: &[u8]) -> Result<(), String> {
    let half = |at: usize| {
        data.get(at..at + 2)
            .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    if !data.starts_with(b"\x7fELF") {
        let what = match std::str::from_utf8(&data[..data.len().min(512)]) {
            _ if data.is_empty() => "it is empty",
            Ok(text) if text.starts_with("/* GNU ld script") => "it is a linker script",
            Ok(_) => "it is a text file",
            Err(_) => "it is not an ELF file",
        };
        return Err(what.into());
    }
    if data.get(4) != Some(&elf::ELFCLASS64) {
        return Err("it is a 32-bit ELF file".into());
    }
    if half(18) != Some(elf::EM_X86_64) {
        let machine = half(18).unwrap_or(0);
        return Err(format!(
            "it is an ELF file for another machine (e_machine {machine})"
        ));
    }
    match half(16) {
        Some(elf::ET_DYN) => Ok(()),
        Some(elf::ET_REL) => Err("it is an object file that has not been linked".into()),
        Some(elf::ET_EXEC) => Err("it is an executable".into()),
        _ => Err("it is an ELF file of a kind that cannot be loaded".into()),
    }
}

/// The path as the dynamic linker takes it: absolute, and without the sign that begins a name which it replaces.
///
/// # Errors
///
/// When `dlopen` would read the path as another.
pub fn loadable(path: &Path) -> Result<PathBuf, CheckError> {
    let full = path
        .canonicalize()
        .map_err(|error| CheckError::Unreadable {
            path: path.to_owned(),
            reason: lower(&error),
        })?;
    match full.to_str() {
        None => Err(misread(path, "its path is not valid UTF-8")),
        Some(text) if text.contains('$') => Err(misread(
            path,
            "its path has a dollar sign, which dlopen and LD_PRELOAD take for a variable",
        )),
        Some(_) => Ok(full),
    }
}

/// Makes sure that a path given by [`loadable`] is one name in a list of them.
///
/// # Errors
///
/// When the path cannot be written in `LD_PRELOAD`.
pub fn preloadable(path: &Path) -> Result<(), CheckError> {
    let separates = |letter: &u8| b" :;\t\n".contains(letter);
    match path.as_os_str().as_encoded_bytes().iter().any(separates) {
        true => Err(misread(
            path,
            "its path has a space, a colon or a semicolon, which LD_PRELOAD takes for the end of a name",
        )),
        false => Ok(()),
    }
}

fn misread(path: &Path, why: &str) -> CheckError {
    CheckError::LoadFailed {
        path: path.to_owned(),
        reason: format!("{why}: give the path of a link to it"),
    }
}
