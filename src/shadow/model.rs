//! The model itself: every live block, and what to do when something about one is wrong.
//!
//! An operation passes through in three steps. [`Shadow::request`] says what to pass; [`Shadow::prepare`] verifies what
//! must be true before the call; the executor makes the call; [`Shadow::settle`] takes the reply and checks everything that must be
//! true of it. The model never calls the subject, so it can be driven by anything that gives replies.

use super::block::Block;
use super::contents::{self, Mismatch, Pattern};
use super::cpython::Books;
use super::ledger::{Choice, Ledger};
use super::occupancy::{ADDRESS_END, Mark, Occupancy, prefetch};
use super::{Evidence, Finding, Moment, Outcome};
use crate::program::{Call, Expect, Op, Program, Slot};
use crate::pymalloc::{Edition, Geometry};
use crate::spec::{RuleId, RuleSet};
use std::cell::Cell;
use std::io;
use std::ops::Range;

/// `errno` before every call: no error has this number.
pub const ERRNO_BEFORE: i32 = 4242;
/// The pointer variable of `posix_memalign` before every call, and the words beside it.
pub const MEMPTR_BEFORE: u64 = 0x5afe_5afe_0000_1110;
/// Bytes of a block that are asked for ahead, after which the processor sees by itself where it goes.
const PREFETCHED: u64 = 512;
/// Bytes of a line of the cache.
const LINE: usize = 64;
/// Blocks verified beside the one at work when looking closely.
const CLOSE_LOOK: usize = 256;

/// Rules already found broken, by the call that broke them: found once is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Muted([u32; RuleId::ALL.len()]);

impl Muted {
    /// Nothing found yet.
    pub const NONE: Muted = Muted([0; RuleId::ALL.len()]);

    /// Mutes a rule for a call.
    pub fn mute(&mut self, rule: RuleId, call: Call) {
        self.0[rule.index()] |= 1 << call as u8;
    }

    /// Takes a mute back.
    pub fn unmute(&mut self, rule: RuleId, call: Call) {
        self.0[rule.index()] &= !(1 << call as u8);
    }

    /// The muted pairs, by the numbers of rule and call.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, u8)> {
        let calls = |(rule, &calls): (usize, &u32)| {
            (0..32)
                .filter(move |call| calls >> call & 1 == 1)
                .map(move |call| (rule as u16, call))
        };
        self.0.iter().enumerate().flat_map(calls)
    }

    /// The set of these pairs; numbers that name nothing are ignored.
    pub fn from_pairs(pairs: &[(u16, u8)]) -> Muted {
        let mut muted = Muted::NONE;
        for &(rule, call) in pairs {
            if let (Some(rule), Some(call)) = (RuleId::from_index(rule.into()), Call::from_u8(call))
            {
                muted.mute(rule, call);
            }
        }
        muted
    }

    /// Whether the rule is muted for the call.
    pub fn contains(&self, rule: RuleId, call: Call) -> bool {
        self.0[rule.index()] >> call as u8 & 1 == 1
    }
}

/// How to look at a run.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// The rules to check.
    pub rules: RuleSet,
    /// Those of them that are known to be broken.
    pub muted: Muted,
    /// Whether to write into blocks and verify what they hold.
    pub stores: bool,
    /// Whether to verify the other blocks around every call, so that the guilty operation is known.
    pub closely: bool,
}

/// Why a run ends before its program does. Small, since every check may answer with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A rule is broken: see [`Shadow::take_finding`].
    Broken,
    /// The subject's state is known to be ruined in a way that was reported before.
    Abandoned,
}

/// The result of a check.
pub type Checked = Result<(), Stop>;

/// What to pass to the subject.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The block before the call; empty for an allocation and for a null pointer.
    pub before: Block,
}

