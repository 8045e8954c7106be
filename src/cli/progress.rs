//! A bar on standard error while there is something to wait for, if it is a terminal.

use crate::report::words::{count, thousands};
use crate::run::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// The bar.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar, not yet drawn; never drawn if `hidden` or where standard error is no terminal.
    pub fn new(hidden: bool) -> Bar {
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {wide_msg}") {
            bar.set_style(style.progress_chars("━╸ "));
        }
        Bar(bar)
    }

    /// Shows how far a check has come.
    pub fn show(&self, progress: Progress) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.set_length(millis(progress.total).max(1));
        self.0
            .set_position(millis(progress.elapsed.min(progress.total)));
        let findings = match progress.findings {
            0 => String::new(),
            number => format!(", {}", count(number, "finding")),
        };
        self.0.set_message(format!(
            "{}: {} ops{findings}",
            progress.phase,
            thousands(progress.ops)
        ));
    }

    /// Shows a line of its own.
    pub fn tell(&self, message: String) {
        self.0.set_message(message);
        self.0.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
