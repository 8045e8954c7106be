//! Where reports go: standard output or a file, with colour only where it belongs. A file is there whole, or as it was.

use super::Failure;
use crate::report::terminal::DEFAULT_WIDTH;
use std::fs::{File, Permissions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where a report goes.
#[derive(Debug)]
pub enum Output {
    /// Standard output.
    Standard,
    /// What cannot be replaced, such as a pipe, and its name.
    Stream(File, PathBuf),
    /// The regular file of this name, if it is there yet.
    File(PathBuf),
}

impl Output {
    /// Standard output, or the file at this path. That it can be written is tried now: it would be a pity to find out
    /// later that it cannot be.
    pub fn open(path: Option<&Path>) -> Result<Output, Failure> {
        match path {
            Some(path) => Output::at(path).map_err(|error| unwritable(path, &error)),
            None => Ok(Output::Standard),
        }
    }

    /// The file at this path, which can be written.
    pub fn at(path: &Path) -> io::Result<Output> {
        match path.metadata() {
            Ok(metadata) => {
                let file = File::options().append(true).open(path)?;
                if metadata.is_file() && !is_descriptor(path) {
                    path.canonicalize().map(Output::File)
                } else {
                    Ok(Output::Stream(file, path.to_owned()))
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tempfile::tempfile_in(directory_of(path)).map(|_| Output::File(path.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// The columns there are.
    pub fn width(&self) -> usize {
        match self {
            Output::Standard => {
                terminal_width().map_or(DEFAULT_WIDTH, |width| width.clamp(40, 120))
            }
            Output::Stream(..) | Output::File(_) => DEFAULT_WIDTH,
        }
    }

    /// Writes a text, without its colours where there is no terminal.
    ///
    /// A reader that has gone away is not an error: what it wanted to know, it knows.
    pub fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut text = Vec::new();
        match write(&mut text).and_then(|()| self.put(&text)) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(match self {
                Output::Standard => unwritable(Path::new("standard output"), &error),
                Output::Stream(_, path) | Output::File(path) => unwritable(path, &error),
            }),
            Ok(()) => Ok(()),
        }
    }

    /// Writes a text as it is, but for its colours.
    pub fn put(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Output::Standard => {
                let mut out = anstream::stdout();
                out.write_all(text).and_then(|()| out.flush())
            }
            Output::Stream(file, _) => anstream::AutoStream::never(file).write_all(text),
            Output::File(path) => replace(path, text),
        }
    }
}

/// Whether the path is another name of an open file, such as `/dev/stdout`, of which others know.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Makes a file beside the one of this name and gives it the name once it is whole.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut plain = anstream::AutoStream::never(Vec::new());
    plain.write_all(text)?;
    let plain = plain.into_inner();
    let usual = || Permissions::from_mode(0o666);
    let permissions = path
        .metadata()
        .map_or_else(|_| usual(), |metadata| metadata.permissions());
    let beside = || {
        let mut file = tempfile::Builder::new()
            .prefix(".allocspec-")
            .permissions(permissions)
            .tempfile_in(directory_of(path))?;
        file.write_all(&plain)?;
        file.persist(path)?;
        Ok(())
    };
    beside().or_else(|error: io::Error| match error.kind() {
        // The file may be changed, but not its directory; or it is the root of a mount.
        io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy => {
            std::fs::write(path, &plain)
        }
        _ => Err(error),
    })
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Unusable(format!(
        "cannot write {}: {error}: choose another place with --output",
        path.display()
    ))
}

fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // SAFETY: all zeros is a `winsize`, and the call writes nothing else.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) == 0).then_some(size)
    };
    size.map(|size| usize::from(size.ws_col))
        .filter(|&columns| columns > 0)
}
