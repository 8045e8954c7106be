//! Bytes become a program, here and nowhere else: a fuzzer's bytes, a property test's, a seeded generator's.
//!
//! Every operation is read from a record of [`RECORD`] bytes, so that a fuzzer that changes one record does not change
//! how the others are read. Now and then a record starts a *phase* instead: for a while the heap grows, holds its size
//! or shrinks, blocks are freed in one order, and sizes are mixed, small, or all of one class. Uniform choices alone
//! would keep every heap in the same dull middle.

use std::collections::VecDeque;

use arbitrary::Unstructured;

use super::legal::MAX_OPS;
use super::op::{Call, NO_SLOT, Op, Program, Slot};
use super::operator::Operator;
use super::sizes::{self, Word};
use super::vocabulary::Vocabulary;

/// The bytes that one operation is read from.
pub const RECORD: usize = 16;

/// Requests above this are taken to fail, so that they do not count as live.
const SURELY_FAILS: u64 = 1 << 46;

/// Reads operations from bytes; see the module.
pub struct Decoder<'v> {
    vocabulary: &'v Vocabulary,
    length: usize,
    ops: Vec<Op>,
    /// The calls that make a block, each as often as it is to be chosen.
    makers: Vec<Call>,
    live: VecDeque<Block>,
    live_bytes: u64,
    /// Slots that were used and are empty again.
    empty: Vec<Slot>,
    phase: Phase,
}

#[derive(Clone, Copy)]
struct Block {
    slot: Slot,
    size: u64,
    /// The free that is told the size of the block, [`Call::Free`] if there is none.
    sized: Call,
    /// The form of `operator new` that made it.
    new: Option<Operator>,
}

struct Phase {
    ops_left: u64,
    /// Of 4096 operations that allocate or free, how many allocate.
    growth: u64,
    order: Order,
    sizes: Sizes,
}

#[derive(Clone, Copy)]
enum Order {
    OldestFirst,
    NewestFirst,
    Random,
}

#[derive(Clone, Copy)]
enum Sizes {
    Mixed,
    Small,
    One(u64),
}

impl Phase {
    fn start(mut word: Word, vocabulary: &Vocabulary) -> Phase {
        Phase {
            ops_left: 16 << word.below(9),
            growth: word.pick(&[3200, 2600, 2100, 2000, 1500]),
            order: word.pick(&[Order::OldestFirst, Order::NewestFirst, Order::Random]),
            sizes: match word.below(8) {
                0..=3 => Sizes::Mixed,
                4..=5 => Sizes::Small,
                _ => Sizes::One(sizes::size(word.0, vocabulary).min(1 << 13)),
            },
        }
    }
}

/// Every block-making call with its weight; `realloc` stands for `realloc(NULL, n)`.
const MAKERS: [(Call, usize); 19] = [
    (Call::Malloc, 48),
    (Call::Calloc, 20),
    (Call::AlignedAlloc, 4),
    (Call::PosixMemalign, 4),
    (Call::Memalign, 3),
    (Call::Realloc, 4),
    (Call::Reallocarray, 2),
    (Call::Valloc, 1),
    (Call::Pvalloc, 1),
    (Call::Recallocarray, 2),
    (Call::Reallocf, 1),
    (Call::New, 12),
    (Call::NewArray, 6),
    (Call::NewNothrow, 2),
    (Call::NewArrayNothrow, 1),
    (Call::NewAligned, 3),
    (Call::NewArrayAligned, 1),
    (Call::NewAlignedNothrow, 1),
    (Call::NewArrayAlignedNothrow, 1),
];

