//! Where reports go: standard output or a file, with colour only where it belongs.

use super::Failure;
use crate::report::terminal::DEFAULT_WIDTH;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Where a report goes.
#[derive(Debug)]
pub enum Output {
    /// Standard output.
    Standard,
    /// A file.
    File(File, PathBuf),
}

impl Output {
    /// Standard output, or the file at this path, which is made now: it would be a pity to find out later that it
    /// cannot be.
    pub fn open(path: Option<&Path>) -> Result<Output, Failure> {
        let Some(path) = path else {
            return Ok(Output::Standard);
        };
        match File::create(path) {
            Ok(file) => Ok(Output::File(file, path.to_owned())),
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// The columns there are.
    pub fn width(&self) -> usize {
        match self {
            Output::Standard => {
                terminal_width().map_or(DEFAULT_WIDTH, |width| width.clamp(60, 120))
            }
            Output::File(..) => DEFAULT_WIDTH,
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
        let result = write(&mut text).and_then(|()| match self {
            Output::Standard => {
                let mut out = anstream::stdout();
                out.write_all(&text).and_then(|()| out.flush())
            }
            Output::File(file, _) => anstream::AutoStream::never(file).write_all(&text),
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(match self {
                Output::Standard => unwritable(Path::new("standard output"), &error),
                Output::File(_, path) => unwritable(path, &error),
            }),
            Ok(()) => Ok(()),
        }
    }
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
