//! Writing programs in code: every block made gets the next slot.

use crate::program::op::{Call, Expect, NO_SLOT, Op, Program, Slot};
use crate::program::threads::Schedule;
use crate::program::under::{Condition, Under};
use crate::program::vocabulary::Vocabulary;
use crate::spec::RuleId;

/// What the process may grow by where memory is only made and freed: enough for caches and delayed reuse.
const BOUND: u64 = 48 << 20;

/// A request for a block, yet without a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub call: Call,
    pub a: u64,
    pub b: u64,
}

impl Request {
    pub const fn new(call: Call, a: u64, b: u64) -> Request {
        Request { call, a, b }
    }

    pub const fn malloc(size: u64) -> Request {
        Request::new(Call::Malloc, size, 0)
    }
}

/// A program in the making.
pub struct Script {
    program: Program,
    next: Slot,
}

impl Script {
    pub fn new(rule: RuleId) -> Script {
        Script {
            program: Program {
                rule: Some(rule),
                ops: Vec::new(),
            },
            next: 0,
        }
    }

    pub fn finish(self) -> Program {
        self.program
    }

    /// What it does so far.
    pub fn ops(&self) -> &[Op] {
        &self.program.ops
    }

    /// An operation of another program, on the slots that it names, which are used up to there.
    pub fn add(&mut self, op: Op) {
        if op.slot != NO_SLOT {
            self.next = self.next.max(op.slot + 1);
        }
        self.program.ops.push(op);
    }

    fn push(&mut self, call: Call, slot: Slot, a: u64, b: u64) {
        self.program.ops.push(Op::new(call, slot, a, b));
    }

    /// Makes a block in a new slot.
    pub fn make(&mut self, request: Request) -> Slot {
        let slot = self.next;
        self.next += 1;
        self.push(request.call, slot, request.a, request.b);
        slot
    }

    pub fn malloc(&mut self, size: u64) -> Slot {
        self.make(Request::malloc(size))
    }

    pub fn calloc(&mut self, count: u64, size: u64) -> Slot {
        self.make(Request::new(Call::Calloc, count, size))
    }

    /// Blocks of `size` bytes, `count` of them.
    pub fn mallocs(&mut self, count: usize, size: u64) -> Vec<Slot> {
        (0..count).map(|_| self.malloc(size)).collect()
    }

    pub fn realloc(&mut self, slot: Slot, size: u64) {
        self.push(Call::Realloc, slot, size, 0);
    }

    pub fn reallocarray(&mut self, slot: Slot, count: u64, size: u64) {
        self.push(Call::Reallocarray, slot, count, size);
    }

    pub fn free(&mut self, slot: Slot) {
        self.push(Call::Free, slot, 0, 0);
    }

    pub fn free_all(&mut self, slots: &[Slot]) {
        for &slot in slots {
            self.free(slot);
        }
    }

    /// An operation on a block.
    pub fn on(&mut self, call: Call, slot: Slot) {
        self.push(call, slot, 0, 0);
    }

    /// Asks how large a block is, if the subject can tell.
    pub fn ask(&mut self, kit: &Kit<'_>, slot: Slot) {
        if kit.has(Call::UsableSize) {
            self.on(Call::UsableSize, slot);
        }
    }

    /// An operation without a block.
    pub fn direct(&mut self, call: Call, a: u64, b: u64) {
        self.push(call, NO_SLOT, a, b);
    }

    /// What follows is done by the thread of this number.
    pub fn thread(&mut self, number: u64) {
        self.direct(Call::Thread, number, 0);
    }

    /// What follows is done by the main thread, when the others have ended.
    pub fn join(&mut self) {
        self.direct(Call::Join, 0, 0);
    }

    /// What follows is done by a destructor of thread-specific data.
    pub fn at_exit(&mut self) {
        self.direct(Call::AtExit, 0, 0);
    }

    /// How the threads to come are let run.
    pub fn schedule(&mut self, schedule: Schedule) {
        let op = schedule.op();
        self.direct(op.call, op.a, op.b);
    }

    /// From here on it runs under these circumstances; the number is 0 where none belongs to them.
    pub fn under(&mut self, condition: Condition, number: u64) {
        self.add(Under { condition, number }.op());
    }

    pub fn sweep(&mut self) {
        self.direct(Call::Sweep, 0, 0);
    }

    pub fn limit(&mut self, bytes: u64) {
        self.direct(Call::Limit, bytes, 0);
    }

    pub fn unlimit(&mut self) {
        self.direct(Call::Limit, 0, 0);
    }