/// What the subject gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply {
    /// The address, usable size or code returned; of `posix_memalign`, the address in its variable.
    pub value: u64,
    /// The value returned by `posix_memalign`.
    pub code: i32,
    /// The word before and the word after the variable of `posix_memalign`.
    pub beside: [u64; 2],
    /// `errno` after the call.
    pub errno: i32,
}

/// The size as which a block is filled when it is resized. A large one is written only in places, so that of what a
/// smaller one keeps neither the end nor, if that is small, the rest would be known.
#[inline(always)]
pub(super) fn filled_for(op: &Op, before: &Block) -> u64 {
    if before.size <= contents::WHOLE || !op.call.reallocates() {
        return before.size;
    }
    op.size().map_or(before.size, |size| before.size.min(size))
}

/// The operation being settled.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub index: usize,
    pub op: &'a Op,
}

/// The shadow of one subject.
pub struct Shadow<'l> {
    pub(super) occupancy: Occupancy,
    pub(super) blocks: Vec<Block>,
    pub(super) ledger: &'l Ledger,
    pub(super) conduct: Conduct,
    /// The numbers of the subject's layout, if it is of CPython's kind.
    pub(super) geometry: Geometry,
    /// The rule the program was made for.
    pub(super) purpose: Option<RuleId>,
    /// Whether the process may map only so much.
    pub(super) limited: bool,
    /// Whether a request failed under a limit.
    pub(super) starved: bool,
    /// Whether the last allocation gave a block.
    pub(super) last_gave: bool,
    /// The requests that are expected as earlier, ascending, and whether each gave a block when last made without a limit.
    earlier: Vec<((Call, u64, u64), bool)>,
    /// Whether the last bound held.
    bound_held: bool,
    /// What is remembered of a subject of CPython's kind.
    pub(super) books: Books,
    /// Addresses of blocks that `realloc(p, 0)` may or may not have freed.
    pub(super) undead: Vec<u64>,
    /// What no block may have.
    reserved: Vec<Range<u64>>,
    live: usize,
    live_bytes: u64,
    born: u64,
    /// What each operation gave last, if anybody wants to know.
    outcomes: Vec<Outcome>,
    /// The rule broken, if one was.
    found: Cell<Option<Finding>>,
}

impl<'l> Shadow<'l> {
    /// The shadow of a subject that has no blocks.
    ///
    /// # Errors
    ///
    /// When address space for the tables cannot be reserved.
    pub fn new(ledger: &'l Ledger, conduct: Conduct) -> io::Result<Shadow<'l>> {
        Ok(Shadow {
            occupancy: Occupancy::new()?,
            blocks: Vec::new(),
            ledger,
            conduct,
            geometry: Edition::USUAL.geometry(),
            purpose: None,
            limited: false,
            starved: false,
            last_gave: true,
            earlier: Vec::new(),
            bound_held: true,
            books: Books::NEW,
            undead: Vec::with_capacity(8),
            reserved: Vec::new(),
            live: 0,
            live_bytes: 0,
            born: 0,
            outcomes: Vec::new(),
            found: Cell::new(None),
        })
    }

    /// The shadow of a subject of CPython's kind that has this layout.
    #[must_use]
    pub fn of_layout(self, geometry: Geometry) -> Shadow<'l> {
        Shadow { geometry, ..self }
    }

    /// Takes memory for what no block may have: these ranges, and the model's own tables.
    pub fn reserve(&mut self, ranges: &[Range<u64>]) {
        self.reserved.extend_from_slice(ranges);
        self.reserved.extend(self.occupancy.place());
        for range in &self.reserved {
            // Two of them may meet in a page.
            let _ = self.occupancy.mark(range.start, range.end - range.start);
        }
    }

