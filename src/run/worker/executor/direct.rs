//! What only the harness does: limits, failures, circumstances, children, measurements.

use super::{Cut, Executor, Halt};
use crate::program::{Call, Condition, Op, Schedule, Under};
use crate::run::process;
use crate::run::worker::circumstances::{self, Forked};
use crate::run::worker::crowd;
use crate::run::worker::intercept;
use crate::shadow::{Checked, Choice, MOST_SAMPLES, Sample, Stop};
use crate::subject::{Source, Subject};

impl<S: Subject> Executor<'_, S> {
    /// Carries out what only the harness does.
    pub(super) fn direct(&mut self, index: usize, op: &Op) -> Checked {
        match op.call {
            Call::Sweep => self.shadow.sweep(index, op)?,
            Call::Limit => {
                let more = Some(op.a).filter(|&more| more != 0);
                let limited = process::limit_mapping(more).is_ok() && more.is_some();
                self.shadow.limit(limited);
            }
            Call::Bounded => {
                if let (Some(before), Some(now)) = (self.resident_before, self.resident()) {
                    self.shadow.bounded(index, op, now.saturating_sub(before))?;
                }
            }
            Call::FailSyscall => {
                self.failing = intercept::arm(self.ledger.interception(), op);
                self.shadow.fail_system_calls(self.failing);
            }
            Call::Sample => self.sample(op.a),
            Call::Steady => self.shadow.steady(index, op, &self.samples)?,
            Call::Fork => self.fork(index, op)?,
            Call::Wait => self.wait(index, op)?,
            Call::Under => {
                if let Some(under) = Under::of(op) {
                    self.enter(under)?;
                }
            }
            Call::Schedule => self.schedule = Schedule::of(op).unwrap_or(Schedule::Free),
            Call::FailRaw => self.subject.fail(Source::Raw, op.a),
            Call::FailArena => self.subject.fail(Source::Arena, op.a),
            Call::ShiftArena => {
                self.subject.shift_arenas(op.a as usize);
                self.shadow.shift_arenas(op.a);
            }
            _ => {}
        }
        Ok(())
    }

    /// As [`make`](Executor::make), in a thread that has a stack of so many bytes.
    pub(super) fn make_on_stack<E>(
        &mut self,
        bytes: usize,
        ops: &[Op],
        mut watch: impl FnMut(usize, &S) -> Result<(), E>,
    ) -> Result<(), Halt<E>> {
        let errno = self.errno;
        let mut result = None;
        circumstances::on_stack(bytes, &mut || {
            self.attend();
            result = Some(self.make(ops, &mut watch));
        });
        self.errno = errno;
        result.unwrap_or_else(|| {
            self.ledger.note(Choice::StackRefused);
            Err(Halt::Cut(Cut::Stop(Stop::Abandoned)))
        })
    }

    /// Brings circumstances about.
    fn enter(&mut self, under: Under) -> Checked {
        let refused = match under.condition {
            Condition::Threads => {
                let started = (self.subject.survives_forks() || !self.forks)
                    && crowd::start(&mut self.subject, under.number);
                (!started).then_some(Choice::ThreadsRefused)
            }
            Condition::NewHandler => match self.subject.set_new_handler() {
                Some(set) => {
                    circumstances::handle_new(under.number, set);
                    self.handled = true;
                    None
                }
                None => Some(Choice::HandlerRefused),
            },
            condition => {
                self.signalled |= condition == Condition::Signals;
                circumstances::enter(under).err()
            }
        };
        match refused {
            None => Ok(()),
            Some(choice) => {
                self.ledger.note(choice);
                Err(Stop::Abandoned)
            }
        }
    }

    /// Bytes that the process has resident beside what the model takes.
    pub(super) fn resident(&self) -> Option<u64> {
        let own = self.shadow.own_bytes();
        process::memory().map(|memory| memory.resident.saturating_sub(own))
    }

    /// Measures the process if this is the `every`th time.
    fn sample(&mut self, every: u64) {
        let is_time = self.passed.is_multiple_of(every.max(1));
        self.passed += 1;
        if !is_time || self.samples.len() == MOST_SAMPLES {
            return;
        }
        if let Some(now) = process::memory() {
            self.samples.push(Sample {
                resident: now.resident.saturating_sub(self.shadow.own_bytes()),
                mapped: now.mapped,
                handed_out: self.shadow.handed_out(),
            });
        }
    }

    /// Goes on in a child, and when that has come to its end, in this process.
    fn fork(&mut self, index: usize, op: &Op) -> Checked {
        match circumstances::fork(self.ledger, index) {
            Forked::Child => {
                self.is_child = true;
                self.shadow.sweep(index, op)?;
                self.shadow.refill();
            }
            Forked::Parent => {
                let wait = 1 << Call::Wait as u8;
                self.away = Some(std::mem::replace(&mut self.provided, wait));
            }
            Forked::Alone => {
                self.ledger.note(Choice::ForkRefused);
                return Err(Stop::Abandoned);
            }
        }
        Ok(())
    }

    /// The end of what a child does: ends it, or goes on in its parent.
    fn wait(&mut self, index: usize, op: &Op) -> Checked {
        if let Some(provided) = self.away.take() {
            self.provided = provided;
        }
        if self.is_child {
            // What is seen now was done by what the child did last.
            let last = index.saturating_sub(1);
            self.shadow.sweep(last, op)?;
            self.shadow.count_circumstance(last);
            circumstances::leave();
        }
        self.shadow.sweep(index, op)?;
        self.shadow.count_circumstance(index);
        Ok(())
    }
}
