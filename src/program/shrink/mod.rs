//! From a program that breaks a rule to the smallest that still does.
//!
//! [`Reducer`] proposes smaller programs; who runs them accepts those that still break the rule. It goes on where it is
//! rather than from the start, which matters when a program has a million operations and each run of it costs time.
//! Read as an iterator to which nothing is ever accepted it is `quickcheck`'s `shrink`.
//!
//! Large parts go first: chunks of half the program, of a quarter, down to single operations; then whole blocks; then
//! calls give way to plainer ones and numbers to smaller ones. Every proposal is legal and its [`Measure`] is smaller.

mod measure;
mod promise;
mod simplify;
mod slots;

pub use measure::Measure;
use promise::Promises;

use super::decode::{Decoder, RECORD};
use super::legal::Checker;
use super::op::{Call, NO_SLOT, Op, Program};
use super::threads::MAX_THREADS;
use super::vocabulary::Vocabulary;
use quickcheck::{Arbitrary, Gen};

/// Sizes that all operations are cut down to at once, before they are tried one by one.
const CUTS: [u64; 5] = [1, 16, 128, 1024, 8192];

/// Proposes ever smaller programs; see the module.
pub struct Reducer {
    /// The smallest program accepted, each block in a slot of its own.
    base: Program,
    /// The smallest program accepted, as it was accepted.
    best: Program,
    measure: Measure,
    promises: Promises,
    /// Whether each operation's slot is live before it.
    live: Vec<bool>,
    stage: Stage,
    /// Whether anything was accepted since the first stage.
    improved: bool,
}

/// What is tried next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// What the thread `from` does is done by the first one.
    Threads {
        from: u64,
    },
    /// Without the `chunk` operations before `end`.
    Chunks {
        chunk: usize,
        end: usize,
    },
    /// Without any operation on the block that the operation at `next` makes.
    Blocks {
        next: usize,
    },
    /// Every call a plainer one.
    Plain,
    /// Every size at most that of [`CUTS`].
    Cut {
        next: usize,
    },
    /// One operation a plainer or smaller one.
    Ops {
        next: usize,
        variant: usize,
    },
    /// Slots in the order of their first use.
    Numbers,
    Done,
}

impl Stage {
    fn first(program: &Program) -> Stage {
        match program.has_threads() {
            true => Stage::Threads { from: MAX_THREADS },
            false => Stage::chunks(program.ops.len()),
        }
    }

    fn chunks(ops: usize) -> Stage {
        match ops {
            0 => Stage::Done,
            1 => Stage::Chunks { chunk: 1, end: 1 },
            _ => Stage::Chunks {
                chunk: ops / 2,
                end: ops,
            },
        }
    }
}

impl Reducer {
    /// A reducer of a legal program.
    pub fn new(program: &Program) -> Reducer {
        let mut reducer = Reducer {
            base: Program::default(),
            best: program.clone(),
            measure: program.measure(),
            promises: Promises::of(&[]),
            live: Vec::new(),
            stage: Stage::first(program),
            improved: false,
        };
        reducer.rebase(slots::separated(program));
        reducer
    }

    fn rebase(&mut self, base: Program) {
        let mut checker = Checker::default();
        self.live.clear();
        for (index, op) in base.ops.iter().enumerate() {
            self.live.push(checker.is_live(op.slot));
            // The program is legal; only the state of the slots is of interest.
            let _ = checker.admit(&base.ops[..index], op);
        }
        self.promises = Promises::of(&base.ops);
        self.base = base;
    }

    /// Takes the program last proposed as the one to go on from, because it still breaks the rule.
    pub fn accept(&mut self, program: Program) {
        self.improved = true;
        self.measure = program.measure();
        self.rebase(program.clone());
        self.best = program;
        let ops = self.base.ops.len();
        match &mut self.stage {
            Stage::Chunks { chunk, end } => {
                *end = (*end).min(ops);
                *chunk = (*chunk).min(ops);
            }
            // The operation may have become smaller still.
            Stage::Ops { variant, .. } => *variant = 0,
            _ => {}
        }
    }

    /// The smallest program accepted, or the one given at the start.
    pub fn into_best(self) -> Program {
        self.best
    }

    /// The program that the current stage proposes, if its next try makes one, and the stage after.
    fn propose(&self) -> (Option<Program>, Stage) {
        let ops = &self.base.ops;
        match self.stage {
            Stage::Threads { from: 1 } => (None, Stage::chunks(ops.len())),
            Stage::Threads { from } => {
                let is_it = |op: &Op| op.call == Call::Thread && op.a == from;
                let first = |op: &Op| vec![Op { a: 1, ..*op }];
                let program = ops
                    .iter()
                    .any(is_it)
                    .then(|| self.with(|_, op| is_it(op).then(|| first(op))));
                (program, Stage::Threads { from: from - 1 })
            }
            Stage::Chunks { chunk, end } => {
                let start = end.saturating_sub(chunk);
                let program = self.without(|index| (start..end).contains(&index));
                let next = match (start, chunk) {
                    (0, 0 | 1) => Stage::Blocks { next: 0 },
                    (0, _) => Stage::Chunks {
                        chunk: chunk / 2,
                        end: ops.len(),
                    },
                    _ => Stage::Chunks { chunk, end: start },
                };
                (Some(program), next)
            }
            Stage::Blocks { next } if next >= ops.len() => (None, Stage::Plain),
            Stage::Blocks { next } => (self.without_block(next), Stage::Blocks { next: next + 1 }),
            Stage::Plain => {
                let program = self.with(|index, op| simplify::plainer(op, self.live[index]));
                (Some(program), Stage::Cut { next: 0 })
            }
            Stage::Cut { next } if next >= CUTS.len() => (
                None,
                Stage::Ops {
                    next: 0,
                    variant: 0,
                },
            ),
            Stage::Cut { next } => {
                let program = self.with(|_, op| Some(vec![simplify::at_most(op, CUTS[next])?]));
                (Some(program), Stage::Cut { next: next + 1 })
            }
            Stage::Ops { next, .. } if next >= ops.len() => (None, Stage::Numbers),
            Stage::Ops { next, variant } => match self.variant(next, variant) {
                Some(changed) => {
                    let program = self.with(|index, _| (index == next).then(|| changed.clone()));
                    (
                        Some(program),
                        Stage::Ops {
                            next,
                            variant: variant + 1,
                        },
                    )
                }
                None => (
                    None,
                    Stage::Ops {
                        next: next + 1,
                        variant: 0,
                    },
                ),
            },
            Stage::Numbers => (Some(slots::numbered(&self.base)), Stage::Done),
            Stage::Done => (None, Stage::Done),
        }
    }