    /// Makes ready for a program: all memory that running it takes is allocated here.
    pub fn begin(&mut self, program: &Program) {
        self.purpose = program.rule;
        self.starved = false;
        let slots = program
            .ops
            .iter()
            .map(|op| op.slot.wrapping_add(1))
            .max()
            .unwrap_or(0);
        self.blocks.clear();
        self.blocks.resize(slots as usize, Block::empty());
        let as_earlier = program
            .ops
            .iter()
            .filter(|op| op.expect == Expect::AsEarlier);
        self.earlier.clear();
        self.earlier
            .extend(as_earlier.map(|op| ((op.call, op.a, op.b), false)));
        self.earlier.sort_unstable();
        self.earlier.dedup();
        self.outcomes.clear();
        if self.conduct.closely {
            self.outcomes.resize(program.ops.len(), Outcome::default());
        }
    }

    /// Forgets all blocks and whatever else is known of the subject, which is as good as new.
    ///
    /// Not after a block was found to be in the place of another: where the two lay is not known to be free then.
    pub fn reset(&mut self) {
        for block in self.blocks.drain(..).filter(Block::is_live) {
            self.occupancy.clear(block.address, block.extent());
        }
        self.limited = false;
        self.last_gave = true;
        self.bound_held = true;
        self.books = Books::NEW;
        self.undead.clear();
        self.live = 0;
        self.live_bytes = 0;
        self.born = 0;
    }

    /// How it looks at runs.
    pub fn conduct(&self) -> Conduct {
        self.conduct
    }

    /// Bytes that the model itself has taken since it was made, roughly.
    pub fn own_bytes(&self) -> u64 {
        self.occupancy.own_bytes()
    }

    /// Blocks that are live.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Bytes in live blocks.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// What was found when a check last answered [`Stop::Broken`].
    pub fn take_finding(&self) -> Option<Finding> {
        self.found.take()
    }

    /// What each operation gave so far; empty unless looking closely.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The live blocks, by slot.
    pub fn live_blocks(&self) -> impl Iterator<Item = (Slot, &Block)> {
        (0..).zip(&self.blocks).filter(|(_, block)| block.is_live())
    }

    /// The block in a slot.
    #[inline(always)]
    pub fn block(&self, slot: Slot) -> Block {
        match self.blocks.get(slot as usize) {
            Some(block) => *block,
            None => Block::empty(),
        }
    }

    /// Whether an operation has nothing to work on, because the allocation into its slot failed.
    #[inline]
    pub fn idle(&self, op: &Op) -> bool {
        let block = self.blocks.get(op.slot as usize);
        block.is_some_and(|block| block.failed) && !op.call.allocates()
    }

    /// Skips an operation that cannot be made, keeping the slots as the program means them.
    pub fn skip(&mut self, op: &Op) {
        if let Some(block) = self.blocks.get_mut(op.slot as usize) {
            block.failed = (op.call.allocates() || op.call.reallocates()) && !block.is_live();
        }
    }

    /// What an operation works on.
    #[inline(always)]
    pub fn request(&self, op: &Op) -> Request {
        Request {
            before: self.block(op.slot),
        }
    }

    /// Verifies what must be true before the call.
    ///
    /// # Errors
    ///
    /// A finding, or that the state is ruined.
    pub fn prepare(&mut self, index: usize, op: &Op, request: &Request) -> Checked {
        let at = At { index, op };
        let before = &request.before;
        if before.is_live() {
            if op.call.frees() || op.call.reallocates() {
                self.verify(at, op.slot, before, RuleId::ContentStable)?;
                let filled = filled_for(op, before);
                if filled != before.size {
                    self.write(&before.holding(filled), 0);
                }
                if op.call.reallocates() && self.conduct.closely {
                    self.verify_others(at, RuleId::ContentStable)?;
                }
                self.occupancy.clear(before.address, before.extent());
                self.ledger.resizing(before.address, before.size);
            } else if op.call == Call::Stretch {
                self.verify(at, op.slot, before, RuleId::ContentStable)?;
            }
        }
        Ok(())
    }

