//! The three domains and what is set in them, against a model: hooks come and go, refuse and hand on, over the debug layer
//! or without it.

use crate::pymalloc::{
    Allocator, Before37, Domain, Domains as Functions, Layout, P4k8, P4k16, P16kR64, Runtime,
    SIZE_LIMIT, Version,
};
use arbitrary::Unstructured;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

const DOMAINS: [Domain; 3] = [Domain::Raw, Domain::Mem, Domain::Object];
const SLOTS: usize = 12;
/// Calls that an input may make.
const CALLS: usize = 128;
/// Sizes at which something changes, and beyond which nothing does.
const SIZES: [usize; 8] = [0, 1, 16, 100, 488, 512, 513, 5000];

/// A block that is live.
struct Block {
    domain: usize,
    at: *mut u8,
    held: Vec<u8>,
}

/// A hook on a domain.
struct Hook {
    beneath: Allocator,
    refuses: Cell<bool>,
    /// What it was asked for last: the block, the number or 1, the size.
    asked: Cell<Option<(usize, usize, usize)>>,
}

impl Hook {
    fn allocator(&self) -> Allocator {
        /// # Safety
        ///
        /// `ctx` leads to a hook.
        unsafe fn note<'h>(ctx: *mut c_void, asked: (usize, usize, usize)) -> (&'h Hook, bool) {
            // SAFETY: the caller's promise; hooks live as long as an input is run.
            let hook = unsafe { &*ctx.cast::<Hook>() };
            hook.asked.set(Some(asked));
            (hook, hook.refuses.replace(false))
        }
        unsafe extern "C-unwind" fn malloc(ctx: *mut c_void, size: usize) -> *mut c_void {
            // SAFETY: the context is the hook's, and what is handed on is what was passed.
            unsafe {
                match note(ctx, (0, 1, size)) {
                    (_, true) => ptr::null_mut(),
                    (hook, false) => (hook.beneath.malloc)(hook.beneath.ctx, size),
                }
            }
        }
        unsafe extern "C-unwind" fn calloc(
            ctx: *mut c_void,
            count: usize,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: as above.
            unsafe {
                match note(ctx, (0, count, size)) {
                    (_, true) => ptr::null_mut(),
                    (hook, false) => (hook.beneath.calloc)(hook.beneath.ctx, count, size),
                }
            }
        }
        unsafe extern "C-unwind" fn realloc(
            ctx: *mut c_void,
            block: *mut c_void,
            size: usize,
        ) -> *mut c_void {
            // SAFETY: as above.
            unsafe {
                match note(ctx, (block.addr(), 1, size)) {
                    (_, true) => ptr::null_mut(),
                    (hook, false) => (hook.beneath.realloc)(hook.beneath.ctx, block, size),
                }
            }
        }
        unsafe extern "C-unwind" fn free(ctx: *mut c_void, block: *mut c_void) {
            // SAFETY: as above.
            unsafe {
                let hook = &*ctx.cast::<Hook>();
                hook.asked.set(Some((block.addr(), 0, 0)));
                (hook.beneath.free)(hook.beneath.ctx, block);
            }
        }
        Allocator {
            ctx: ptr::from_ref(self).cast_mut().cast(),
            malloc,
            calloc,
            realloc,
            free,
        }
    }
}

/// Does what an input says with the domains of a version that it picks.
///
/// # Errors
///
/// Says what is not as it should be.
pub fn domains(bytes: &[u8]) -> Result<(), String> {
    let mut input = Unstructured::new(bytes);
    let (version, debug) = (pick(&mut input, 3), pick(&mut input, 2) == 1);
    match version {
        0 => Trial::<Before37<P4k8>>::new(Version(3, 5, 0), debug).run(input),
        1 => Trial::<P4k16>::new(Version(3, 8, 0), debug).run(input),
        _ => Trial::<P16kR64>::new(Version(3, 13, 0), debug).run(input),
    }
}

fn pick(input: &mut Unstructured<'_>, number: usize) -> usize {
    input.int_in_range(0..=number - 1).unwrap_or(0)
}

struct Trial<L: Layout> {
    // The hooks go last: what is set leads to them.
    runtime: Runtime<L>,
    slots: [Option<Block>; SLOTS],
    hooks: [Option<Box<Hook>>; 3],
}

impl<L: Layout> Trial<L> {
    fn new(version: Version, debug: bool) -> Trial<L> {
        let runtime = Runtime::new(version);
        if debug {
            // SAFETY: nothing is live.
            unsafe { runtime.set_up_debug_hooks() };
        }
        Trial {
            runtime,
            slots: [const { None }; SLOTS],
            hooks: [const { None }; 3],
        }
    }

    fn functions(&self) -> &Functions {
        self.runtime.domains()
    }

    fn run(mut self, mut input: Unstructured<'_>) -> Result<(), String> {
        for _ in 0..CALLS {
            if input.is_empty() {
                break;
            }
            let (call, slot, domain) = (
                pick(&mut input, 8),
                pick(&mut input, SLOTS),
                pick(&mut input, 3),
            );
            let size = SIZES[pick(&mut input, SIZES.len())] + pick(&mut input, 8);
            match call {
                0 | 1 => self.make(slot, domain, size, call == 1)?,
                2 | 3 => self.resize(slot, size, false)?,
                4 => self.resize(slot, size, true)?,
                5 => self.free(slot)?,
                6 => self.hook(domain),
                _ => self.exceed(slot, size)?,
            }
            self.verify()?;
        }
        for slot in 0..SLOTS {
            self.free(slot)?;
        }
        match self.runtime.heap().allocated_blocks() {
            0 => self.runtime.heap().check_invariants()?,
            left => return Err(format!("{left} blocks are counted and none is left")),
        }
        // SAFETY: every block has been freed.
        unsafe { self.runtime.reset() };
        Ok(())
    }