    /// Says what must come of the last operation.
    pub fn expect(&mut self, expect: Expect) {
        if let Some(op) = self.program.ops.last_mut() {
            op.expect = expect;
        }
    }

    /// Where the next operation will be, for [`repeat_from`](Script::repeat_from).
    pub fn here(&self) -> usize {
        self.program.ops.len()
    }

    /// Repeats everything since `start` this many more times.
    pub fn repeat_from(&mut self, start: usize, times: u64) {
        let length = self.here() - start;
        self.direct(Call::Repeat, times, length as u64);
    }

    /// The process must not have grown by more than a generous bound; one that is expected as before, by not much more
    /// than twice as much, since the first has used some of it up.
    pub fn bounded(&mut self, expect: Expect) {
        let bound = match expect {
            Expect::AsBefore => 2 * BOUND + (16 << 20),
            _ => BOUND,
        };
        self.direct(Call::Bounded, bound, 0);
        self.expect(expect);
    }

    /// Passes 4 MiB through one small block, which is more than a small fixed pool has if nothing comes back to it.
    pub fn pass_through(&mut self) {
        let start = self.here();
        let block = self.malloc(4096);
        self.free(block);
        self.repeat_from(start, 1023);
    }

    /// Makes a block of the size of each class and frees it, `count` times each, so that caches are warm.
    pub fn warm(&mut self, kit: &Kit<'_>, count: usize) {
        for &class in &kit.classes {
            let slots = self.mallocs(count, class);
            self.free_all(&slots);
        }
    }
}

/// What is known of the subject that the programs are for.
pub struct Kit<'v> {
    pub vocabulary: &'v Vocabulary,
    /// Sizes at which the subject's size classes end, or are likely to, up to [`LARGEST_CLASS`].
    pub classes: Vec<u64>,
    pub seed: u64,
}

/// Beyond this, sizes are worth trying for other reasons than classes.
const LARGEST_CLASS: u64 = 64 << 10;

/// At most this many classes are tried one by one.
const MOST_CLASSES: usize = 80;

impl<'v> Kit<'v> {
    pub fn new(vocabulary: &'v Vocabulary, seed: u64) -> Kit<'v> {
        let learned = vocabulary.boundaries.iter().copied();
        let mut classes: Vec<u64> = learned
            .filter(|&size| (1..=LARGEST_CLASS).contains(&size))
            .collect();
        if classes.is_empty() {
            classes.extend((1..=8).map(|step| step * 16));
            classes.extend(
                (7..15).flat_map(|power| (5..=8).map(move |quarter| quarter << (power - 2))),
            );
        }
        classes.sort_unstable();
        classes.dedup();
        let every = classes.len().div_ceil(MOST_CLASSES);
        let classes = classes.into_iter().step_by(every).collect();
        Kit {
            vocabulary,
            classes,
            seed,
        }
    }

    pub fn has(&self, call: Call) -> bool {
        self.vocabulary.has(call)
    }

    /// The aligning calls there are.
    pub fn aligning(&self) -> impl Iterator<Item = Call> {
        [Call::AlignedAlloc, Call::PosixMemalign, Call::Memalign]
            .into_iter()
            .filter(|&call| self.has(call))
    }

    /// A block at a multiple of `alignment`, of `size` bytes or, where that is not defined, a few more.
    pub fn aligned(&self, call: Call, alignment: u64, size: u64) -> Request {
        let undefined = call == Call::AlignedAlloc && !self.vocabulary.nonmultiple_sizes;
        let size = if undefined && alignment != 0 {
            size.checked_next_multiple_of(alignment)
                .unwrap_or(size - size % alignment)
        } else {
            size
        };
        Request::new(call, alignment, size)
    }

    /// Every way there is to ask for `size` bytes.
    pub fn requests(&self, size: u64) -> Vec<Request> {
        let mut requests = vec![
            Request::malloc(size),
            Request::new(Call::Calloc, 1, size),
            Request::new(Call::Calloc, size, 1),
            Request::new(Call::Realloc, size, 0),
            Request::new(Call::Reallocarray, 1, size),
            Request::new(Call::Valloc, size, 0),
            Request::new(Call::Pvalloc, size, 0),
        ];
        requests.retain(|request| self.has(request.call));
        requests.extend(self.aligning().map(|call| self.aligned(call, 64, size)));
        requests
    }

    /// Whether a block of `size` bytes may be live together with some others.
    pub fn affords(&self, size: u64) -> bool {
        size <= self.vocabulary.max_live / 2
    }
}
