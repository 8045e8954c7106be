//! The reference against its shadow, with sources that fail, and its own invariants after every operation.

use super::{input, told};
use crate::program::{Program, Vocabulary};
use crate::pymalloc::{Edition, Fault, Faults, Layout, P16kR64, Planted, Sound};
use crate::run::{InProcess, SubjectSpec};
use crate::shadow::Finding;
use crate::subject::{Reference, Subject};

/// The reference in this process.
pub struct Pymalloc<F: Faults = Sound, L: Layout = P16kR64>(InProcess<Reference<F, L>>);

/// The invariants are looked at after each of the first operations of a program, while the heap is small, then every so
/// often: to visit every pool costs more than an operation. If they do not hold, the program is run again with a look
/// after each.
const ALL: usize = 16;
const EVERY: usize = 8;

/// Bytes from which on the C library may give memory back to the kernel. It takes no more for an answer.
const KEPT: i32 = 32 << 20;

/// The variable that names the fault to plant.
const FAULT: &str = "ALLOCSPEC_FAULT";

impl Pymalloc<Sound> {
    /// The reference as it should be.
    pub fn start() -> Pymalloc<Sound> {
        Pymalloc::of(Reference::new(), Edition::USUAL)
    }
}

impl<L: Layout> Pymalloc<Sound, L> {
    /// The reference as it should be in this edition, whose layout is `L`.
    pub fn of_edition(edition: Edition) -> Pymalloc<Sound, L> {
        Pymalloc::of(Reference::with_layout(), edition)
    }
}

impl Pymalloc<Planted> {
    /// The reference with the fault that the environment names in `ALLOCSPEC_FAULT`, for a fuzzer to find.
    ///
    /// # Panics
    ///
    /// When it names none.
    pub fn start() -> Pymalloc<Planted> {
        let name = std::env::var(FAULT).unwrap_or_default();
        let fault = Fault::ALL.iter().find(|fault| fault.name() == name);
        let fault = fault.unwrap_or_else(|| {
            panic!("{FAULT} is {name:?}: `allocspec mutants` shows the names of faults")
        });
        Pymalloc::with_fault(*fault)
    }

    /// The reference with this fault.
    pub fn with_fault(fault: Fault) -> Pymalloc<Planted> {
        Pymalloc::of(Reference::with_fault(fault), Edition::USUAL)
    }
}

impl<F: Faults, L: Layout> Pymalloc<F, L> {
    fn of(reference: Reference<F, L>, edition: Edition) -> Pymalloc<F, L> {
        // SAFETY: only says what the C library does with memory that is given back: it is to keep it, for to map it anew
        // for every program that has a large block costs more than the program.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        }
        let subject =
            InProcess::built_in(reference, &input::options(SubjectSpec::Reference(edition)));
        Pymalloc(subject.expect("the reference needs nothing but memory"))
    }

    /// What programs may say to the reference.
    pub fn vocabulary(&self) -> &Vocabulary {
        self.0.vocabulary()
    }

    /// Runs the program of an input. Answers whether there is one.
    ///
    /// # Panics
    ///
    /// When a rule is broken, or an invariant does not hold.
    pub fn run(&mut self, bytes: &[u8]) -> bool {
        let Some(program) = input::program(bytes, self.vocabulary()) else {
            return false;
        };
        let last = program.ops.len().saturating_sub(1);
        let sampled = |index: usize| index < ALL || index.is_multiple_of(EVERY) || index == last;
        match self.attempt(&program, sampled) {
            Ok(None) => true,
            Ok(Some(finding)) => {
                let case = self.0.look_closely(&program, finding);
                told::broken(&case, self.0.profile())
            }
            Err(late) => {
                self.0.abandon();
                let (index, broken) = self.attempt(&program, |_| true).err().unwrap_or(late);
                unsound(&program, index, &broken)
            }
        }
    }

    /// Runs the program, with a look at the invariants after the operations for which `looks` says so. After the last,
    /// which frees the last block, none may be left.
    fn attempt(
        &mut self,
        program: &Program,
        looks: impl Fn(usize) -> bool,
    ) -> Result<Option<Finding>, (usize, String)> {
        let last = program.ops.len().saturating_sub(1);
        self.0.run(program, |index, subject| {
            if index == last && subject.live_blocks() != Some(0) {
                let left = subject.live_blocks().unwrap_or_default();
                return Err((index, format!("{left} blocks are counted and none is left")));
            }
            match looks(index) {
                true => subject.check_invariants().map_err(|broken| (index, broken)),
                false => Ok(()),
            }
        })
    }
}

fn unsound(program: &Program, index: usize, broken: &str) -> ! {
    let line = program.lines().nth(index).map(|line| line.to_string());
    panic!(
        "after operation {index}, `{}`, of the program below an invariant does not hold: {broken}\n\n{program}",
        line.unwrap_or_default()
    )
}
