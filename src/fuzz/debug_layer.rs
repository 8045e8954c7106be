//! The debug layer against a model of it: legal programs never trip it, and planted corruptions always do.
//!
//! An input picks a version and a domain, then says what is done with a few blocks. After every call the whole
//! of every block is held against the model: header, contents and trailer; and what was freed or left behind, which the
//! source beneath keeps.

use crate::program::SplitMix;
use crate::pymalloc::{
    Alarm, Debug, Domain, Fault, Faults, OneThread, Planted, Raw, Resizing, SIZE_LIMIT, Serial,
    Sound, Style, Version,
};
use crate::run::{MutantRow, MutantVerdict};
use arbitrary::Unstructured;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::time::Instant;

/// The size of a pointer.
const S: usize = size_of::<usize>();
const SLOTS: usize = 6;
/// Calls that an input may make.
const CALLS: usize = 64;
/// The largest block.
const LARGEST: usize = 300;
/// How many bytes at either end of a block are erased while it is resized.
const ERASED: usize = 64;
/// What new memory holds.
const RAW: u8 = 0xa5;

/// Every kind of layer there was, by a version that has it.
const VERSIONS: [Version; 7] = [
    Version(2, 7, 14),
    Version(3, 4, 0),
    Version(3, 6, 15),
    Version(3, 7, 0),
    Version(3, 7, 16),
    Version(3, 8, 0),
    Version(3, 13, 0),
];
const DOMAINS: [Domain; 3] = [Domain::Raw, Domain::Mem, Domain::Object];

/// The memory beneath. It never goes away while an input is run.
#[derive(Clone, Default)]
struct Beneath(Rc<RefCell<Memory>>);

#[derive(Default)]
struct Memory {
    blocks: Vec<Box<[u8]>>,
    /// Sizes asked for.
    asked: usize,
    largest: usize,
    /// Blocks given back, with what they held then.
    left: Vec<(*mut u8, Vec<u8>)>,
    fails: bool,
}

impl Memory {
    fn take(&mut self, size: usize, fill: u8) -> *mut u8 {
        self.asked += 1;
        self.largest = self.largest.max(size);
        if self.fails || size > 1 << 20 {
            return ptr::null_mut();
        }
        self.blocks.push(vec![fill; size].into_boxed_slice());
        self.blocks
            .last_mut()
            .map_or(ptr::null_mut(), |block| block.as_mut_ptr())
    }

    fn size(&self, block: *mut u8) -> usize {
        let mut blocks = self.blocks.iter();
        let found = blocks.find(|other| ptr::eq(other.as_ptr(), block));
        found.map_or(0, |block| block.len())
    }

    fn leave(&mut self, block: *mut u8) {
        // SAFETY: blocks stay where they are as long as this.
        let held = unsafe { std::slice::from_raw_parts(block, self.size(block)) }.to_vec();
        self.left.push((block, held));
    }
}

// SAFETY: every block is a box of its own.
unsafe impl Raw for Beneath {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.0.borrow_mut().take(size, RAW)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        self.0.borrow_mut().take(count.saturating_mul(size), 0)
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        let mut memory = self.0.borrow_mut();
        let moved = memory.take(size, RAW);
        if !moved.is_null() {
            let kept = memory.size(block).min(size);
            // SAFETY: both have so many bytes, and are not the same.
            unsafe { ptr::copy_nonoverlapping(block, moved, kept) };
            memory.leave(block);
        }
        moved
    }
    unsafe fn free(&mut self, block: *mut u8) {
        self.0.borrow_mut().leave(block);
    }
}

/// Ends a call, not the process.
#[derive(Clone, Default)]
struct Tripped(Rc<RefCell<Vec<u8>>>);

impl Alarm for Tripped {
    fn say(&mut self, text: &[u8]) {
        self.0.borrow_mut().extend_from_slice(text);
    }
    fn end(&mut self, last_words: &[u8]) -> ! {
        self.say(last_words);
        std::panic::resume_unwind(Box::new(()))
    }
}

/// A block as it should be.
struct Block {
    at: *mut u8,
    held: Vec<u8>,
    serial: Vec<u8>,
}

/// The layer and its model.
pub struct DebugLayer<F: Faults = Sound> {
    faults: F,
}

impl DebugLayer<Sound> {
    /// The layer as it should be.
    pub fn start() -> DebugLayer<Sound> {
        DebugLayer { faults: Sound }
    }
}

