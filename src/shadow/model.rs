//! The model itself: every live block, and what to do when something about one is wrong.
//!
//! An operation passes through in three steps. [`Shadow::request`] says what to pass; [`Shadow::prepare`] verifies what
//! must be true before the call; the executor makes the call; [`Shadow::settle`] takes the reply and checks everything that must be
//! true of it. The model never calls the subject, so it can be driven by anything that gives replies.

use super::block::{Block, Line};
use super::conduct::Conduct;
use super::cpython::Books;
use super::holding::filled_for;
use super::ledger::Ledger;
use super::occupancy::{Occupancy, prefetch};
use super::threads::Common;
use super::{Evidence, Finding, Outcome};
use crate::program::{Call, Expect, Op, Program, Slot, TOLD};
use crate::pymalloc::{Edition, Geometry};
use crate::spec::RuleId;
use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

/// `errno` before every call: no error has this number.
pub const ERRNO_BEFORE: i32 = 4242;
/// The pointer variable of `posix_memalign` before every call, and the words beside it.
pub const MEMPTR_BEFORE: u64 = 0x5afe_5afe_0000_1110;
/// Bytes of a line of the cache.
const LINE: u64 = 64;
/// Lines of a block that are asked for ahead, after which the processor sees by itself where it goes.
const LINES_AHEAD: u64 = 4;

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
    /// What the call threw instead of returning.
    pub thrown: Option<Thrown>,
    /// `errno` after the call.
    pub errno: i32,
    /// Whether a system call failed on purpose while the call was at work.
    pub hampered: bool,
    /// What has become of the new handler, if the program has installed one.
    pub handler: Option<HandlerState>,
}

/// A new handler after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerState {
    /// How often it has been called since it was installed.
    pub calls: u32,
    /// Whether it is still the handler.
    pub is_set: bool,
}

