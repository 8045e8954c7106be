//! From operations to statements: what each slot holds is followed along, so that every statement says what it means
//! in numbers.

use super::functions::Function;
use super::helpers::Need;
use super::life;
use crate::program::{Call, Failing, NO_SLOT, Op, Slot, Syscall, Which};
use crate::report::evidence::gave_block;
use crate::shadow::Case;
use std::collections::{BTreeSet, HashMap};

/// With more slots than these, or with loops over slots, they are an array.
const NAMED_SLOTS: usize = 12;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// Nothing, since the allocator did not supply it; operations on the slot are skipped.
    Refused,
    /// A block.
    Block(Block),
}

/// A block in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Bytes requested.
    pub size: u64,
    /// Whether it was stretched to its usable size, which only the running program knows.
    pub stretched: bool,
    /// The alignment requested, or 0.
    pub alignment: u64,
    /// What made it.
    pub maker: Call,
    /// The byte value stored in it.
    pub byte: u8,
}

/// Operations on their way to being C.
pub struct Translator<'a> {
    pub(super) case: &'a Case,
    pub(super) held: HashMap<Slot, Held>,
    /// What the parent has while a child is at work.
    pub(super) at_fork: Option<HashMap<Slot, Held>>,
    array: bool,
    /// The number of slots.
    slots: u32,
    /// The slots whose usable size is kept.
    pub(super) usable_slots: BTreeSet<Slot>,
    pub(super) needs: BTreeSet<Need>,
    pub(super) functions: Vec<Function>,
    lines: Vec<String>,
    depth: usize,
}

impl<'a> Translator<'a> {
    /// Nothing translated yet.
    pub fn new(case: &'a Case, has_runs: bool) -> Translator<'a> {
        let used: BTreeSet<Slot> = case
            .program
            .ops
            .iter()
            .map(|op| op.slot)
            .filter(|&slot| slot != NO_SLOT)
            .collect();
        Translator {
            case,
            held: HashMap::new(),
            at_fork: None,
            array: has_runs || used.len() > NAMED_SLOTS,
            slots: used.last().map_or(0, |slot| slot + 1),
            usable_slots: BTreeSet::new(),
            needs: BTreeSet::new(),
            functions: Vec::new(),
            lines: Vec::new(),
            depth: 1,
        }
    }

    /// Keeps the usable size of this slot's block if the program asks for it before the guilty operation.
    pub fn keep_usable_of(&mut self, slot: Slot) {
        let before = &self.case.program.ops[..self.case.finding.op_index];
        if before
            .iter()
            .any(|op| op.slot == slot && op.call == Call::UsableSize)
        {
            self.usable_slots.insert(slot);
        }
    }

    /// Keeps in `given` whether the allocation just added gave a block.
    pub fn remember_whether_given(&mut self, op: &Op) {
        self.need(Need::Given);
        let variable = self.variable(op.slot);
        self.line(format!("given = {variable} != NULL;"));
    }

    /// Whether operations that differ only in their slots also do the same to them.
    pub fn is_uniform(&self, first: usize, ops: &[Op]) -> bool {
        let does = |(offset, op): (usize, &Op)| {
            let held = match self.held(op.slot) {
                Held::Block(block) => Held::Block(Block { byte: 0, ..block }),
                other => other,
            };
            let makes = op.call.allocates() || op.call.reallocates();
            (held, makes && self.succeeds(first + offset, op))
        };
        let mut all = ops.iter().enumerate().map(does);
        let Some(one) = all.next() else { return true };
        all.all(|other| other == one)
    }

    /// The statements so far.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Takes the statements so far away.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// The variables that hold the slots, those that occur in a statement.
    pub fn slot_variables(&self) -> String {
        if self.array {
            let usable = match self.usable_slots.is_empty() {
                true => "",
                false => "static size_t n[SLOTS];\n",
            };
            let slots = self.slots;
            return format!("enum {{ SLOTS = {slots} }};\nstatic void *p[SLOTS];\n{usable}");
        }
        let mut text = String::new();
        for slot in (0..self.slots).filter(|slot| self.mentions(&format!("p{slot}"))) {
            text.push_str(&format!("static void *p{slot};\n"));
        }
        for slot in &self.usable_slots {
            text.push_str(&format!("static size_t n{slot};\n"));
        }
        text
    }

    /// Whether a name occurs in a statement.
    pub fn mentions(&self, name: &str) -> bool {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.lines.iter().any(|line| {
            // Not in what is only said.
            let code = line.split('"').step_by(2);
            code.flat_map(|code| code.split(|c| !is_word(c)))
                .any(|word| word == name)
        })
    }

    /// Adds a statement.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.lines
            .push(format!("{:1$}{2}", "", self.depth * 4, text.as_ref()));
    }