impl<'v> Decoder<'v> {
    /// A decoder for a program of at most `length` operations.
    pub fn new(vocabulary: &'v Vocabulary, length: usize) -> Decoder<'v> {
        let makers = MAKERS
            .iter()
            .filter(|(call, _)| vocabulary.has(*call))
            .flat_map(|&(call, weight)| std::iter::repeat_n(call, weight))
            .collect();
        Decoder {
            vocabulary,
            length: length.min(MAX_OPS),
            ops: Vec::new(),
            makers,
            live: VecDeque::new(),
            live_bytes: 0,
            empty: Vec::new(),
            phase: Phase {
                ops_left: 0,
                growth: 0,
                order: Order::Random,
                sizes: Sizes::Mixed,
            },
        }
    }

    /// Whether the program has its full length, or cannot have any.
    pub fn is_done(&self) -> bool {
        self.ops.len() >= self.length || self.makers.is_empty() || self.vocabulary.max_slots == 0
    }

    /// Reads operations until the bytes or the program are at their end.
    pub fn feed(&mut self, bytes: &mut Unstructured<'_>) {
        self.ops
            .reserve((bytes.len() / RECORD).min(self.length - self.ops.len()));
        while !bytes.is_empty() && !self.is_done() {
            // Too few bytes for a record are filled up with zeros; there is no other error.
            let Ok(record) = bytes.arbitrary::<u128>() else {
                return;
            };
            self.read(record as u64, (record >> 64) as u64);
        }
    }

    /// The program read.
    pub fn finish(self) -> Program {
        Program {
            rule: None,
            ops: self.ops,
        }
    }

    fn read(&mut self, choices: u64, argument: u64) {
        let mut choices = Word(choices);
        if self.phase.ops_left == 0 {
            self.phase = Phase::start(Word(choices.0 ^ argument), self.vocabulary);
            return;
        }
        self.phase.ops_left -= 1;

        match choices.below(4096) {
            0 => self.push(Call::Sweep, NO_SLOT, 0, 0),
            1 if self.vocabulary.has(Call::Trim) => self.push(Call::Trim, NO_SLOT, 0, 0),
            2..=9 => self.push(Call::Free, NO_SLOT, 0, 0),
            10..=13 if self.vocabulary.has(Call::UsableSize) => {
                self.push(Call::UsableSize, NO_SLOT, 0, 0);
            }
            14..=29 if self.vocabulary.hooked => self.disturb(choices, argument),
            30..=61 if self.vocabulary.has(Call::Stretch) => self.ask(Call::Stretch, argument),
            62..=160 if self.vocabulary.has(Call::UsableSize) => {
                self.ask(Call::UsableSize, argument);
            }
            161..=800 if !self.live.is_empty() => self.reallocate(choices, argument),
            801..=816 if self.vocabulary.bursts => self.burst(choices, argument),
            _ if self.live.is_empty() => self.allocate(choices, argument),
            _ if self.live.len() >= self.vocabulary.max_slots as usize => self.free(choices),
            _ if choices.below(4096) < self.phase.growth => self.allocate(choices, argument),
            _ => self.free(choices),
        }
    }

    fn push(&mut self, call: Call, slot: Slot, a: u64, b: u64) {
        self.ops.push(Op::new(call, slot, a, b));
    }

    /// Many allocations of one size, or many frees.
    fn burst(&mut self, mut choices: Word, argument: u64) {
        let grows = choices.below(3) != 0;
        for _ in 0..8 << choices.below(5) {
            let room = self.live.len() < self.vocabulary.max_slots as usize;
            match grows {
                _ if self.is_done() => return,
                true if room => self.allocate(Word(choices.0), argument),
                true => return,
                false => self.free(Word(choices.0)),
            }
        }
    }

    /// A question about some block.
    fn ask(&mut self, call: Call, argument: u64) {
        let index = argument as usize % self.live.len().max(1);
        if self
            .live
            .get(index)
            .is_some_and(|block| block.new.is_none())
        {
            self.push(call, self.live[index].slot, 0, 0);
        }
    }

    /// A failure or displacement of the sources of a subject with hooks.
    fn disturb(&mut self, mut choices: Word, argument: u64) {
        let mut argument = Word(argument);
        let (call, a) = match choices.below(8) {
            0..=3 => (Call::FailRaw, argument.below(4)),
            4..=6 => (Call::FailArena, argument.below(3)),
            _ => (
                Call::ShiftArena,
                argument.pick(&[0, 16, 4096, 4112, 8192, 16368]),
            ),
        };
        self.push(call, NO_SLOT, a, 0);
    }

    /// A size that keeps the live bytes within bounds when it takes the place of `released` bytes.
    fn size(&self, argument: u64, released: u64) -> u64 {
        let size = match self.phase.sizes {
            Sizes::Small => sizes::size(argument, self.vocabulary) & 0x3ff,
            Sizes::One(size) if released == 0 => size,
            // A realloc to the size the block has would say little.
            Sizes::Mixed | Sizes::One(_) => sizes::size(argument, self.vocabulary),
        };
        let held = self.live_bytes - released;
        let room = self.vocabulary.max_live.saturating_sub(held);
        if size <= room / 4 {
            size
        } else {
            size % (room / 4 + 1)
        }
    }

    fn allocate(&mut self, mut choices: Word, argument: u64) {
        let index = choices.below(self.makers.len() as u64);
        let call = self.makers[index as usize];
        let slot = match self.empty.pop() {
            Some(slot) => slot,
            None => self.live.len() as Slot,
        };
        let size = self.request(call, slot, choices, argument, 0);
        self.live_bytes += size.unwrap_or(0);
        self.live.push_back(Block {
            slot,
            size: size.unwrap_or(0),
            sized: match call {
                Call::AlignedAlloc => Call::FreeAlignedSized,
                Call::PosixMemalign | Call::Memalign | Call::Valloc | Call::Pvalloc => Call::Free,
                _ => Call::FreeSized,
            },
            new: call.operator(),
        });
    }

    fn reallocate(&mut self, mut choices: Word, argument: u64) {
        let index = choices.below(1 << 20) as usize % self.live.len();
        if self.live[index].new.is_some() {
            return self.free(choices);
        }
        let rarer = match choices.below(8) {
            0 => Call::Reallocarray,
            1 => Call::Recallocarray,
            2 => Call::Reallocf,
            _ => Call::Realloc,
        };
        let mut calls = [rarer, Call::Realloc].into_iter();
        let Some(call) = calls.find(|&call| self.vocabulary.has(call)) else {
            return self.free(choices);
        };
        let block = self.live[index];
        let size = self.request(call, block.slot, choices, argument, block.size);
        let size = size.unwrap_or(block.size);
        self.live_bytes = self.live_bytes - block.size + size;
        self.live[index].size = size;
        if block.sized != Call::FreeSized {
            // Still the aligned block if the realloc fails, a plain one if not.
            self.live[index].sized = Call::Free;
        }
    }

    /// Appends a call for a block; the bytes it will hold, `None` if the request is meant to fail.
    fn request(
        &mut self,
        call: Call,
        slot: Slot,
        mut choices: Word,
        argument: u64,
        released: u64,
    ) -> Option<u64> {
        // A `new` that throws is for programs of its own: where nobody can catch what it throws, all would end there.
        let throws = call.operator().is_some_and(|form| !form.nothrow);
        let fails = choices.below(256) == 0 && !throws;
        let mut size = if fails {
            sizes::huge(argument)
        } else {
            self.size(argument, released)
        };
        let (a, b) = match call {
            _ if call.takes_count() && fails => sizes::overflowing_factors(argument),
            _ if call.takes_count() => sizes::factors(size, choices.0),
            Call::AlignedAlloc if !self.vocabulary.nonmultiple_sizes => {
                let alignment = self.alignment(call, choices);
                (alignment, size - size.checked_rem(alignment).unwrap_or(0))
            }
            _ if call.takes_alignment() => (self.alignment(call, choices), size),
            _ => (size, 0),
        };
        if call.takes_count() {
            size = a.saturating_mul(b);
        }
        // Where realloc(p, 0) is undefined no request may reach it, nor may a product of 0.
        if size == 0 && !self.vocabulary.may_resize_to_nothing(call) {
            self.push(call, slot, 1, u64::from(call.takes_count()));
            return Some(1);
        }
        self.push(call, slot, a, b);
        (size < SURELY_FAILS).then_some(size)
    }

    fn alignment(&self, call: Call, mut choices: Word) -> u64 {
        let odd = choices.below(128);
        let least = if call == Call::PosixMemalign { 8 } else { 1 };
        match (call, odd) {
            // posix_memalign answers every alignment; the others only where the profile says so.
            (Call::PosixMemalign, 0) => sizes::invalid_alignment(choices.0),
            (Call::PosixMemalign, 1) => 1 << choices.below(3),
            (Call::AlignedAlloc, 0) if self.vocabulary.invalid_alignments => {
                sizes::invalid_alignment(choices.0)
            }
            (_, 2) if !call.is_new() => 1 << (22 + choices.below(42)),
            _ => sizes::alignment(choices.0, least),
        }
    }

    fn free(&mut self, mut choices: Word) {
        let block = match self.phase.order {
            Order::OldestFirst => self.live.pop_front(),
            Order::NewestFirst => self.live.pop_back(),
            Order::Random => {
                let index = choices.below(1 << 20) as usize % self.live.len().max(1);
                self.live.swap_remove_back(index)
            }
        };
        let Some(block) = block else { return };
        self.live_bytes -= block.size;
        self.empty.push(block.slot);
        let choice = choices.below(8);
        if let Some(new) = block.new {
            let delete = self.delete(new, choice);
            return self.push(delete, block.slot, 0, 0);
        }
        let call = match choice {
            0..2 if self.vocabulary.has(block.sized) => block.sized,
            2 if self.vocabulary.has(Call::Freezero) => Call::Freezero,
            _ => Call::Free,
        };
        self.push(call, block.slot, 0, 0);
    }

    /// A `delete` for what this `new` made.
    fn delete(&self, new: Operator, choice: u64) -> Call {
        let plain = new.plain_delete();
        let mut others = Call::ALL.iter().copied().filter(|&call| {
            let delete = call.operator().filter(|form| form.undoes(new));
            call != plain && delete.is_some() && self.vocabulary.has(call)
        });
        match choice {
            0..4 => others.nth(choice as usize / 2).unwrap_or(plain),
            _ => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Calls;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A vocabulary of the calls whose bits are set.
    fn vocabulary() -> impl Strategy<Value = Vocabulary> {
        let calls = proptest::collection::vec(proptest::sample::select(Call::ALL.to_vec()), 1..20);
        let limits = (0..100_000u64, 1..50u32);
        (calls, limits, any::<[bool; 6]>()).prop_map(|(calls, (max_live, max_slots), flags)| {
            Vocabulary {
                calls: calls.into_iter().chain([Call::Free]).collect(),
                boundaries: vec![24, 40, 1000],
                max_live,
                max_slots,
                zero_realloc: flags[0],
                invalid_alignments: flags[1],
                nonmultiple_sizes: flags[2],
                invalid_memalign: flags[3],
                hooked: flags[4],
                bursts: flags[5],
                ..Vocabulary::default()
            }
        })
    }

    fn decode(vocabulary: &Vocabulary, bytes: &[u8]) -> Program {
        let mut decoder = Decoder::new(vocabulary, usize::MAX);
        decoder.feed(&mut Unstructured::new(bytes));
        decoder.finish()
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_legal_program_within_the_vocabulary(
            vocabulary in vocabulary(),
            bytes in proptest::collection::vec(any::<u8>(), 0..8000),
        ) {
            let program = decode(&vocabulary, &bytes);
            prop_assert_eq!(program.check(), Ok(()));
            prop_assert!(program.slots() <= vocabulary.max_slots as usize);
            prop_assert!(vocabulary.permits(&program), "{program}");
            let mut sizes = BTreeMap::new();
            for op in &program.ops {
                let size = op.size().filter(|&size| size < SURELY_FAILS);
                if op.call.frees() {
                    sizes.remove(&op.slot);
                } else if let Some(size) = size {
                    sizes.insert(op.slot, size);
                }
                let live: u64 = sizes.values().sum();
                prop_assert!(live <= vocabulary.max_live + u64::from(vocabulary.max_slots), "{live}");
            }
        }
    }

    #[test]
    fn a_changed_record_changes_no_other_operation() {
        // The first record starts a phase; the second is an allocation in it.
        let mut bytes: Vec<u8> = (0..100 * RECORD).map(|i| (i * i) as u8).collect();
        let vocabulary = Vocabulary::default();
        let before = decode(&vocabulary, &bytes);
        bytes[RECORD + 8] ^= 8;
        let after = decode(&vocabulary, &bytes);
        let differing = before.ops.iter().zip(&after.ops).filter(|(a, b)| a != b);
        assert_eq!(before.ops.len(), after.ops.len());
        assert_eq!(differing.count(), 1);
    }

    #[test]
    fn a_seed_stands_for_one_program_of_the_full_length() {
        let vocabulary = Vocabulary::default();
        let program = Program::random(7, &vocabulary, 50_000);
        assert_eq!(program, Program::random(7, &vocabulary, 50_000));
        assert_ne!(program, Program::random(8, &vocabulary, 50_000));
        assert_eq!(program.ops.len(), 50_000);
        assert_eq!(program.check(), Ok(()));

        let random = [
            Call::Repeat,
            Call::Limit,
            Call::Bounded,
            Call::FailSyscall,
            Call::Sample,
            Call::Steady,
            Call::Fork,
            Call::Wait,
            Call::Under,
            Call::Thread,
            Call::Join,
            Call::AtExit,
            Call::Schedule,
        ];
        let missing: Vec<Call> = Call::ALL
            .iter()
            .copied()
            .filter(|call| !program.calls().any(|made| made == *call))
            .collect();
        assert_eq!(missing, random, "only directed programs use these");
        assert!(program.slots() > 100, "the heap grows");
    }

    #[test]
    fn nothing_comes_of_a_subject_that_cannot_allocate() {
        let vocabulary = Vocabulary {
            calls: Calls::default().with(Call::Free),
            ..Vocabulary::default()
        };
        assert!(Program::random(1, &vocabulary, 100).ops.is_empty());
    }
}
