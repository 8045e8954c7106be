//! What must stay for a program's own expectations to stay fair.
//!
//! Most programs promise nothing: whatever is dropped from them, a rule that breaks was broken. But `expect pointer`
//! after blocks were freed is fair only while those frees are there, `expect as before` and `as earlier` only beside what
//! they compare with. A candidate that broke such an expectation by its own doing would be taken for a proof.

use crate::program::op::{Call, Expect, NO_SLOT, Op, Slot};
use crate::program::threads::Schedule;
use crate::program::under::{Condition, Under};
use std::collections::HashMap;

/// The block of an operation without one.
const NO_BLOCK: u32 = u32::MAX;

/// What may be changed without making an expectation unfair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freedom {
    /// Everything: the program expects nothing that depends on other operations.
    All,
    /// Blocks as a whole, so that no free is lost; and sizes may fall.
    Blocks,
    /// Only blocks that are never freed: memory is short, and what is freed must be enough for what is expected.
    Unfreed,
    /// Nothing but the end of the program: its sources fail at counted requests.
    End,
}

/// The promises of one program.
pub struct Promises {
    freedom: Freedom,
    /// The block each operation works on, or [`NO_BLOCK`].
    blocks: Vec<u32>,
    /// Which blocks are freed and hence needed where memory is short.
    needed: Vec<bool>,
    /// Which operations may not be changed, only dropped.
    fixed: Vec<bool>,
    /// Operations that expect what an earlier one did, with that one.
    witnesses: Vec<(usize, usize)>,
    /// Whether other threads are at work, so that what breaks may take many attempts: repetitions stay.
    racing: bool,
    /// Whether it is the last allocation of the main thread that something is compared with: whose an operation is stays
    /// as it is, and so does what a child does.
    compares: bool,
}

impl Promises {
    /// The promises of a legal program.
    pub fn of(ops: &[Op]) -> Promises {
        let has = |wanted: fn(&Op) -> bool| ops.iter().any(wanted);
        let depends = has(depends);
        let fails = has(|op| matches!(op.call, Call::FailRaw | Call::FailArena | Call::ShiftArena));
        let freedom = match () {
            () if fails && has(|op| op.expect != Expect::Any) => Freedom::End,
            () if depends && depends_under_limit(ops) => Freedom::Unfreed,
            () if depends => Freedom::Blocks,
            () => Freedom::All,
        };
        let mut promises = Promises {
            freedom,
            blocks: Vec::new(),
            needed: Vec::new(),
            fixed: Vec::new(),
            witnesses: Vec::new(),
            racing: ops.iter().any(races),
            compares: has(|op| op.expect == Expect::AsBefore && op.call != Call::Bounded),
        };
        if freedom == Freedom::All {
            promises.fixed = ops.iter().map(|op| op.expect != Expect::Any).collect();
        } else {
            promises.read(ops);
        }
        for (op, fixed) in ops.iter().zip(&mut promises.fixed) {
            *fixed |= promises.racing && op.call == Call::Repeat;
        }
        promises
    }