    /// Adds the start of a block of statements.
    pub fn open(&mut self, text: impl AsRef<str>) {
        self.line(format!("{} {{", text.as_ref()));
        self.depth += 1;
    }

    /// Adds its end.
    pub fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    /// Whether what is added now is repeated.
    pub fn in_loop(&self) -> bool {
        self.depth > 1
    }

    /// Says that the program needs something, and what that needs.
    pub fn need(&mut self, need: Need) {
        self.needs.insert(need);
        for &other in need.needs() {
            self.need(other);
        }
    }

    /// What the slot holds.
    pub fn held(&self, slot: Slot) -> Held {
        self.held.get(&slot).copied().unwrap_or(Held::Nothing)
    }

    /// The block in the slot.
    pub fn block(&self, slot: Slot) -> Option<Block> {
        match self.held(slot) {
            Held::Block(block) => Some(block),
            Held::Nothing | Held::Refused => None,
        }
    }

    /// The slots that hold a block.
    pub fn live_slots(&self) -> BTreeSet<Slot> {
        let live = |(&slot, held): (&Slot, &Held)| matches!(held, Held::Block(_)).then_some(slot);
        self.held.iter().filter_map(live).collect()
    }

    /// The variable of the slot.
    pub fn variable(&self, slot: Slot) -> String {
        match slot {
            NO_SLOT => "NULL".into(),
            _ if self.array => format!("p[{slot}]"),
            _ => format!("p{slot}"),
        }
    }

    /// The variable that holds the usable size of the slot's block.
    pub fn usable_variable(&mut self, slot: Slot) -> String {
        self.usable_slots.insert(slot);
        if self.array {
            format!("n[{slot}]")
        } else {
            format!("n{slot}")
        }
    }

    /// The bytes of a block that are filled: those requested, or all usable ones if it was stretched.
    pub fn extent(&mut self, slot: Slot, block: Block) -> String {
        if block.stretched {
            self.usable_variable(slot)
        } else {
            number(block.size)
        }
    }

    /// The call as a C expression; `None` for what only the harness does.
    pub fn call(&mut self, op: &Op) -> Option<String> {
        let variable = self.variable(op.slot);
        self.call_on(op, &variable)
    }

    /// Has the function of this name declared; `None` if there is none.
    pub fn use_function(&mut self, name: &str) -> Option<()> {
        let function = Function::named(name)?;
        if !self.functions.contains(&function) {
            self.functions.push(function);
        }
        Some(())
    }

    /// The same with another expression for the slot.
    fn call_on(&mut self, op: &Op, variable: &str) -> Option<String> {
        let mut name = op.call.entry_point()?;
        if self
            .block(op.slot)
            .is_some_and(|block| !may_be_sized(op.call, block))
        {
            name = "free";
        }
        self.use_function(name)?;
        let (a, b) = (number(op.a), number(op.b));
        let block = self.block(op.slot);
        let arguments = match op.call {
            Call::Malloc | Call::Valloc | Call::Pvalloc | Call::Trim => a,
            Call::Calloc | Call::AlignedAlloc | Call::Memalign => format!("{a}, {b}"),
            Call::PosixMemalign => {
                format!("&q, {a}, {b}")
            }
            call if call.reallocates() => {
                let old = match block {
                    Some(_) => variable,
                    None => "NULL",
                };
                match call {
                    Call::Recallocarray => {
                        let had = block.map_or(0, |block| block.size);
                        let (had, count, size) = op.recallocarray_arguments(had);
                        let [had, count, size] = [had, count, size].map(number);
                        format!("{old}, {had}, {count}, {size}")
                    }
                    Call::Reallocarray => format!("{old}, {a}, {b}"),
                    _ => format!("{old}, {a}"),
                }
            }
            _ if name == "free" => variable.to_owned(),
            call if call.operator().is_some() => operator_arguments(op, variable, block),
            Call::FreeSized | Call::Freezero => {
                let size = block.map_or(a, |block| number(block.size));
                format!("{variable}, {size}")
            }
            Call::FreeAlignedSized => {
                let (alignment, size) = block.map_or((a, b), |block| {
                    (number(block.alignment), number(block.size))
                });
                format!("{variable}, {alignment}, {size}")
            }
            _ => variable.to_owned(),
        };
        Some(format!("{name}_({arguments})"))
    }