    /// Brings into the cache what operations to come will look at: of one far ahead the slot, of one that is near the
    /// block in it. With many blocks live, most of the time would be spent waiting for them.
    #[inline]
    pub fn look_ahead(&self, far: &Op, near: &Op) {
        prefetch(self.blocks.as_ptr().wrapping_add(far.slot as usize));
        if let Some(block) = self
            .blocks
            .get(near.slot as usize)
            .filter(|block| block.is_live())
        {
            for line in (0..block.size.min(PREFETCHED)).step_by(LINE) {
                prefetch(block.pointer().wrapping_add(line as usize));
            }
            self.occupancy.prefetch(block.address);
        }
    }

    /// Checks everything that must be true of a reply.
    ///
    /// # Errors
    ///
    /// A finding, or that the state is ruined.
    pub fn settle(&mut self, index: usize, op: &Op, request: &Request, reply: &Reply) -> Checked {
        // A copy for each of the calls that programs are full of: most of what is asked about a call is answered then
        // when this is compiled.
        match op.call {
            Call::Malloc => self.settle_call(Call::Malloc, index, op, request, reply),
            Call::Calloc => self.settle_call(Call::Calloc, index, op, request, reply),
            Call::Realloc => self.settle_call(Call::Realloc, index, op, request, reply),
            Call::Free => self.settle_call(Call::Free, index, op, request, reply),
            call => self.settle_call(call, index, op, request, reply),
        }
    }

    #[inline(always)]
    fn settle_call(
        &mut self,
        call: Call,
        index: usize,
        op: &Op,
        request: &Request,
        reply: &Reply,
    ) -> Checked {
        let op = Op { call, ..*op };
        let at = At { index, op: &op };
        if self.conduct.closely {
            let errno = (reply.errno != ERRNO_BEFORE).then_some(reply.errno);
            let value = if reply.code == 0 {
                reply.value
            } else {
                i64::from(reply.code).cast_unsigned()
            };
            self.outcomes[index] = Outcome { value, errno };
        }
        self.ledger.count(RuleId::CallReturns);
        self.ledger.count(RuleId::ErrnoNeverZeroed);
        if reply.errno == 0 {
            self.broken(
                at,
                RuleId::ErrnoNeverZeroed,
                Evidence::Errno {
                    before: ERRNO_BEFORE,
                    after: 0,
                    wanted: None,
                },
            )?;
        }
        match op.call {
            call if call.allocates() => self.settle_allocation(at, reply),
            call if call.reallocates() => self.settle_reallocation(at, &request.before, reply),
            call if call.frees() => self.settle_release(at, &request.before, reply),
            Call::UsableSize => {
                self.settle_usable(at, &request.before, reply)?;
                self.verify_all_closely(at)
            }
            Call::Stretch => {
                self.settle_stretch(at, &request.before, reply)?;
                self.verify_all_closely(at)
            }
            _ => self.verify_all_closely(at),
        }
    }

    /// After a call that is about no contents at all.
    fn verify_all_closely(&self, at: At) -> Checked {
        if !self.conduct.closely {
            return Ok(());
        }
        let block = self.block(at.op.slot);
        if block.is_live() {
            self.verify(at, at.op.slot, &block, RuleId::ContentStable)?;
        }
        self.verify_others(at, RuleId::ContentStable)
    }

    /// Verifies the contents of every live block.
    ///
    /// # Errors
    ///
    /// The first block that does not hold what was stored.
    pub fn sweep(&mut self, index: usize, op: &Op) -> Checked {
        let at = At { index, op };
        for slot in 0..self.blocks.len() {
            let block = self.blocks[slot];
            if block.is_live() {
                self.verify(at, slot as Slot, &block, RuleId::ContentStable)?;
            }
        }
        Ok(())
    }

    /// Says whether the process is under a limit from here on.
    pub fn limit(&mut self, limited: bool) {
        self.limited = limited;
    }