    /// The program without the operations for which `drops` says so, and without what hangs on them.
    fn without(&self, drops: impl Fn(usize) -> bool) -> Program {
        let mut keep: Vec<bool> = (0..self.base.ops.len())
            .map(|index| !drops(index))
            .collect();
        self.promises.close(&self.base.ops, &mut keep);
        self.rebuilt(|index, op, out| {
            if keep[index] {
                out.push(*op);
            }
        })
    }

    /// The program without the block that the operation at `index` makes, if it is one that is reallocated: of others
    /// everything is gone already when its allocation is dropped.
    fn without_block(&self, index: usize) -> Option<Program> {
        let slot = self.base.ops[index].slot;
        if slot == NO_SLOT || self.live[index] {
            return None;
        }
        let end = self.base.ops[index..]
            .iter()
            .position(|op| op.slot == slot && op.call.frees());
        let end = end.map_or(self.base.ops.len(), |length| index + length + 1);
        let on_block = |op: &Op| op.slot == slot;
        let resized = self.base.ops[index + 1..end]
            .iter()
            .any(|op| on_block(op) && op.call.reallocates());
        resized.then(|| self.without(|i| (index..end).contains(&i) && on_block(&self.base.ops[i])))
    }

    /// The program with operations replaced where `change` has something to put in their place and nothing forbids.
    fn with(&self, change: impl Fn(usize, &Op) -> Option<Vec<Op>>) -> Program {
        self.rebuilt(|index, op, out| {
            let changed = if self.promises.may_change(index) {
                change(index, op)
            } else {
                None
            };
            match changed {
                Some(changed) => out.extend(changed),
                None => out.push(*op),
            }
        })
    }

    /// The nth thing to try in the place of an operation.
    fn variant(&self, index: usize, variant: usize) -> Option<Vec<Op>> {
        if !self.promises.may_change(index) {
            return None;
        }
        let op = &self.base.ops[index];
        let plainer = simplify::plainer(op, self.live[index]);
        let smaller = simplify::smaller_arguments(op)
            .into_iter()
            .map(|op| vec![op]);
        plainer.into_iter().chain(smaller).nth(variant)
    }

    /// A legal program made of what `each` puts in the place of each operation.
    fn rebuilt(&self, each: impl Fn(usize, &Op, &mut Vec<Op>)) -> Program {
        let ops = &self.base.ops;
        let mut out = Vec::with_capacity(ops.len());
        let repeats = ops.iter().any(|op| op.call == Call::Repeat);
        let mut starts = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            let before = out.len();
            if repeats {
                starts.push(before);
            }
            each(index, op, &mut out);
            if op.call == Call::Repeat {
                let length = before - starts[index - op.b as usize];
                for repeat in &mut out[before..] {
                    repeat.b = length as u64;
                }
            }
        }
        let mut program = Program {
            rule: self.base.rule,
            ops: out,
        };
        program.legalise();
        program
    }
}

impl Program {
    /// The same program in which blocks are freed and made anew instead of resized.
    #[must_use]
    pub fn without_resizing(&self) -> Program {
        let mut program = self.clone();
        // All other ways to resize have realloc for a plainer one.
        for _ in 0..2 {
            let reducer = Reducer::new(&program);
            let change = |index: usize, op: &Op| {
                let resizes = op.call.reallocates();
                resizes
                    .then(|| simplify::plainer(op, reducer.live[index]))
                    .flatten()
            };
            program = reducer.with(change);
        }
        program
    }
}

impl Iterator for Reducer {
    type Item = Program;

    fn next(&mut self) -> Option<Program> {
        loop {
            if matches!(self.stage, Stage::Done) {
                if !std::mem::take(&mut self.improved) {
                    return None;
                }
                self.stage = Stage::first(&self.base);
            }
            let (program, next) = self.propose();
            self.stage = next;
            if let Some(program) = program
                && program.measure() < self.measure
            {
                return Some(program);
            }
        }
    }
}

impl Arbitrary for Program {
    fn arbitrary(g: &mut Gen) -> Program {
        let bytes: Vec<u8> = (0..g.size() * RECORD).map(|_| u8::arbitrary(g)).collect();
        let vocabulary = Vocabulary::default();
        let mut decoder = Decoder::new(&vocabulary, g.size());
        decoder.feed(&mut arbitrary::Unstructured::new(&bytes));
        decoder.finish()
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Program>> {
        Box::new(Reducer::new(self))
    }
}

#[cfg(test)]
mod tests;
