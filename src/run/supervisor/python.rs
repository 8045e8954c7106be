//! Starting a Python interpreter that loads a library of ours.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What the interpreter is told first: not to take what is in the working directory for a module, to find out whether it
/// is one that a library can be loaded into, and to end with a line that begins with [`OWN_WORDS`] if it is not.
pub const PRELUDE: &str = "\
import sys
sys.path[:] = [place for place in sys.path if place]
def refuse(why):
    sys.stderr.write('allocspec: ' + why + '\\n')
    sys.exit(1)
try:
    import ctypes
except ImportError:
    refuse('it has no ctypes')
implementation = getattr(getattr(sys, 'implementation', None), 'name', 'cpython')
if implementation != 'cpython' or not hasattr(ctypes, 'PyDLL'):
    refuse('it is ' + implementation + ', not CPython')
";

/// What the interpreter does then for a worker.
const WORKER: &str = "\
library, calling = sys.argv[1:3]
calling = calling if bytes is str else calling.encode()
ctypes.PyDLL('/proc/self/fd/' + library).allocspec_worker(calling)
";

/// How a line begins that the interpreter was told to write.
pub const OWN_WORDS: &str = "allocspec: ";

/// The command that makes a worker of an interpreter, which must inherit `library`, a descriptor of this program's file.
pub fn command(python: &Path, library: i32, calling: &str) -> Command {
    let mut command = bare(python);
    command
        .args(["-s", "-S", "-c", &format!("{PRELUDE}{WORKER}")])
        .args([&library.to_string(), calling]);
    command
}

/// The command that starts the interpreter at this path, or of this name in `PATH`, without anything that would make it
/// another than it is by itself.
pub fn bare(python: &Path) -> Command {
    // Which interpreter a version manager starts depends on the working directory, so it stays.
    let mut command = Command::new(python);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_pythons(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether an interpreter listens to a variable.
fn is_pythons(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("PYTHON")
}

/// What an interpreter that ended said of it: our own words, its last ones otherwise.
pub fn last_words(said: &str) -> Option<(&str, bool)> {
    let own = said.lines().find_map(|line| line.strip_prefix(OWN_WORDS));
    let fatal = said
        .lines()
        .find(|line| line.starts_with("Fatal Python error"));
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    match (own, fatal.or(last)) {
        (Some(own), _) => Some((own, true)),
        (None, last) => last.map(|line| (line.trim(), false)),
    }
}