    fn make(&mut self, slot: usize, domain: usize, size: usize, zero: bool) -> Result<(), String> {
        self.free(slot)?;
        let at = if zero {
            let at = self.functions().calloc(DOMAINS[domain], 3, size);
            self.seen(domain, (0, 3, size))?;
            at
        } else {
            let at = self.functions().malloc(DOMAINS[domain], size);
            self.seen(domain, (0, 1, size))?;
            at
        };
        if at.is_null() {
            return Err(format!("no block of {size} bytes"));
        }
        let size = if zero { 3 * size } else { size };
        // SAFETY: the block has this size, and is filled or zeroed or nobody's.
        if zero && unsafe { std::slice::from_raw_parts(at, size) } != vec![0; size] {
            return Err("calloc gave what is not zero".into());
        }
        let held: Vec<u8> = (0..size)
            .map(|index| (index * 13 + slot + size) as u8)
            .collect();
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(held.as_ptr(), at, size) };
        self.slots[slot] = Some(Block { domain, at, held });
        Ok(())
    }

    fn resize(&mut self, slot: usize, size: usize, refuse: bool) -> Result<(), String> {
        let Some(mut block) = self.slots[slot].take() else {
            return Ok(());
        };
        let refused = match &self.hooks[block.domain] {
            Some(hook) if refuse => {
                hook.refuses.set(true);
                true
            }
            _ => false,
        };
        // SAFETY: the block is live.
        let moved = unsafe {
            self.functions()
                .realloc(DOMAINS[block.domain], block.at, size)
        };
        self.seen(block.domain, (block.at.addr(), 1, size))?;
        if moved.is_null() != refused {
            return Err(format!("realloc to {size} bytes gave {moved:p}"));
        }
        if !refused {
            let before = block.held.len();
            block.at = moved;
            block.held.truncate(size);
            for index in before..size {
                block.held.push(index as u8);
                // SAFETY: the block has this size.
                unsafe { moved.add(index).write(index as u8) };
            }
        }
        self.slots[slot] = Some(block);
        Ok(())
    }

    fn free(&mut self, slot: usize) -> Result<(), String> {
        let Some(block) = self.slots[slot].take() else {
            return Ok(());
        };
        // SAFETY: the block is live.
        unsafe { self.functions().free(DOMAINS[block.domain], block.at) };
        self.seen(block.domain, (block.at.addr(), 0, 0))
    }

    /// Sets a hook over what is set, or takes it away.
    fn hook(&mut self, domain: usize) {
        let hook = self.hooks[domain].take();
        let allocator = match hook {
            Some(hook) => hook.beneath,
            None => {
                let hook = self.hooks[domain].insert(Box::new(Hook {
                    beneath: self.runtime.domains().get(DOMAINS[domain]),
                    refuses: Cell::new(false),
                    asked: Cell::new(None),
                }));
                hook.allocator()
            }
        };
        // SAFETY: a hook hands on to what was set before it, which is still there.
        unsafe { self.functions().set(DOMAINS[domain], allocator) };
    }

    /// Asks for more than there can be: nobody is to see it.
    fn exceed(&mut self, slot: usize, size: usize) -> Result<(), String> {
        for hook in self.hooks.iter().flatten() {
            hook.asked.set(None);
        }
        let functions = self.functions();
        let mut given = functions.new_array::<u64>(SIZE_LIMIT / 8 + 1 + size);
        if let Some(block) = &self.slots[slot] {
            // SAFETY: the block is live, and stays so.
            let resized = unsafe {
                functions.realloc(DOMAINS[block.domain], block.at, SIZE_LIMIT + 1 + size)
            };
            given = given.max(resized.cast());
        }
        for domain in DOMAINS {
            given = given.max(functions.malloc(domain, SIZE_LIMIT + 1 + size).cast());
            given = given.max(functions.calloc(domain, SIZE_LIMIT / 2 + 1, 2).cast());
        }
        let asked = self
            .hooks
            .iter()
            .flatten()
            .find_map(|hook| hook.asked.get());
        if given.is_null() && asked.is_none() {
            Ok(())
        } else {
            Err(format!(
                "more than there can be gave {given:p}, hooks were asked for {asked:?}"
            ))
        }
    }

    /// The hook on a domain, if there is one, saw this.
    fn seen(&self, domain: usize, wanted: (usize, usize, usize)) -> Result<(), String> {
        match &self.hooks[domain] {
            Some(hook) if hook.asked.get() != Some(wanted) => {
                let asked = hook.asked.get();
                Err(format!("the hook saw {asked:?} instead of {wanted:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Every block holds what was stored, and none overlaps another.
    fn verify(&self) -> Result<(), String> {
        let mut ends: Vec<(usize, usize)> = Vec::new();
        for block in self.slots.iter().flatten() {
            // SAFETY: the block is live and has this size.
            let found = unsafe { std::slice::from_raw_parts(block.at, block.held.len()) };
            if found != block.held {
                return Err(format!("a block of {} bytes has changed", found.len()));
            }
            ends.push((block.at.addr(), block.at.addr() + block.held.len().max(1)));
        }
        ends.sort_unstable();
        match ends.windows(2).find(|pair| pair[0].1 > pair[1].0) {
            Some(pair) => Err(format!("blocks overlap: {pair:x?}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::SplitMix;

    #[test]
    fn no_input_shows_a_difference() {
        assert_eq!(domains(&[]), Ok(()));
        let mut random = SplitMix::new(11);
        for number in 0..2000 {
            let words = (0..100).map(|_| random.next_u64());
            let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
            if let Err(difference) = domains(&bytes) {
                panic!("input {number}: {difference}");
            }
        }
    }
}