impl<F: Faults> DebugLayer<F> {
    /// Does what an input says.
    ///
    /// # Errors
    ///
    /// Says how the layer differs from its model.
    pub fn run(&self, bytes: &[u8]) -> Result<(), String> {
        let mut input = Unstructured::new(bytes);
        let mut pick = |number: usize| input.int_in_range(0..=number - 1).unwrap_or(0);
        let style = Style::of(VERSIONS[pick(VERSIONS.len())]);
        let domain = DOMAINS[pick(DOMAINS.len())];
        let (beneath, tripped) = (Beneath::default(), Tripped::default());
        let mut trial = Trial {
            layer: Debug::with_faults(
                beneath.clone(),
                domain,
                style,
                tripped.clone(),
                OneThread,
                self.faults,
            ),
            beneath,
            tripped,
            style,
            domain,
            slots: [const { None }; SLOTS],
            faults: self.faults,
        };
        for _ in 0..CALLS {
            if input.is_empty() {
                break;
            }
            let mut pick = |number: usize| input.int_in_range(0..=number - 1).unwrap_or(0);
            let (call, slot) = (pick(16), pick(SLOTS));
            let (size, detail) = (pick(LARGEST + 1), pick(256));
            if !trial.call(call, slot, size, detail)? {
                return Ok(());
            }
            trial.verify()?;
        }
        Ok(())
    }
}

struct Trial<F: Faults> {
    layer: Debug<Beneath, Tripped, OneThread, F>,
    beneath: Beneath,
    tripped: Tripped,
    style: Style,
    domain: Domain,
    slots: [Option<Block>; SLOTS],
    faults: F,
}

impl<F: Faults> Trial<F> {
    /// Makes a call. Answers whether anything can come after it.
    fn call(
        &mut self,
        call: usize,
        slot: usize,
        size: usize,
        detail: usize,
    ) -> Result<bool, String> {
        match call {
            0..=3 => self.make(slot, size, call == 3)?,
            4..=7 => self.resize(slot, size, false)?,
            8 => self.resize(slot, size, true)?,
            9 | 10 => self.free(slot)?,
            11 => self.exceed(slot, detail)?,
            // What is corrupted ends it all, so it is not done often.
            12 if detail < 64 => return self.corrupt(slot, detail),
            13 if detail < 64 => return self.mix_up(slot, detail),
            _ => {}
        }
        Ok(true)
    }

    fn make(&mut self, slot: usize, size: usize, zero: bool) -> Result<(), String> {
        self.free(slot)?;
        let at = if zero {
            self.legal(|layer| layer.calloc(1, size))?
        } else {
            self.legal(|layer| layer.malloc(size))?
        };
        let fill = if zero { 0 } else { self.style.clean };
        let mut block = Block {
            at,
            held: vec![fill; size],
            serial: Vec::new(),
        };
        self.look(&mut block, "a new block")?;
        // What a caller stores, the layer keeps.
        for (index, byte) in block.held.iter_mut().enumerate() {
            *byte = (index * 7 + size) as u8;
            // SAFETY: within the block.
            unsafe { at.add(index).write(*byte) };
        }
        self.slots[slot] = Some(block);
        Ok(())
    }

    fn resize(&mut self, slot: usize, size: usize, fails: bool) -> Result<(), String> {
        let Some(mut block) = self.slots[slot].take() else {
            return Ok(());
        };
        let before = block.held.len();
        // A layer that dies of a block that cannot shrink, or that erases for good what it could not shrink.
        let fatal = fails && size <= before && self.style.shrinks_or_dies;
        let destroys = fails && size < before && self.style.resizing == Resizing::TailErased;
        if fatal || destroys {
            self.slots[slot] = Some(block);
            return Ok(());
        }
        let (at, kept) = (block.at, self.beneath.0.borrow().left.len());
        self.beneath.0.borrow_mut().fails = fails;
        // SAFETY: the block is live.
        let moved = self.legal(|layer| unsafe { layer.realloc(at, size) });
        self.beneath.0.borrow_mut().fails = false;
        let moved = moved?;
        if fails {
            if !moved.is_null() {
                return Err("a block from a source that failed".into());
            }
        } else {
            block.at = moved;
            block.held.resize(size, self.style.clean);
            block.serial.clear();
            self.left_behind(kept, before, size)?;
        }
        self.look(
            &mut block,
            if fails {
                "a block that could not be resized"
            } else {
                "a resized block"
            },
        )?;
        self.slots[slot] = Some(block);
        Ok(())
    }