    /// Whether the harness would skip the operation, because the allocator did not supply the block it works on.
    pub fn is_skipped(&self, op: &Op) -> bool {
        op.slot != NO_SLOT && !op.call.allocates() && self.held(op.slot) == Held::Refused
    }

    /// Whether the operation at this position gives its slot a block; if nobody knows, it does unless it asks for
    /// more than there can be.
    pub fn succeeds(&self, index: usize, op: &Op) -> bool {
        match self.case.outcome(index) {
            Some(outcome) => gave_block(op, outcome),
            None => op.size().is_some_and(|size| size < 1 << 47),
        }
    }

    /// Whether an `operator new` may throw without that being what the program shows. How many find memory under a limit
    /// differs from process to process.
    fn may_throw(&self, index: usize, op: &Op) -> bool {
        let throws = op.call.is_new() && op.call.operator().is_some_and(|form| !form.nothrow);
        throws && (!self.succeeds(index, op) || self.case.program.is_short_at(index))
    }

    /// The byte value that the operation at this position stores.
    pub fn byte(index: usize, slot: Slot) -> u8 {
        let salt = (index * 37 + slot as usize) % 251;
        u8::try_from(salt).unwrap_or_default() + 1
    }

    /// Follows what the operation does to its slot.
    pub fn follow(&mut self, index: usize, op: &Op) {
        if op.slot == NO_SLOT || self.is_skipped(op) {
            return;
        }
        let size = op.size().unwrap_or_default();
        let byte = Self::byte(index, op.slot);
        let held = match op.call {
            call if call.allocates() || call.reallocates() => match self.succeeds(index, op) {
                true => Held::Block(Block {
                    size,
                    stretched: false,
                    alignment: if op.call.takes_alignment() { op.a } else { 0 },
                    maker: op.call,
                    byte,
                }),
                false if op.call == Call::Reallocf => Held::Refused,
                // A failed realloc keeps the block; realloc to 0 that returns NULL has released it.
                false if op.call.reallocates() && size > 0 || op.size().is_none() => {
                    match self.held(op.slot) {
                        Held::Block(block) => Held::Block(block),
                        _ => Held::Refused,
                    }
                }
                false => Held::Refused,
            },
            call if call.frees() => Held::Nothing,
            Call::Stretch => match self.held(op.slot) {
                Held::Block(block) => Held::Block(Block {
                    stretched: true,
                    byte,
                    ..block
                }),
                other => other,
            },
            _ => return,
        };
        self.held.insert(op.slot, held);
    }

    /// Adds an operation that nothing is asked of.
    pub fn plain(&mut self, index: usize, op: &Op) {
        if self.is_skipped(op) {
            return;
        }
        life::add(self, op);
        let variable = self.variable(op.slot);
        let byte = Self::byte(index, op.slot).to_string();
        for line in self.statements(index, op, &variable, &byte) {
            self.line(line);
        }
        self.follow(index, op);
    }

    /// Adds a loop for operations that differ only in their slots, which are evenly spaced.
    pub fn run(&mut self, first: usize, ops: &[Op], stride: i64) {
        let op = &ops[0];
        if self.is_skipped(op) {
            return;
        }
        self.need(Need::Counter);
        let from = i64::from(op.slot);
        let end = from + stride * ops.len() as i64;
        let compare = if stride > 0 { "<" } else { ">" };
        let step = match stride {
            1 => "i++".to_owned(),
            -1 => "i--".to_owned(),
            2.. => format!("i += {stride}"),
            _ => format!("i -= {}", -stride),
        };
        // Like `byte`, at run time.
        let byte = format!("({} + i) % 251 + 1", first * 37 % 251);
        let lines = self.statements(first, op, "p[i]", &byte);
        self.line(format!("for (i = {from}; i {compare} {end}; {step})"));
        self.depth += 1;
        for line in lines {
            self.line(line);
        }
        self.depth -= 1;
        for (offset, op) in ops.iter().enumerate() {
            self.follow_run(first, first + offset, op);
        }
    }

    /// Follows an operation of a run, all of which store as the first does.
    fn follow_run(&mut self, first: usize, index: usize, op: &Op) {
        self.follow(index, op);
        if let Some(Held::Block(block)) = self.held.get_mut(&op.slot) {
            block.byte = Self::byte(first, op.slot);
        }
    }

