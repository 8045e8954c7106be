//! What makes a program legal, decided without running it.
//!
//! A slot is live from the operation that fills it to the one that frees it, whether or not the allocator will supply
//! the block: an allocation that fails when the program runs leaves a live slot without a block, and the operations
//! on it are then skipped. So legality is a property of the text alone, and shrinking can keep it.

mod holds;
mod illegal;

pub use illegal::Illegal;

use std::collections::HashMap;

use super::failing::Failing;
use super::op::{Call, Expect, NO_SLOT, Op, Program, Slot};
use super::threads::{MAX_ROUNDS, MAX_THREADS, Schedule};
use super::under::{Condition, Under};
use holds::Holds;

/// Slots are numbered below this.
pub const MAX_SLOTS: u32 = 1 << 20;

/// A program has at most this many operations.
pub const MAX_OPS: usize = 4_000_000;

/// One `repeat` stands for at most this many operations.
pub const MAX_REPEATED: u64 = 1 << 30;

/// The slots after the operations admitted so far.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    slots: Vec<Holds>,
    /// Whether an allocation has been admitted, which is what `as before` refers to.
    allocated: bool,
    /// Whether a bound has been admitted, which is what `as before` of a bound refers to.
    bounded: bool,
    /// Whether measurements have been.
    sampled: bool,
    /// The circumstances admitted.
    under: Vec<Condition>,
    /// What a parent waits with while a child is at work: its slots, and whether it has allocated.
    at_fork: Option<(Vec<Holds>, bool)>,
    /// The operations admitted since the last repetition, which is how far the next may reach back.
    since_repeat: usize,
    /// Which admitted operations were a realloc of an empty slot, ascending.
    from_null: Vec<usize>,
    threads: Threads,
}

/// Whose the next operation is.
#[derive(Clone, Debug, Default)]
struct Threads {
    /// The thread, 0 for the main one.
    current: u64,
    /// Where sections begin, ascending.
    sections: Vec<usize>,
    /// The operations admitted since the last one that said whose the next are.
    since_switch: usize,
    /// Whether a limit, or a system call that fails, is in force.
    short: [bool; 2],
    /// Rounds of destructors that each thread of the section has begun.
    rounds: [usize; MAX_THREADS as usize + 1],
}

impl Threads {
    /// Whether the operation is one for the thread whose it would be.
    fn permit(&self, op: &Op) -> Result<(), Illegal> {
        let main = self.current == 0;
        match op.call {
            Call::Thread if !(1..=MAX_THREADS).contains(&op.a) => Err(Illegal::ThreadNumber),
            Call::Thread if self.short.contains(&true) => Err(Illegal::ThreadWhileShort),
            Call::Join | Call::AtExit if main => Err(Illegal::OnlyThread(op.call)),
            Call::AtExit if self.rounds[self.current as usize] >= MAX_ROUNDS => {
                Err(Illegal::TooManyRounds)
            }
            Call::Limit
            | Call::Bounded
            | Call::FailRaw
            | Call::FailArena
            | Call::ShiftArena
            | Call::FailSyscall
            | Call::Schedule
            | Call::Sample
            | Call::Steady
            | Call::Fork
            | Call::Wait
            | Call::Under
                if !main =>
            {
                Err(Illegal::OnlyMain(op.call))
            }
            _ if !main && matches!(op.expect, Expect::AsBefore | Expect::AsEarlier) => {
                Err(Illegal::ExpectInThread(op.expect))
            }
            _ => Ok(()),
        }
    }

    /// Takes an operation that is permitted, at this position.
    fn follow(&mut self, index: usize, op: &Op) {
        self.since_switch += 1;
        match op.call {
            Call::Thread => {
                if self.current == 0 {
                    self.sections.push(index);
                    self.rounds = Default::default();
                }
                self.current = op.a;
            }
            Call::Join => self.current = 0,
            Call::AtExit => self.rounds[self.current as usize] += 1,
            Call::Limit => self.short[0] = op.a != 0,
            Call::FailSyscall => self.short[1] = op.a != 0,
            _ => {}
        }
        if op.call.switches() {
            self.since_switch = 0;
        }
    }