    /// What a block that moved left at its old place.
    fn left_behind(&self, index: usize, before: usize, size: usize) -> Result<(), String> {
        let memory = self.beneath.0.borrow();
        let Some((_, held)) = memory.left.get(index) else {
            return Err("the old place was not given back".into());
        };
        let dead = |bytes: &[u8]| bytes.iter().all(|&byte| byte == self.style.dead);
        let (head, end) = (2 * S, 2 * S + before);
        let erased = match self.style.resizing {
            Resizing::NothingErased => true,
            Resizing::TailErased => size >= before || dead(&held[head + size..]),
            Resizing::EndsErased if before <= 2 * ERASED => dead(held),
            Resizing::EndsErased => {
                dead(&held[..head + ERASED]) && dead(&held[end - ERASED..]) && {
                    let middle = &held[head + ERASED..end - ERASED];
                    // One byte may be anything.
                    middle.len() < 2 || !dead(middle)
                }
            }
        };
        erased
            .then_some(())
            .ok_or_else(|| format!("the old place of {before} bytes holds {held:02x?}"))
    }

    fn free(&mut self, slot: usize) -> Result<(), String> {
        let Some(block) = self.slots[slot].take() else {
            // SAFETY: null is none.
            return self.legal(|layer| unsafe { layer.free(ptr::null_mut()) });
        };
        let index = self.beneath.0.borrow().left.len();
        // SAFETY: the block is live.
        self.legal(|layer| unsafe { layer.free(block.at) })?;
        let memory = self.beneath.0.borrow();
        match memory.left.get(index) {
            Some((_, held)) if held.iter().all(|&byte| byte == self.style.dead) => Ok(()),
            Some((_, held)) => Err(format!("a freed block holds {held:02x?}")),
            None => Err("a freed block was not given back".into()),
        }
    }

    /// Asks for so much that header and trailer pass the limit.
    fn exceed(&mut self, slot: usize, detail: usize) -> Result<(), String> {
        let size = SIZE_LIMIT - detail % self.style.extra();
        let asked = self.beneath.0.borrow().asked;
        let block = self.slots[slot]
            .as_ref()
            .map_or(ptr::null_mut(), |block| block.at);
        let resizes = !block.is_null() && self.style.resizing != Resizing::TailErased;
        let given = if resizes {
            // SAFETY: the block is live.
            self.legal(|layer| unsafe { layer.realloc(block, size) })?
        } else {
            self.legal(|layer| layer.malloc(size))?
        };
        let reached = self.beneath.0.borrow().asked != asked;
        if !given.is_null()
            || reached && self.style.knows_limit && size + self.style.extra() > SIZE_LIMIT
        {
            return Err(format!("a request for {size} bytes was passed on or met"));
        }
        Ok(())
    }

    /// Changes a byte around a block: the next free or realloc of it must tell.
    fn corrupt(&mut self, slot: usize, detail: usize) -> Result<bool, String> {
        let Some(block) = self.slots[slot].take() else {
            return Ok(true);
        };
        let place = detail % (2 * S - 1);
        let (offset, words) = match place.checked_sub(S - 1) {
            None => (-1 - place as isize, "bad leading pad byte"),
            Some(behind) => (
                (block.held.len() + behind) as isize,
                "bad trailing pad byte",
            ),
        };
        // SAFETY: header and trailer are there.
        unsafe {
            let byte = block.at.offset(offset);
            byte.write(byte.read() ^ (1 + (detail / 16) as u8));
        }
        self.must_trip(block.at, detail & 1 == 0, block.held.len(), words)
    }

    /// Gives a block to a layer of another domain, which must tell.
    fn mix_up(&mut self, slot: usize, detail: usize) -> Result<bool, String> {
        let Some(block) = self.slots[slot].take() else {
            return Ok(true);
        };
        let others = DOMAINS.into_iter().filter(|&other| other != self.domain);
        let other = others.cycle().nth(detail / 2 % 2).unwrap_or(self.domain);
        self.layer = Debug::with_faults(
            self.beneath.clone(),
            other,
            self.style,
            self.tripped.clone(),
            OneThread,
            self.faults,
        );
        let words = format!(
            "bad ID: Allocated using API '{}', verified using API '{}'",
            char::from(self.domain as u8),
            char::from(other as u8)
        );
        self.must_trip(block.at, detail & 1 == 0, block.held.len(), &words)
    }

