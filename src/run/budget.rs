//! What a check may take: wall time, operations and workers.

use crate::run::process;
use std::time::{Duration, Instant};

/// What a campaign may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// When it began.
    pub started: Instant,
    /// Wall time.
    pub time: Duration,
    /// Operations, if they are limited.
    pub ops: Option<u64>,
    /// Workers side by side.
    pub jobs: usize,
}

impl Budget {
    /// When no new program is begun.
    pub fn deadline(&self) -> Instant {
        self.started + self.time
    }

    /// The same on the monotonic clock, in nanoseconds.
    pub fn last(&self) -> u64 {
        let left = self.latest().saturating_duration_since(Instant::now());
        process::now() + left.as_nanos() as u64
    }

    /// When the last program and the last finding are cut short.
    pub fn latest(&self) -> Instant {
        self.started + self.time + self.time / 10
    }
}