/// An exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thrown {
    /// `std::bad_alloc`, or a class that has it for its base.
    BadAlloc,
    /// Any other; the name of its type, as the C++ ABI has it.
    Other(&'static CStr),
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
    /// What it has in common with the shadows of other threads, if the program has any.
    pub(super) common: Option<Arc<Common>>,
    pub(super) blocks: Vec<Line>,
    pub(super) ledger: &'l Ledger,
    pub(super) conduct: Conduct,
    /// The numbers of the subject's layout, if it is of CPython's kind.
    pub(super) geometry: Geometry,
    /// The rule the program was made for.
    pub(super) purpose: Option<RuleId>,
    /// Whether the process may map only so much.
    limited: bool,
    /// Whether system calls fail on purpose.
    failing: bool,
    /// Whether a request failed under a limit, or a system call on purpose.
    pub(super) starved: bool,
    /// Whether the last allocation gave a block.
    pub(super) last_gave: bool,
    /// The requests that are expected as earlier, ascending, and whether each gave a block when last made without a limit.
    pub(super) earlier: Vec<((Call, u64, u64), bool)>,
    /// Whether the last bound held.
    pub(super) bound_held: bool,
    /// What is remembered of a subject of CPython's kind.
    pub(super) books: Books,
    /// Addresses of blocks that `realloc(p, 0)` may or may not have freed.
    pub(super) undead: Vec<u64>,
    /// What no block may have.
    pub(super) reserved: Vec<Range<u64>>,
    pub(super) live: usize,
    pub(super) live_bytes: u64,
    pub(super) born: u64,
    /// Bytes of all blocks that ever were.
    pub(super) handed_out: u64,
    /// The rules about the circumstances of operations, by position.
    circumstances: Vec<(usize, RuleId)>,
    /// The thread that it is of, 0 for the main one.
    pub(super) thread: u32,
    /// What each operation gave last, if anybody wants to know.
    pub(super) outcomes: Vec<Outcome>,
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
        Ok(Shadow::with(Occupancy::new()?, ledger, conduct))
    }

    pub(super) fn with(occupancy: Occupancy, ledger: &'l Ledger, conduct: Conduct) -> Shadow<'l> {
        Shadow {
            occupancy,
            common: None,
            blocks: Vec::new(),
            ledger,
            conduct,
            geometry: Edition::USUAL.geometry(),
            purpose: None,
            limited: false,
            failing: false,
            starved: false,
            last_gave: true,
            earlier: Vec::new(),
            bound_held: false,
            books: Books::NEW,
            undead: Vec::with_capacity(8),
            reserved: Vec::new(),
            live: 0,
            live_bytes: 0,
            born: 0,
            handed_out: 0,
            circumstances: Vec::new(),
            thread: 0,
            outcomes: Vec::new(),
            found: Cell::new(None),
        }
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
        self.purpose = match program.makes(Call::Steady) {
            true => Some(program.rule_of_growth()),
            false => program.rule,
        };
        self.circumstances = program.circumstances();
        self.starved = false;
        let slots = program
            .ops
            .iter()
            .map(|op| op.slot.wrapping_add(1))
            .max()
            .unwrap_or(0);
        self.blocks.clear();
        self.blocks.resize(slots as usize, Line(Block::empty()));
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
        self.begin_threads(program);
    }

    /// Forgets all blocks and whatever else is known of the subject, which is as good as new.
    ///
    /// Not after a block was found to be in the place of another: where the two lay is not known to be free then.
    pub fn reset(&mut self) {
        for block in self.blocks.drain(..).filter(|block| block.is_live()) {
            self.occupancy.clear(block.address, block.extent());
        }
        self.common = None;
        self.limited = false;
        self.failing = false;
        self.last_gave = true;
        self.bound_held = false;
        self.books = Books::NEW;
        self.undead.clear();
        self.live = 0;
        self.live_bytes = 0;
        self.born = 0;
        self.handed_out = 0;
    }

    /// The rule that the program was made for; of one that judges growth, the rule that growth breaks.
    pub fn purpose(&self) -> Option<RuleId> {
        self.purpose
    }

    /// How it looks at runs.
    pub fn conduct(&self) -> Conduct {
        self.conduct
    }

    /// Bytes of memory that the model's table takes now.
    pub fn own_bytes(&self) -> u64 {
        self.occupancy.own_bytes()
    }

    /// Bytes of all blocks that ever were.
    pub fn handed_out(&self) -> u64 {
        self.handed_out
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

    /// Takes what another shadow found for its own.
    pub fn adopt(&self, finding: Finding) {
        self.found.set(Some(finding));
    }

    /// What each operation gave so far; empty unless looking closely.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The live blocks, by slot.
    pub fn live_blocks(&self) -> impl Iterator<Item = (Slot, &Block)> {
        let blocks = self.blocks.iter().map(|line| &line.0);
        (0..).zip(blocks).filter(|(_, block)| block.is_live())
    }

    /// The block in a slot.
    #[inline(always)]
    pub fn block(&self, slot: Slot) -> Block {
        match self.blocks.get(slot as usize) {
            Some(line) => line.0,
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
    #[inline(always)]
    pub fn prepare(&mut self, index: usize, op: &Op, request: &Request) -> Checked {
        let at = At { index, op };
        let before = &request.before;
        if before.is_live() {
            if op.call.frees() || op.call.reallocates() {
                if before.thread != self.thread {
                    self.ledger.count(RuleId::XthreadFree);
                }
                self.verify(at, op.slot, before, RuleId::ContentStable)?;
                let filled = filled_for(op, before);
                if filled != before.size {
                    self.write(&before.holding(filled), 0);
                }
                if op.call.reallocates() && self.conduct.closely {
                    self.verify_others(at, RuleId::ContentStable)?;
                }
                self.vacate(op.slot, before);
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
        let Some(block) = self.blocks.get(near.slot as usize) else {
            return;
        };
        // No branches: which way they go nobody can foresee, and a wrong guess costs more than asking twice for a line.
        let place = match block.is_live() {
            true => block.pointer().cast_const(),
            false => ptr::from_ref(block).cast(),
        };
        let last = block.size.saturating_sub(1);
        for line in 0..LINES_AHEAD {
            prefetch(place.wrapping_add(last.min(line * LINE) as usize));
        }
        self.occupancy.prefetch(block.address);
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
            self.outcomes[index] = Outcome {
                made: true,
                value,
                errno,
                thrown: reply.thrown.is_some(),
            };
        }
        self.starved |= reply.hampered;
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

    /// Says whether the process is under a limit from here on.
    pub fn limit(&mut self, limited: bool) {
        self.limited = limited;
    }

    /// Says whether system calls fail on purpose from here on.
    pub fn fail_system_calls(&mut self, failing: bool) {
        self.failing = failing;
    }

    /// Whether a request may fail that would not otherwise.
    pub(super) fn is_short(&self) -> bool {
        self.limited || self.failing
    }

    /// A rule is broken in a way that leaves the subject usable.
    #[cold]
    pub(super) fn broken(&self, at: At, rule: RuleId, evidence: Evidence) -> Checked {
        let is_known = |rule| self.conduct.muted.contains(rule, at.op.call);
        let blamed = match evidence.is_breakdown() {
            true => self.blamed(at.index, rule),
            false => rule,
        };
        if !self.conduct.rules.contains(blamed) || is_known(rule) || is_known(blamed) {
            return Ok(());
        }
        let rule = blamed;
        self.found.set(Some(Finding {
            rule,
            op_index: at.index,
            evidence,
        }));
        Err(Stop::Broken)
    }

    /// The rule about the circumstances of an operation, if it is checked: what breaks there may not break elsewhere.
    fn blamed(&self, index: usize, rule: RuleId) -> RuleId {
        let before = |&&(at, _): &&(usize, RuleId)| at <= index;
        let latest = self.circumstances.iter().take_while(before).last();
        match latest {
            Some(&(_, blamed)) if self.conduct.rules.contains(blamed) => blamed,
            _ => rule,
        }
    }

    /// Counts exercises of the rule about the circumstances of the operation at `index`, if there is one.
    pub fn count_circumstance(&self, index: usize) {
        let before = |&&(at, _): &&(usize, RuleId)| at <= index;
        if let Some(&(_, rule)) = self.circumstances.iter().take_while(before).last() {
            self.ledger.count(rule);
        }
    }

    /// A rule is broken in a way that makes everything after it meaningless.
    #[cold]
    pub(super) fn ruined(&self, at: At, rule: RuleId, evidence: Evidence) -> Checked {
        let rule = match self.purpose.filter(|rule| TOLD.contains(rule)) {
            Some(purpose) => self.first_checked(&[rule, purpose]),
            None => rule,
        };
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
}