    fn must_trip(
        &mut self,
        at: *mut u8,
        frees: bool,
        size: usize,
        words: &str,
    ) -> Result<bool, String> {
        let layer = &mut self.layer;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the layer looks at the block before it does anything else, and all of it is there.
            unsafe {
                if frees {
                    layer.free(at);
                } else {
                    layer.realloc(at, size);
                }
            }
        }));
        let told = String::from_utf8_lossy(&self.tripped.0.take()).into_owned();
        match ended {
            Ok(()) => Err(format!("not noticed: {words}")),
            Err(_) if told.trim_end().ends_with(words) => Ok(false),
            Err(_) => Err(format!("told of {words} as {told:?}")),
        }
    }

    /// Makes a call that must not trip the layer.
    fn legal<T>(
        &mut self,
        act: impl FnOnce(&mut Debug<Beneath, Tripped, OneThread, F>) -> T,
    ) -> Result<T, String> {
        let layer = &mut self.layer;
        catch_unwind(AssertUnwindSafe(|| act(layer)))
            .map_err(|_| String::from_utf8_lossy(&self.tripped.0.take()).into_owned())
    }

    /// Every block is as it should be, and nothing that was given back has changed since.
    fn verify(&mut self) -> Result<(), String> {
        for slot in 0..SLOTS {
            if let Some(mut block) = self.slots[slot].take() {
                self.look(&mut block, "a block that nobody touched")?;
                self.slots[slot] = Some(block);
            }
        }
        for (block, held) in &self.beneath.0.borrow().left {
            // SAFETY: the memory beneath stays.
            if unsafe { std::slice::from_raw_parts(*block, held.len()) } != held.as_slice() {
                return Err("what was given back was written to".into());
            }
        }
        Ok(())
    }

    fn look(&self, block: &mut Block, what: &str) -> Result<(), String> {
        if block.at.is_null() {
            return Err(format!("{what}: there is none"));
        }
        let size = block.held.len();
        let forbidden = self.style.forbidden;
        let mut wanted = size.to_be_bytes().to_vec();
        wanted.push(self.domain as u8);
        wanted.extend([forbidden].repeat(S - 1));
        wanted.extend_from_slice(&block.held);
        wanted.extend([forbidden].repeat(S));
        let extra = self.style.extra() - 3 * S;
        // SAFETY: header, block and trailer are there.
        let (found, serial) = unsafe {
            let start = block.at.sub(2 * S);
            let found = std::slice::from_raw_parts(start, wanted.len());
            let serial = std::slice::from_raw_parts(start.add(wanted.len()), extra);
            (found, serial)
        };
        if block.serial.is_empty() {
            block.serial = serial.to_vec();
        }
        if found != wanted || self.style.serial != Serial::None && serial != block.serial {
            return Err(format!("{what}: {found:02x?} instead of {wanted:02x?}"));
        }
        Ok(())
    }
}

/// What the table of mutants says of these.
const MODEL: &str = "debug-layer";
/// Inputs that are tried before a mutant has survived, and the bytes of each.
const INPUTS: u64 = 20_000;
const LENGTH: usize = 512;

/// The faults of the debug layer.
fn faults() -> impl Iterator<Item = Fault> {
    Fault::ALL
        .iter()
        .copied()
        .filter(|fault| fault.is_of_debug_layer())
}

/// Whether this is the name of a mutant that only the model finds.
pub fn is_debug_mutant(name: &str) -> bool {
    faults().any(|fault| fault.name() == name)
}

/// Holds every such mutant, or those of these names, against the model, with inputs made from a seed.
pub fn debug_mutants(
    names: &[String],
    seed: u64,
    tell: &mut dyn FnMut(&MutantRow),
) -> Vec<MutantRow> {
    let chosen = |fault: &Fault| names.is_empty() || names.iter().any(|name| name == fault.name());
    let rows = faults().filter(chosen).map(|fault| {
        let started = Instant::now();
        let mutant = DebugLayer {
            faults: Planted(fault),
        };
        let found = (0..INPUTS).find(|number| mutant.run(&random(seed, *number)).is_err());
        let row = MutantRow {
            name: fault.name().to_owned(),
            breaks: MODEL,
            description: fault.description().to_owned(),
            caught: found.map(|_| MODEL).into_iter().collect(),
            verdict: match found {
                Some(_) => MutantVerdict::Caught,
                None => MutantVerdict::Survived,
            },
            ops_needed: (found.unwrap_or(INPUTS) + 1) * CALLS as u64,
            elapsed: started.elapsed(),
        };
        tell(&row);
        row
    });
    rows.collect()
}

/// The bytes of an input.
fn random(seed: u64, number: u64) -> Vec<u8> {
    let mut random = SplitMix::new(seed.rotate_left(32) ^ number);
    let words = (0..LENGTH / 8).map(|_| random.next_u64());
    words.flat_map(u64::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_programs_and_corrupt_blocks_are_told_apart() {
        let sound = DebugLayer::start();
        for number in 0..3000 {
            if let Err(difference) = sound.run(&random(7, number)) {
                panic!("input {number}: {difference}");
            }
        }
        assert_eq!(sound.run(&[]), Ok(()));
    }

    #[test]
    fn every_fault_is_found() {
        let rows = debug_mutants(&[], 1, &mut |_| {});
        assert_eq!(rows.len(), 10);
        for row in rows {
            assert_eq!(row.verdict, MutantVerdict::Caught, "{}", row.name);
        }
    }
}
