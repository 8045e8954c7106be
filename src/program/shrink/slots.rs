//! Renaming slots: one for each block while shrinking, small numbers for people.
//!
//! When two blocks share a slot one after the other, dropping the first one's `free` would make the second's
//! allocation illegal. With a slot each they are independent of one another.

use crate::program::legal::{Checker, MAX_SLOTS};
use crate::program::op::{Call, NO_SLOT, Op, Program, Slot};

/// The same program with a slot of its own for every block, as far as repetitions allow: what a repetition finds in a
/// slot it must leave there.
pub fn separated(program: &Program) -> Program {
    let ops = &program.ops;
    let mut names = Names::default();
    let mut checker = Checker::default();
    let starts = repeat_starts(ops);
    let mut starts = starts.iter().peekable();
    let mut renamed = Vec::with_capacity(ops.len());
    let mut at_fork = Vec::new();

    for (index, op) in ops.iter().enumerate() {
        match op.call {
            Call::Fork => at_fork = names.names.clone(),
            Call::Wait => names.names = std::mem::take(&mut at_fork),
            _ => {}
        }
        while starts.next_if(|&&(_, end)| end <= index).is_some() {}
        let block = starts
            .peek()
            .map(|&&(start, _)| start)
            .filter(|&start| start <= index);
        let fills = op.call.allocates() || op.call.reallocates();
        let mut op = *op;
        if op.slot != NO_SLOT {
            let slot = names.of(op.slot);
            if fills && !checker.is_live(op.slot) {
                if block.is_none() || slot.kept_for != block {
                    slot.name = None;
                }
                slot.born = index;
            } else if op.call.frees() && block.is_some_and(|start| slot.born < start) {
                slot.kept_for = block;
            }
            let Some(name) = names.name(op.slot) else {
                return program.clone();
            };
            // The checker is to see the slots as they were; the program it admits is legal already.
            let _ = checker.admit(&ops[..index], &op);
            op.slot = name;
        } else {
            let _ = checker.admit(&ops[..index], &op);
        }
        renamed.push(op);
    }
    Program {
        rule: program.rule,
        ops: renamed,
    }
}

/// The same program with its slots numbered in the order of their first use.
pub fn numbered(program: &Program) -> Program {
    let mut names = Names::default();
    let mut numbered = program.clone();
    for op in &mut numbered.ops {
        if op.slot != NO_SLOT {
            names.of(op.slot);
            op.slot = names.name(op.slot).unwrap_or(op.slot);
        }
    }
    numbered
}

/// Where each repeated block starts, and where the repetition itself is.
fn repeat_starts(ops: &[Op]) -> Vec<(usize, usize)> {
    let repeats = ops
        .iter()
        .enumerate()
        .filter(|(_, op)| op.call == Call::Repeat);
    repeats
        .map(|(index, op)| (index.saturating_sub(op.b as usize), index))
        .collect()
}

#[derive(Clone, Copy, Default)]
struct Name {
    name: Option<Slot>,
    /// The operation that filled the slot.
    born: usize,
    /// The start of the repeated block that found the slot live and emptied it: it has to fill this very slot again.
    kept_for: Option<usize>,
}

/// The new names of slots.
#[derive(Default)]
struct Names {
    names: Vec<Name>,
    given: Slot,
}

impl Names {
    fn of(&mut self, slot: Slot) -> &mut Name {
        let slot = slot as usize;
        if slot >= self.names.len() {
            self.names.resize(slot + 1, Name::default());
        }
        &mut self.names[slot]
    }

    /// The name of a slot, a new one if it has none; `None` if there are no more.
    fn name(&mut self, slot: Slot) -> Option<Slot> {
        let name = &mut self.names[slot as usize].name;
        if name.is_none() && self.given < MAX_SLOTS {
            *name = Some(self.given);
            self.given += 1;
        }
        *name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn separate(lines: &str) -> Vec<String> {
        let text = format!("# allocspec trace 1\n{lines}");
        let separated = separated(&Program::parse(&text).unwrap());
        assert_eq!(separated.check(), Ok(()));
        separated.lines().map(|line| line.to_string()).collect()
    }

    #[test]
    fn every_block_has_a_slot_of_its_own() {
        assert_eq!(
            separate("p7 = malloc 1\nfree p7\np7 = realloc null 2\np7 = realloc p7 3"),
            [
                "p0 = malloc 1",
                "free p0",
                "p1 = realloc null 2",
                "p1 = realloc p1 3"
            ]
        );
    }

    #[test]
    fn what_a_child_does_leaves_the_names_of_its_parent() {
        assert_eq!(
            separate("p0 = malloc 1\nfork\nfree p0\np0 = malloc 2\nwait\nfree p0\np0 = malloc 3"),
            [
                "p0 = malloc 1",
                "fork",
                "free p0",
                "p1 = malloc 2",
                "wait",
                "free p0",
                "p2 = malloc 3"
            ]
        );
    }

    #[test]
    fn what_a_repetition_finds_it_leaves() {
        assert_eq!(
            separate("p0 = malloc 1\nfree p0\np0 = malloc 2\nrepeat 3 x 2\nfree p0\np0 = malloc 3"),
            [
                "p0 = malloc 1",
                "free p0",
                "p0 = malloc 2",
                "repeat 3 x 2",
                "free p0",
                "p1 = malloc 3"
            ]
        );
        assert_eq!(
            separate("p0 = malloc 1\nfree p0\np0 = malloc 2\nfree p0\nrepeat 3 x 2"),
            [
                "p0 = malloc 1",
                "free p0",
                "p1 = malloc 2",
                "free p1",
                "repeat 3 x 2"
            ]
        );
    }
}