    /// Whether the last `length` of the operations before may be repeated here.
    fn permit_repeat(&self, before: &[Op], length: usize) -> Result<(), Illegal> {
        if length <= self.since_switch {
            return Ok(());
        }
        let start = before.len() - length;
        let first = before[start..].iter().position(|op| op.call.switches());
        let whole = first.is_some_and(|at| self.sections.binary_search(&(start + at)).is_ok());
        if self.current != 0 || !whole {
            return Err(Illegal::RepeatThreads);
        }
        let last = |call| before[..start].iter().rfind(|op| op.call == call);
        let short_before =
            [Call::Limit, Call::FailSyscall].map(|call| last(call).is_some_and(|op| op.a != 0));
        if short_before == self.short {
            Ok(())
        } else {
            Err(Illegal::RepeatWhileShort)
        }
    }
}

impl Checker {
    /// Whether the slot is live.
    pub fn is_live(&self, slot: Slot) -> bool {
        self.holds(slot) != Holds::Nothing
    }

    fn holds(&self, slot: Slot) -> Holds {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    /// Takes `op` as the operation after `before`, all of which have been admitted.
    ///
    /// # Errors
    ///
    /// Says why the operation is not legal here; the state is then unchanged.
    pub fn admit(&mut self, before: &[Op], op: &Op) -> Result<(), Illegal> {
        if before.len() >= MAX_OPS {
            return Err(Illegal::TooLong);
        }
        self.check_slot(op)?;
        if *op != canonical(*op) {
            return Err(Illegal::Arguments(op.call));
        }
        self.threads.permit(op)?;
        self.check_expectation(before, op)?;
        self.check_place(before, op)?;
        if op.call == Call::Repeat {
            self.check_repeat(before, op)?;
            self.since_repeat = 0;
            self.threads.follow(before.len(), op);
            return Ok(());
        }

        self.threads.follow(before.len(), op);
        self.since_repeat += 1;
        match op.call {
            Call::Bounded => self.bounded = true,
            Call::Sample => self.sampled = true,
            Call::Under => self
                .under
                .extend(Under::of(op).map(|under| under.condition)),
            Call::Fork => self.at_fork = Some((self.slots.clone(), self.allocated)),
            Call::Wait => (self.slots, self.allocated) = self.at_fork.take().unwrap_or_default(),
            _ => {}
        }
        if op.slot == NO_SLOT {
            return Ok(());
        }
        let holds = self.holds(op.slot);
        if op.call.reallocates() && holds == Holds::Nothing {
            self.from_null.push(before.len());
        }
        self.allocated |=
            self.threads.current == 0 && (op.call.allocates() || op.call.reallocates());
        let slot = op.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, Holds::Nothing);
        }
        self.slots[slot] = holds.after(op.call);
        Ok(())
    }

    fn check_slot(&self, op: &Op) -> Result<(), Illegal> {
        let (call, slot) = (op.call, op.slot);
        let makes = call.allocates() || call.reallocates();
        if slot == NO_SLOT {
            return match call {
                _ if makes => Err(Illegal::NeedsSlot(call)),
                Call::Stretch => Err(Illegal::NeedsSlot(call)),
                _ => Ok(()),
            };
        }
        if !makes && !uses_block(call) {
            return Err(Illegal::NeedsNoSlot(call));
        }
        if slot >= MAX_SLOTS {
            return Err(Illegal::SlotRange(slot));
        }
        self.holds(slot).permits(op)
    }

    /// Whether what only the harness does may be done here.
    fn check_place(&self, before: &[Op], op: &Op) -> Result<(), Illegal> {
        let in_child = self.at_fork.is_some();
        let breaks = |condition: &&Condition| breaks_harness(op.call, **condition);
        if let Some(&condition) = self.under.iter().find(breaks) {
            return Err(Illegal::NotUnder(op.call, condition));
        }
        match op.call {
            Call::Fork if in_child => Err(Illegal::ForkInChild),
            Call::Wait if !in_child => Err(Illegal::NoChild),
            Call::Limit
            | Call::Bounded
            | Call::FailSyscall
            | Call::Sample
            | Call::Steady
            | Call::Under
            | Call::Thread
            | Call::Schedule
                if in_child =>
            {
                Err(Illegal::InChild(op.call))
            }
            Call::Sample if op.a == 0 => Err(Illegal::SampleNever),
            Call::Steady if !self.sampled => Err(Illegal::NothingSampled),
            Call::Under => match Under::of(op) {
                None => Err(Illegal::UnderNothing),
                Some(Under {
                    condition: condition @ (Condition::Stack | Condition::Constructor),
                    ..
                }) if !before.is_empty() => Err(Illegal::NotFirst(condition)),
                Some(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn check_expectation(&self, before: &[Op], op: &Op) -> Result<(), Illegal> {
        match op.expect {
            Expect::Any => Ok(()),
            Expect::AsBefore if op.call == Call::Bounded => {
                self.bounded.then_some(()).ok_or(Illegal::NothingBefore)
            }
            _ if !op.call.allocates() && !op.call.reallocates() => {
                Err(Illegal::NothingReturned(op.call))
            }
            Expect::AsBefore if !self.allocated => Err(Illegal::NothingBefore),
            Expect::AsEarlier if !before.iter().any(|earlier| earlier.asks_the_same(op)) => {
                Err(Illegal::NothingEarlier)
            }
            Expect::SamePointer | Expect::OtherPointer
                if !op.call.reallocates() || !self.is_live(op.slot) =>
            {
                Err(Illegal::NoOldAddress(op.expect, op.slot))
            }
            _ => Ok(()),
        }
    }

    fn check_repeat(&self, before: &[Op], op: &Op) -> Result<(), Illegal> {
        if op.a == 0 || op.b == 0 {
            return Err(Illegal::RepeatNothing);
        }
        let length = match usize::try_from(op.b) {
            Ok(length) if length <= self.since_repeat => length,
            _ => return Err(Illegal::RepeatRange(self.since_repeat)),
        };
        if op.a.checked_mul(op.b).is_none_or(|n| n > MAX_REPEATED) {
            return Err(Illegal::RepeatTooMuch);
        }
        self.threads.permit_repeat(before, length)?;

        let start = before.len() - length;
        if before[start..].iter().any(|op| op.call == Call::Under) {
            return Err(Illegal::RepeatUnder);
        }
        let mut in_child = false;
        for op in &before[start..] {
            match op.call {
                Call::Fork => in_child = true,
                Call::Wait if !in_child => return Err(Illegal::RepeatSplitsFork),
                Call::Wait => in_child = false,
                _ => {}
            }
        }
        if in_child {
            return Err(Illegal::RepeatSplitsFork);
        }
        let all = || before.iter().enumerate().skip(start);
        let block = || all().filter(|(_, op)| op.slot != NO_SLOT);
        let mut was_live = HashMap::new();
        for (index, op) in block() {
            was_live.entry(op.slot).or_insert_with(|| {
                if op.call.reallocates() {
                    self.from_null.binary_search(&index).is_err()
                } else {
                    !op.call.allocates()
                }
            });
        }
        let drifting = was_live
            .into_iter()
            .filter(|&(slot, was_live)| self.is_live(slot) != was_live)
            .min();
        if let Some((slot, was_live)) = drifting {
            return Err(Illegal::RepeatDrifts(slot, was_live));
        }

        // The slots are live as they were, but may hold other kinds of block: the second round must be legal too, and
        // as it leaves what the first left, so is every further one.
        let mut slots = HashMap::new();
        let mut at_fork = HashMap::new();
        for (_, op) in all() {
            match op.call {
                Call::Fork => at_fork = slots.clone(),
                Call::Wait => slots = std::mem::take(&mut at_fork),
                _ => {}
            }
            if op.slot == NO_SLOT {
                continue;
            }
            let holds = slots.entry(op.slot).or_insert_with(|| self.holds(op.slot));
            holds.permits(op)?;
            *holds = holds.after(op.call);
        }
        Ok(())
    }
}

impl Program {
    /// Whether the program may be run.
    ///
    /// # Errors
    ///
    /// The position of the first operation that is not legal where it stands, and why.
    pub fn check(&self) -> Result<(), (usize, Illegal)> {
        let mut checker = Checker::default();
        for (index, op) in self.ops.iter().enumerate() {
            checker
                .admit(&self.ops[..index], op)
                .map_err(|illegal| (index, illegal))?;
        }
        Ok(())
    }

    /// Appends frees of all blocks that a legal program leaves.
    pub fn close(&mut self) {
        let mut slots = vec![Holds::Nothing; self.slots()];
        for op in self.ops.iter().filter(|op| op.slot != NO_SLOT) {
            let holds = &mut slots[op.slot as usize];
            *holds = holds.after(op.call);
        }
        let left = (0..)
            .zip(slots)
            .filter(|(_, holds)| *holds != Holds::Nothing);
        self.ops
            .extend(left.map(|(slot, holds)| Op::new(holds.plain_free(), slot, 0, 0)));
    }

    /// Makes any list of operations a legal program by leaving out what is not legal.
    ///
    /// A dropped allocation takes the uses of its block with it; an expectation that has lost its meaning is taken
    /// off its operation; a free that is not for its block becomes the plain one that is; a repetition stretches over
    /// what is left of the operations it covered. Blocks that are live at the end stay so. A legal program is left as it
    /// is.
    pub fn legalise(&mut self) {
        let mut checker = Checker::default();
        let ops = &mut self.ops;
        // The operations kept so far are moved to the front.
        let mut kept = 0;
        // How many were kept of those before each: where the block of a repetition starts now.
        let mut kept_before = Vec::new();
        let repeats = ops.iter().any(|op| op.call == Call::Repeat);

        for index in 0..ops.len() {
            let mut op = canonical(ops[index]);
            if repeats {
                kept_before.push(kept);
            }
            if op.call == Call::Repeat {
                let start = usize::try_from(op.b)
                    .ok()
                    .and_then(|length| index.checked_sub(length));
                let Some(start) = start else { continue };
                op.b = (kept - kept_before[start]) as u64;
            }
            let mut verdict = checker.admit(&ops[..kept], &op);
            if verdict.is_err_and(Illegal::is_of_expectation) {
                op.expect = Expect::Any;
                verdict = checker.admit(&ops[..kept], &op);
            }
            if verdict.is_err() && op.call.frees() && checker.is_live(op.slot) {
                let plain = checker.holds(op.slot).plain_free();
                op = Op::new(plain, op.slot, 0, 0);
                verdict = checker.admit(&ops[..kept], &op);
            }
            if verdict.is_ok() {
                ops[kept] = op;
                kept += 1;
            }
        }
        ops.truncate(kept);
    }
}

/// Whether the harness could not do this itself under such circumstances.
fn breaks_harness(call: Call, condition: Condition) -> bool {
    match condition {
        // All of these come to cancellation points.
        Condition::Cancellation => matches!(
            call,
            Call::Sample
                | Call::Bounded
                | Call::Limit
                | Call::FailSyscall
                | Call::Fork
                | Call::Under
                | Call::Thread
        ),
        // The child has no other thread, and so nobody who waits for this one.
        Condition::Stack => call == Call::Fork,
        // The thread that exits holds the lock of all streams, which a fork waits for.
        Condition::Destructors => call == Call::Fork,
        // The process is measured by what is written there.
        Condition::NoProc => matches!(
            call,
            Call::Sample | Call::Bounded | Call::Limit | Call::FailSyscall
        ),
        // What is started meanwhile would be short of memory as well.
        Condition::Spawns => matches!(call, Call::Limit | Call::FailSyscall),
        _ => false,
    }
}

/// Whether the call needs a block in the slot that it names.
pub(super) fn uses_block(call: Call) -> bool {
    call.frees() || matches!(call, Call::UsableSize | Call::Stretch)
}

/// The operation with the arguments that its call does not take set to 0.
fn canonical(op: Op) -> Op {
    let arguments = match op.call {
        Call::UsableSize | Call::Stretch | Call::Sweep | Call::Fork | Call::Wait => 0,
        call if call.frees() && op.slot == NO_SLOT => call.told_of_null(),
        call if call.frees() => 0,
        call if call.takes_count() || call.takes_alignment() => 2,
        Call::Repeat | Call::Under => 2,
        // Words that say nothing let all pass.
        Call::FailSyscall if Failing::of(&op).is_some() => 2,
        Call::FailSyscall => 0,
        Call::Join | Call::AtExit => 0,
        Call::Schedule => match Schedule::of(&op) {
            Some(Schedule::Free) => 0,
            _ => 2,
        },
        _ => 1,
    };
    Op {
        a: if arguments >= 1 { op.a } else { 0 },
        b: if arguments >= 2 { op.b } else { 0 },
        ..op
    }
}

#[cfg(test)]
mod tests;