    fn read(&mut self, ops: &[Op]) {
        let mut current: Vec<u32> = Vec::new();
        let (mut last_allocation, mut last_bound) = (None, None);
        // The main thread is compared with itself, and so is a child and its parent.
        let (mut thread, mut at_fork) = (0, None);
        let mut limited = false;
        // What was last asked for without a limit, for each request.
        let mut earlier = HashMap::new();
        // From here on addresses are compared: the history of those blocks is fixed.
        let mut compared = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            self.fixed.push(op.expect != Expect::Any);
            let block = self.block(&mut current, op);
            self.blocks.push(block);
            if op.call.frees() && block != NO_BLOCK {
                self.needed[block as usize] = true;
                current[op.slot as usize] = NO_BLOCK;
            }
            let request = (op.call, op.a, op.b);
            let witness = match op.expect {
                Expect::AsBefore if op.call == Call::Bounded => last_bound,
                Expect::AsBefore => last_allocation,
                Expect::AsEarlier => earlier.get(&request).copied(),
                _ => None,
            };
            if let Some(witness) = witness {
                self.witnesses.push((index, witness));
                self.fixed[witness] = true;
            }
            if matches!(op.expect, Expect::SamePointer | Expect::OtherPointer) {
                compared.push(block);
            }
            if (op.call.allocates() || op.call.reallocates()) && thread == 0 {
                last_allocation = Some(index);
                if !limited {
                    earlier.insert(request, index);
                }
            }
            match op.call {
                Call::Thread => thread = op.a,
                Call::Join => thread = 0,
                Call::Fork => at_fork = Some((last_allocation, earlier.clone())),
                Call::Wait => (last_allocation, earlier) = at_fork.take().unwrap_or_default(),
                Call::Bounded => last_bound = Some(index),
                Call::Limit | Call::FailSyscall => limited = op.a != 0,
                _ => {}
            }
        }
        compared.sort_unstable();
        for (op, block) in self.blocks.iter().enumerate() {
            if compared.binary_search(block).is_ok() {
                self.fixed[op] = true;
            }
        }
        // What an expectation is about gives nothing to another one.
        for (op, block) in ops.iter().zip(&self.blocks) {
            if op.expect != Expect::Any && *block != NO_BLOCK {
                self.needed[*block as usize] = false;
            }
        }
    }

    /// The block that `op` works on, a new one if it makes it.
    fn block(&mut self, current: &mut Vec<u32>, op: &Op) -> u32 {
        if op.slot == NO_SLOT {
            return NO_BLOCK;
        }
        let slot: Slot = op.slot;
        if slot as usize >= current.len() {
            current.resize(slot as usize + 1, NO_BLOCK);
        }
        let block = &mut current[slot as usize];
        if *block == NO_BLOCK {
            *block = self.needed.len() as u32;
            self.needed.push(false);
        }
        *block
    }

    /// Whether the operation may be changed into a plainer or smaller one.
    pub fn may_change(&self, index: usize) -> bool {
        !self.fixed[index] && matches!(self.freedom, Freedom::All | Freedom::Blocks)
    }

    /// Takes operations out of `keep`, or puts them back, until what is left keeps its promises.
    pub fn close(&self, ops: &[Op], keep: &mut [bool]) {
        let kept_end = keep
            .iter()
            .rposition(|&keep| keep)
            .map_or(0, |last| last + 1);
        let is_end_cut = keep[..kept_end].iter().all(|&keep| keep);
        if self.racing && !is_end_cut {
            let repeats = ops.iter().map(|op| op.call == Call::Repeat);
            keep.iter_mut()
                .zip(repeats)
                .for_each(|(keep, repeats)| *keep |= repeats);
        }
        let threads = |(op, keep): (&Op, &bool)| *keep && op.call == Call::Thread;
        if ops.iter().zip(&*keep).any(threads) {
            // What shows where one operation follows the other must go on to.
            for (keep, op) in keep.iter_mut().zip(ops) {
                *keep |= !is_end_cut && Schedule::of(op) == Some(Schedule::InOrder);
            }
        }
        if self.freedom == Freedom::All || is_end_cut {
            return;
        }
        if self.compares {
            for (keep, op) in keep.iter_mut().zip(ops) {
                *keep |= op.call.switches() || matches!(op.call, Call::Fork | Call::Wait);
            }
        }
        let mut dropped = vec![false; self.needed.len()];
        self.drop_blocks(ops, keep, &mut dropped);
        // An expectation that has lost its witness goes with its block, which may be another's witness.
        loop {
            let lost = self
                .witnesses
                .iter()
                .filter(|&&(op, witness)| keep[op] && !keep[witness]);
            let lost: Vec<usize> = lost.map(|&(op, _)| op).collect();
            if lost.is_empty() {
                break;
            }
            for op in lost {
                keep[op] = false;
            }
            self.drop_blocks(ops, keep, &mut dropped);
        }
        let mut limited = false;
        for (op, keep) in ops.iter().zip(keep) {
            if makes_short(op) {
                // A limit may go, but one that stays is lifted where it was.
                *keep |= op.a == 0 && limited;
                limited = *keep && op.a != 0;
            }
        }
    }

    /// Makes `keep` respect blocks: all of the operations on one, or none that matters.
    fn drop_blocks(&self, ops: &[Op], keep: &mut [bool], dropped: &mut [bool]) {
        for (index, op) in ops.iter().enumerate() {
            if keep[index] || is_neutral(op) {
                continue;
            }
            match self.blocks[index] {
                NO_BLOCK => keep[index] |= self.freedom == Freedom::End || op.call == Call::Trim,
                block => {
                    let may_go = match self.freedom {
                        Freedom::End => false,
                        Freedom::Unfreed => !self.needed[block as usize],
                        Freedom::All | Freedom::Blocks => true,
                    };
                    dropped[block as usize] |= may_go;
                }
            }
        }
        for (index, op) in ops.iter().enumerate() {
            let block = self.blocks[index];
            if block != NO_BLOCK {
                keep[index] = if dropped[block as usize] {
                    false
                } else {
                    keep[index] || !is_neutral(op)
                };
            }
        }
    }
}

/// Whether what is expected of the operation depends on others.
fn depends(op: &Op) -> bool {
    matches!(op.call, Call::Bounded | Call::Steady)
        || !matches!(op.expect, Expect::Any | Expect::Null)
}

/// Whether other threads work beside the program from the operation on.
fn races(op: &Op) -> bool {
    Under::of(op).is_some_and(|under| under.condition == Condition::Threads)
}

/// Whether the operation makes memory short, or gives it back.
fn makes_short(op: &Op) -> bool {
    matches!(op.call, Call::Limit | Call::FailSyscall)
}

/// Whether something that depends on other operations is expected while memory is short.
fn depends_under_limit(ops: &[Op]) -> bool {
    let mut limited = false;
    ops.iter().any(|op| {
        if makes_short(op) {
            limited = op.a != 0;
        }
        limited && depends(op)
    })
}

/// Whether the operation neither takes nor gives memory, so that no other expectation depends on it.
fn is_neutral(op: &Op) -> bool {
    match op.call {
        Call::UsableSize | Call::Stretch | Call::Sweep => true,
        call => call.frees() && op.slot == NO_SLOT,
    }
}
