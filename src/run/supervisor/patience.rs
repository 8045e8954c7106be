//! How long a supervisor waits for a worker, and what it does when that takes too long.

use super::Worker;
use super::fate::{Stat, TICKS, Turns, ended};
use crate::program::{Op, Program};
use crate::run::process;
use crate::shadow::{Death, Moment, Standing};
use std::time::{Duration, Instant};

/// How often a waiting supervisor looks whether the worker still lives and moves.
const GLANCE: Duration = Duration::from_millis(20);
/// Bytes a second that a subject may take to clear or to copy.
const BYTES_PER_SECOND: u64 = 512 << 20;
/// Bytes a subject may be asked for that it could really clear or copy.
const REAL: u64 = 8 << 30;
/// How long a call may wait for one other thread to be served, which may have to wait for the processor.
const OTHERS_TURN: Duration = Duration::from_millis(40);
/// How much longer than the limit a process that gets no processor time is waited for.
const STARVED: u32 = 10;
/// The part of its patience that a process must have worked inside a call for it to hang there: one in so many.
const BUSY: u32 = 12;
/// The part of its patience for which a supervisor waits for a worker that should have stopped: one in so many.
const GRACE: u32 = 4;

/// How much longer than others a call is waited for that may be waiting for the process that answers its system calls:
/// that one, too, may want for the processor.
const HELPED: u32 = 3;

/// How long a worker is waited for that has yet to fork: nothing is laid to the subject for that, there is only another way to
/// have a process.
const FORKING: Duration = Duration::from_millis(400);

/// How long a process may take to deal with the end of its child.
const PARTING: Duration = Duration::from_secs(1);
/// Processes below a worker that may have to be ended one after another.
const GENERATIONS: u32 = 2;

/// How long to wait for a worker.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Time without progress that counts as hanging.
    pub patience: Duration,
    /// When to stop it whatever it does, in nanoseconds of the monotonic clock.
    pub latest: u64,
    /// Whether the harness has work of its own in between, which is not to be taken for hanging.
    pub shared: bool,
    /// When to stop it even inside a call that may be hanging, in nanoseconds of the monotonic clock.
    pub last: u64,
}

/// What waiting for a worker came to.
pub(super) enum Waited {
    /// It dealt with its order.
    Done,
    /// It died, or was killed because it hung.
    Died(Death),
    /// It was killed because there was no more time.
    OutOfTime,
}

impl Limits {
    /// Until `deadline`, when the worker stops by itself once the call it is in returns, and a little longer. A call that
    /// began before is given its time if there is that much until `last`: it may be hanging.
    pub fn until(deadline: u64, patience: Duration, last: u64) -> Limits {
        Limits {
            patience,
            latest: deadline.saturating_add((patience / GRACE).as_nanos() as u64),
            shared: true,
            last,
        }
    }
}

impl Worker {
    /// Waits until the order is dealt with, however that goes. `effort` says how much longer than others the operation
    /// at a position may take.
    pub(super) fn wait(&mut self, limits: Limits, effort: impl Fn(usize) -> Duration) -> Waited {
        let mut position = self.pulse();
        let mut since = Instant::now();
        let mut before = None;
        loop {
            let glance = match &self.ending {
                Some(ending) => {
                    ending.wait(GLANCE);
                    Duration::ZERO
                }
                None => GLANCE,
            };
            if self.shared.wait_done(glance) {
                return Waited::Done;
            }
            self.drain_output();
            if let Some(status) = self.poll() {
                // One that deals with a single order ends when it has; it may have ended badly.
                if self.shared.wait_done(Duration::ZERO) {
                    return Waited::Done;
                }
                let reported = self.shared.take_report::<serde_json::Value>().is_some();
                return match ended(status, self.shared.fault(), reported) {
                    Ok(()) => Waited::Done,
                    Err(death) => Waited::Died(death),
                };
            }
            let now = self.pulse();
            if now != position {
                (position, since, before) = (now, Instant::now(), None);
                continue;
            }
            let stat = Stat::of_threads(self.at_work());
            let first = Stat::of_first(self.at_work());
            let turns = Turns::of_first(self.at_work());
            let (of_all, of_first, turns_before) =
                *before.get_or_insert((stat.ticks, first.ticks, turns));
            let helped = stat.state != b'R'
                && self.shared.ledger().interception().standing() == Standing::Works;
            let patience = match self.shared.is_forking() {
                true => limits.patience.min(FORKING),
                false => limits.patience * if helped { HELPED } else { 1 } + effort(now.1),
            };
            let moment = self.shared.position().1;
            let in_call = matches!(
                moment,
                Moment::Call | Moment::Ending | Moment::Fork | Moment::Born
            ) || self.shared.is_outside();
            let late = process::now()
                > if in_call {
                    limits.latest.max(limits.last)
                } else {
                    limits.latest
                };
            if since.elapsed() < patience && !late {
                continue;
            }
            // A process that wants the processor and does not get it is not hanging, and neither is one that is busy
            // with what the harness does for itself.
            // While others work beside the thread that makes the calls, their work is not its own.
            let worked = match first.state {
                b'R' => first.ticks.saturating_sub(of_first),
                _ => stat.ticks.saturating_sub(of_all),
            };
            let worked = Duration::from_millis(worked * 1000 / TICKS);
            let wants = worked < patience / BUSY && !turns.only_yields_since(turns_before);
            let busy = stat.state == b'R' && (wants || (limits.shared && !in_call));
            let limit = if busy { patience * STARVED } else { patience };
            if since.elapsed() >= limit {
                let millis = since.elapsed().as_millis() as u64;
                self.kill();
                return Waited::Died(Death::Hang { millis });
            }
            if late {
                self.kill();
                return Waited::OutOfTime;
            }
        }
    }

    /// What changes when the process at work moves.
    fn pulse(&self) -> (u64, usize, i32) {
        let position = self.shared.position().0;
        (self.shared.begun(), position, self.shared.child())
    }

    /// The process that deals with the order: the worker, a child of it, or a child of that which it waits for.
    fn at_work(&self) -> i32 {
        let mut at_work = self.process.id() as i32;
        for child in [self.shared.child(), self.shared.ledger().child()] {
            if child > 0 && Stat::of(child).parent == at_work {
                at_work = child;
            }
        }
        at_work
    }

    /// Ends the process at work; the worker goes on if that was its child. Who waited for it may have something to tell, and
    /// is ended in turn if that takes long.
    pub(super) fn kill(&mut self) {
        for _ in 0..GENERATIONS {
            let victim = self.at_work();
            if victim == self.process.id() as i32 {
                break;
            }
            // SAFETY: a descendant of the worker, as was just looked up.
            unsafe { libc::kill(victim, libc::SIGKILL) };
            if self.shared.wait_done(PARTING) {
                return;
            }
        }
        self.end();
    }
}

/// How long an operation may take for the bytes it may move alone, and for threads beside it that may be served first.
pub(super) fn effort(program: &Program, index: usize) -> Duration {
    // Some fill what they hand out, whoever asked for it.
    let bytes = program.ops.get(index).and_then(Op::size);
    let bytes = bytes.filter(|&bytes| bytes <= REAL).unwrap_or(0);
    let others = u32::try_from(program.others()).unwrap_or(u32::MAX);
    Duration::from_millis(bytes / (BYTES_PER_SECOND / 1000)) + OTHERS_TURN.saturating_mul(others)
}