    /// Checks the growth of the process against what the program allows.
    ///
    /// That memory is lost where blocks are only made and freed is no fault of what the program was made for, so a bound
    /// is blamed on that only where one before it held.
    ///
    /// # Errors
    ///
    /// When it is more.
    pub fn bounded(&mut self, index: usize, op: &Op, growth: u64) -> Checked {
        let rule = match (op.expect, self.purpose) {
            (Expect::AsBefore, Some(_)) if !self.bound_held => return Ok(()),
            (Expect::AsBefore, Some(purpose)) => purpose,
            _ => RuleId::FreeMakesAvailable,
        };
        self.ledger.count(rule);
        self.bound_held = growth <= op.a;
        if !self.bound_held {
            let evidence = Evidence::Growth {
                bytes: growth,
                allowed: op.a,
            };
            self.broken(At { index, op }, rule, evidence)?;
        }
        Ok(())
    }

    /// A rule is broken in a way that leaves the subject usable.
    #[cold]
    pub(super) fn broken(&self, at: At, rule: RuleId, evidence: Evidence) -> Checked {
        let wanted = self.conduct.rules.contains(rule);
        if !wanted || self.conduct.muted.contains(rule, at.op.call) {
            return Ok(());
        }
        self.found.set(Some(Finding {
            rule,
            op_index: at.index,
            evidence,
        }));
        Err(Stop::Broken)
    }

    /// A rule is broken in a way that makes everything after it meaningless.
    #[cold]
    pub(super) fn ruined(&self, at: At, rule: RuleId, evidence: Evidence) -> Checked {
        self.broken(at, rule, evidence).and(Err(Stop::Abandoned))
    }

    /// The first of these rules that is being checked; the last if none is.
    pub(super) fn first_checked(&self, rules: &[RuleId]) -> RuleId {
        let checked = rules
            .iter()
            .find(|&&rule| self.conduct.rules.contains(rule));
        *checked
            .or(rules.last())
            .expect("a list of rules to choose from is not empty")
    }

    /// Verifies what a block holds.
    #[inline(always)]
    pub(super) fn verify(&self, at: At, slot: Slot, block: &Block, rule: RuleId) -> Checked {
        self.verify_prefix(at, slot, block, block.size, block.size, rule)
    }

    /// Verifies the first `length` bytes of a block that was filled as one of `filled` bytes.
    #[inline(always)]
    pub(super) fn verify_prefix(
        &self,
        at: At,
        slot: Slot,
        block: &Block,
        length: u64,
        filled: u64,
        rule: RuleId,
    ) -> Checked {
        // SAFETY: the subject says that these bytes belong to the block; if they cannot be read, the fault is the
        // subject's and the worker's death is the finding.
        self.verify_by(at, slot, block, rule, || unsafe {
            block.pattern.verify(block.pointer(), length, filled)
        })
    }

    /// Verifies the end of a large block, of which the bytes up to offset `from` hold something else.
    pub(super) fn verify_tail(
        &self,
        at: At,
        slot: Slot,
        block: &Block,
        from: u64,
        rule: RuleId,
    ) -> Checked {
        // SAFETY: as in `verify_prefix`.
        self.verify_by(at, slot, block, rule, || unsafe {
            block.pattern.verify_tail(block.pointer(), from, block.size)
        })
    }

    #[inline(always)]
    fn verify_by(
        &self,
        at: At,
        slot: Slot,
        block: &Block,
        rule: RuleId,
        verify: impl FnOnce() -> Result<(), Mismatch>,
    ) -> Checked {
        if !self.conduct.stores {
            return Ok(());
        }
        self.ledger.count(rule);
        self.ledger.enter(Moment::Verify);
        let result = verify();
        self.ledger.enter(Moment::Idle);
        match result {
            Ok(()) => Ok(()),
            Err(mismatch) => self.damaged(at, slot, *block, rule, mismatch),
        }
    }