    /// The statements for an operation on the slot in `variable`.
    fn statements(&mut self, index: usize, op: &Op, variable: &str, byte: &str) -> Vec<String> {
        let Some(call) = self.call_on(op, variable) else {
            return self.harness_statement(op);
        };
        let filled = match op.size() {
            Some(size) if size > 0 && self.succeeds(index, op) => Some(number(size)),
            _ => None,
        };
        match op.call {
            Call::PosixMemalign => {
                let value = self.filled("q", filled, byte);
                vec![format!("if ({call} == 0) {variable} = {value};")]
            }
            made if made.allocates() => {
                let value = self.filled(&call, filled, byte);
                vec![match self.may_throw(index, op) {
                    true => format!("attempt({variable} = {value});"),
                    false => format!("{variable} = {value};"),
                }]
            }
            made if made.reallocates() && self.block(op.slot).is_none() => {
                let value = self.filled(&call, filled, byte);
                vec![format!("{variable} = {value};")]
            }
            Call::Realloc if op.a == 0 => vec![format!("{variable} = {call};")],
            Call::Reallocf => {
                let value = self.filled(&call, filled, byte);
                vec![format!("{variable} = {value};")]
            }
            made if made.reallocates() => {
                let value = self.filled("q", filled, byte);
                vec![format!("if ((q = {call}) != NULL) {variable} = {value};")]
            }
            Call::UsableSize if self.usable_slots.contains(&op.slot) => {
                let usable = self.usable_variable(op.slot);
                vec![format!("{usable} = {call};")]
            }
            Call::Stretch => {
                self.need(Need::Fill);
                self.usable_slots.insert(op.slot);
                let usable = variable.replacen('p', "n", 1);
                vec![
                    format!("{usable} = {call};"),
                    format!("fill({variable}, {usable}, {byte});"),
                ]
            }
            _ => vec![format!("{call};")],
        }
    }

    fn filled(&mut self, value: &str, size: Option<String>, byte: &str) -> String {
        match size {
            Some(size) => {
                self.need(Need::Fill);
                format!("fill({value}, {size}, {byte})")
            }
            None => value.to_owned(),
        }
    }

    /// What the harness does itself; sweeps and bounds matter only where they find something.
    fn harness_statement(&mut self, op: &Op) -> Vec<String> {
        match op.call {
            Call::Limit => {
                self.need(Need::Limit);
                vec![format!("limit({});", number(op.a))]
            }
            Call::FailSyscall => {
                self.need(Need::FailSystemCalls);
                vec![fail_system_calls(op, self.needs.contains(&Need::TryEach))]
            }
            _ => Vec::new(),
        }
    }
}

/// The statement that makes system calls fail: those that the program says, or the one whose turn it is to be tried.
fn fail_system_calls(op: &Op, tries_each: bool) -> String {
    let Some(failing) = Failing::of(op) else {
        return "fail_system_calls(-1, 0, 0);".into();
    };
    let call = match failing.syscall {
        Syscall::Any => "-1".into(),
        syscall => format!("SYS_{}", syscall.as_str()),
    };
    let onwards = u8::from(failing.which == Which::From);
    let number = match tries_each {
        true => "chosen".into(),
        false => failing.number.to_string(),
    };
    format!("fail_system_calls({call}, {number}, {onwards});")
}

/// What a form of an operator is told, in the order of its symbol.
fn operator_arguments(op: &Op, variable: &str, block: Option<Block>) -> String {
    let Some(form) = op.call.operator() else {
        return String::new();
    };
    let (alignment, size) = match block.filter(|_| form.deletes) {
        Some(block) => (block.alignment, block.size),
        None if form.aligned => (op.a, op.b),
        None => (op.a, op.a),
    };
    let [size, alignment] = [size, alignment].map(number);
    let first = match form.deletes {
        true => variable.to_owned(),
        false => size.clone(),
    };
    let told = [
        (form.sized, size),
        (form.aligned, alignment),
        (form.nothrow, "\"\"".into()),
    ];
    let told = told.into_iter().filter(|(told, _)| *told);
    let all: Vec<String> = std::iter::once(first)
        .chain(told.map(|(_, what)| what))
        .collect();
    all.join(", ")
}

/// Whether a sized free is defined for the block; where it is not, the harness frees it plainly.
fn may_be_sized(call: Call, block: Block) -> bool {
    match call {
        Call::FreeSized => block.alignment == 0,
        Call::FreeAlignedSized => block.maker == Call::AlignedAlloc,
        _ => true,
    }
}

/// A number as a C constant of the right type.
pub fn number(value: u64) -> String {
    match value {
        u64::MAX => "SIZE_MAX".into(),
        _ if value > u64::MAX - 0x1_0000_0000 => format!("SIZE_MAX - {}", u64::MAX - value),
        _ if value > i64::MAX as u64 => format!("{value}u"),
        _ => value.to_string(),
    }
}
