//! Programs to measure with, and running them without any check.

use crate::program::{Call, NO_SLOT, Op, Program, Slot, SplitMix};
use crate::subject::Subject;
use std::ptr;

/// Operations in one round, before it is repeated.
const ROUND: usize = 100_000;

/// What a program for measuring is made of: a heap that is filled, and rounds that leave it as full as it was.
pub struct Workload {
    /// Fills every slot.
    pub fill: Vec<Op>,
    /// Frees and makes, or resizes, blocks in random slots, over and over.
    pub rounds: Vec<Op>,
}

impl Workload {
    /// `live` blocks of 1 to `largest` bytes. A round replaces blocks by malloc and, one in four, by calloc, or resizes
    /// them: one in four. It is repeated until `least` operations were made.
    pub fn mixed(live: Slot, largest: u64, least: usize) -> Workload {
        let mut random = SplitMix::new(u64::from(live) ^ largest << 32);
        let mut size = move || 1 + random.below(largest);
        let fill = (0..live)
            .map(|slot| Op::new(Call::Malloc, slot, size(), 0))
            .collect();
        let mut choices = SplitMix::new(largest);
        let mut rounds = Vec::with_capacity(ROUND + 3);
        while rounds.len() < ROUND {
            let slot = choices.below(u64::from(live)) as Slot;
            match choices.below(8) {
                0 | 1 => rounds.push(Op::new(Call::Realloc, slot, size(), 0)),
                choice => {
                    rounds.push(Op::new(Call::Free, slot, 0, 0));
                    rounds.push(match choice {
                        2 | 3 => Op::new(Call::Calloc, slot, 1, size()),
                        _ => Op::new(Call::Malloc, slot, size(), 0),
                    });
                }
            }
        }
        let round = rounds.len();
        let again = least.div_ceil(round).saturating_sub(1);
        if again > 0 {
            rounds.push(Op::new(Call::Repeat, NO_SLOT, again as u64, round as u64));
        }
        Workload { fill, rounds }
    }

    /// The whole as one program.
    pub fn program(&self) -> Program {
        Program {
            rule: None,
            ops: [self.fill.as_slice(), &self.rounds].concat(),
        }
    }

    /// The operations that the rounds make in all.
    pub fn operations(&self) -> u64 {
        let rounds = Program {
            rule: None,
            ops: self.rounds.clone(),
        };
        rounds.steps()
    }
}

/// The same calls as an executor makes, and nothing else.
pub struct Unchecked<S: Subject> {
    subject: S,
    slots: Vec<*mut u8>,
}

impl<S: Subject> Unchecked<S> {
    /// Ready for a workload of so many live blocks.
    pub fn new(subject: S, live: Slot) -> Unchecked<S> {
        Unchecked {
            subject,
            slots: vec![ptr::null_mut(); live as usize],
        }
    }

    /// Makes the calls.
    pub fn run(&mut self, ops: &[Op]) {
        for (index, op) in ops.iter().enumerate() {
            if op.call != Call::Repeat {
                self.step(op);
                continue;
            }
            for _ in 0..op.a {
                for op in &ops[index - op.b as usize..index] {
                    self.step(op);
                }
            }
        }
    }

    #[inline]
    fn step(&mut self, op: &Op) {
        let block = &mut self.slots[op.slot as usize];
        let (a, b) = (op.a as usize, op.b as usize);
        // SAFETY: a slot holds null or a live block of the subject, since a workload frees what it replaces.
        unsafe {
            match op.call {
                Call::Malloc => *block = self.subject.malloc(a),
                Call::Calloc => *block = self.subject.calloc(a, b),
                Call::Realloc => *block = self.subject.realloc(*block, a),
                Call::Free => self.subject.free(*block),
                _ => {}
            }
        }
    }
}

impl<S: Subject> Drop for Unchecked<S> {
    fn drop(&mut self) {
        for &block in &self.slots {
            // SAFETY: null or live, and not used again.
            unsafe { self.subject.free(block) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_legal_and_leaves_the_heap_full() {
        let workload = Workload::mixed(50, 1024, 250_000);
        assert_eq!(workload.program().check(), Ok(()));
        assert!(workload.operations() >= 250_000);
        for call in [Call::Malloc, Call::Calloc, Call::Realloc, Call::Free] {
            assert!(workload.rounds.iter().any(|op| op.call == call));
        }
        let sizes = workload.rounds.iter().filter_map(Op::size);
        assert_eq!(sizes.max(), Some(1024));
    }
}