    #[cold]
    fn damaged(
        &self,
        at: At,
        slot: Slot,
        block: Block,
        rule: RuleId,
        mismatch: Mismatch,
    ) -> Checked {
        let beyond = mismatch.offset >= block.requested && block.requested < block.size;
        let rule = if beyond { RuleId::UsableWritable } else { rule };
        self.ruined(
            at,
            rule,
            Evidence::Contents {
                slot,
                address: block.address,
                size: block.size,
                offset: mismatch.offset,
                stored: mismatch.stored,
                found: mismatch.found,
            },
        )
    }

    /// Verifies live blocks other than the one at work; with many live, a few of them in turn, and of large ones the
    /// ends: this is done after every operation.
    pub(super) fn verify_others(&self, at: At, rule: RuleId) -> Checked {
        let slots = self.blocks.len();
        let start = if slots <= CLOSE_LOOK {
            0
        } else {
            at.index * CLOSE_LOOK % slots
        };
        for slot in (0..slots.min(CLOSE_LOOK)).map(|step| (start + step) % slots) {
            let block = self.blocks[slot];
            if block.is_live() && slot != at.op.slot as usize {
                // SAFETY: as in `verify_prefix`.
                self.verify_by(at, slot as Slot, &block, rule, || unsafe {
                    block.pattern.verify_ends(block.pointer(), block.size)
                })?;
            }
        }
        Ok(())
    }

    /// Marks the place of a new or resized block, which must be free.
    #[inline(always)]
    pub(super) fn place(&mut self, at: At, block: &Block) -> Checked {
        let rule = RuleId::AllocNonnullUsable;
        let end = block.address.checked_add(block.extent());
        if end.is_none_or(|end| end > ADDRESS_END) {
            return self.ruined(
                at,
                rule,
                Evidence::BadAddress {
                    address: block.address,
                },
            );
        }
        self.ledger.count(RuleId::Disjoint);
        self.ledger.count(RuleId::DistinctNonzero);
        if self.occupancy.mark(block.address, block.extent()) == Mark::Taken {
            self.examine_overlap(at, *block)?;
        }
        if !self.undead.is_empty() && self.undead.contains(&block.address) {
            self.ledger.note(Choice::ReallocZeroFreed);
        }
        Ok(())
    }

    /// Enters a block whose place is marked, and writes it from offset `from` on.
    #[inline(always)]
    pub(super) fn enlist(&mut self, slot: Slot, mut block: Block, from: u64) {
        if block.pattern == Pattern::NONE {
            self.born += 1;
            block.pattern = Pattern::of(self.born);
        }
        self.write(&block, from);
        self.live += 1;
        self.live_bytes += block.size;
        self.blocks[slot as usize] = block;
    }

    /// Fills a block from offset `from` on.
    #[inline(always)]
    pub(super) fn write(&self, block: &Block, from: u64) {
        if self.conduct.stores {
            self.ledger.count(RuleId::AllocNonnullUsable);
            self.ledger.enter(Moment::Touch);
            // SAFETY: as in `verify_prefix`: the bytes are the block's by the subject's word.
            unsafe { block.pattern.fill(block.pointer(), from, block.size) };
            self.ledger.enter(Moment::Idle);
        }
    }

    /// Takes a block out of the books.
    #[inline(always)]
    pub(super) fn dismiss(&mut self, slot: Slot, failed: bool) {
        let block = &mut self.blocks[slot as usize];
        if block.is_live() {
            self.live -= 1;
            self.live_bytes -= block.size;
        }
        *block = Block {
            failed,
            ..Block::empty()
        };
    }

    /// A mark was taken: either two blocks overlap, or they lie side by side in one granule.
    #[cold]
    fn examine_overlap(&mut self, at: At, block: Block) -> Checked {
        let end = block.address + block.extent();
        let overlaps = |range: &&Range<u64>| range.start < end && block.address < range.end;
        if let Some(range) = self.reserved.iter().find(overlaps) {
            let evidence = Evidence::Foreign {
                address: block.address,
                size: block.size,
                other: range.start,
            };
            return self.ruined(at, RuleId::Disjoint, evidence);
        }
        let at_work = at.op.slot as usize;
        let others = self
            .blocks
            .iter()
            .enumerate()
            .filter(|&(slot, other)| slot != at_work && other.is_live());
        let (mut first_shared, mut last_shared) = (false, false);
        let granule = |address: u64| address >> 3;
        let (first, last) = (
            granule(block.address),
            granule(block.address + block.extent() - 1),
        );
        let mut culprit = None;
        for (slot, other) in others {
            if block.overlaps(other) {
                culprit = Some((slot as Slot, *other));
                break;
            }
            let ends = [
                granule(other.address),
                granule(other.address + other.extent() - 1),
            ];
            first_shared |= ends.contains(&first);
            last_shared |= ends.contains(&last);
        }
        match culprit {
            Some((slot, other)) => {
                let rule = self.overlap_rule(at, &block, &other);
                self.ruined(
                    at,
                    rule,
                    Evidence::Overlap {
                        address: block.address,
                        size: block.size,
                        other: slot,
                        other_address: other.address,
                        other_size: other.size,
                    },
                )
            }
            None => {
                self.occupancy
                    .share(block.address, block.extent(), first_shared, last_shared);
                Ok(())
            }
        }
    }

    /// Whether the same request gave a block when it was last made without a limit.
    fn gave_earlier(&self, op: &Op) -> bool {
        let request = (op.call, op.a, op.b);
        let found = self
            .earlier
            .binary_search_by_key(&request, |&(request, _)| request);
        found.is_ok_and(|index| self.earlier[index].1)
    }

    /// Remembers what came of a request that is expected to do as well later.
    fn remember(&mut self, op: &Op, gave: bool) {
        if self.limited {
            return;
        }
        let request = (op.call, op.a, op.b);
        let found = self
            .earlier
            .binary_search_by_key(&request, |&(request, _)| request);
        if let Ok(index) = found {
            self.earlier[index].1 = gave;
        }
    }

    /// Checks what the program itself expects of a call that returns a block: in most programs nothing.
    #[inline(always)]
    pub(super) fn check_expectation(&mut self, at: At, before: u64, address: u64) -> Checked {
        if at.op.expect != Expect::Any || !self.earlier.is_empty() {
            return self.check_expected(at, before, address);
        }
        self.last_gave = address != 0;
        Ok(())
    }

    #[cold]
    fn check_expected(&mut self, at: At, before: u64, address: u64) -> Checked {
        let expect = at.op.expect;
        let as_before = match expect {
            Expect::AsBefore => self.last_gave,
            Expect::AsEarlier => self.gave_earlier(at.op),
            _ => false,
        };
        let evidence = match (expect, address) {
            (Expect::Null, 1..) => Some(Evidence::UnexpectedPointer { address }),
            (Expect::Pointer, 0) => Some(Evidence::UnexpectedNull),
            (Expect::AsBefore | Expect::AsEarlier, 0) if as_before => {
                Some(Evidence::UnexpectedNull)
            }
            (Expect::SamePointer, _) if address != before => Some(Evidence::Moved {
                from: before,
                to: address,
            }),
            (Expect::OtherPointer, _) if address == before => Some(Evidence::Moved {
                from: before,
                to: address,
            }),
            _ => None,
        };
        let rule = self.purpose.unwrap_or(RuleId::AllocNonnullUsable);
        let vacuous = matches!(expect, Expect::AsBefore | Expect::AsEarlier) && !as_before;
        if expect != Expect::Any && !vacuous {
            self.ledger.count(rule);
        }
        self.last_gave = address != 0;
        self.remember(at.op, address != 0);
        match evidence {
            Some(evidence) => self.broken(at, rule, evidence),
            None => Ok(()),
        }
    }
}
