//! What an input of a fuzz target stands for: records for the decoder, or a trace.
//!
//! That a trace is an input as well makes the hand-written programs seeds, and any finding an input.

use crate::program::{Call, Decoder, Expect, Op, Program, Vocabulary, begins_as_trace};
use crate::run::{CheckOptions, SubjectSpec};
use arbitrary::Unstructured;
use std::time::Duration;

/// Operations that one input may stand for.
const OPS: usize = 1 << 13;
/// Bytes that an input may ask for, apart from what nobody can have.
const MEMORY: u64 = 16 << 20;
/// Sizes from here on are sure to be refused.
const REFUSED: u64 = 1 << 47;

/// The program that an input stands for, with frees of what it leaves; `None` if it is text but no trace, or says what
/// the vocabulary does not permit or a fuzzer could not bear.
pub fn program(bytes: &[u8], vocabulary: &Vocabulary) -> Option<Program> {
    let mut program = if begins_as_trace(bytes) {
        let program = Program::parse(std::str::from_utf8(bytes).ok()?).ok()?;
        Some(random(program))
            .filter(|program| vocabulary.permits(program) && is_bearable(program))?
    } else {
        let vocabulary = Vocabulary {
            bursts: true,
            ..vocabulary.clone()
        };
        decode(bytes, &vocabulary)
    };
    program.close();
    Some(program)
}

/// The program as if nobody had meant anything by it: what a hand-written one expects need not come true once a fuzzer
/// has changed it.
fn random(program: Program) -> Program {
    let ops = program.ops.into_iter();
    Program {
        rule: None,
        ops: ops.map(|op| op.expecting(Expect::Any)).collect(),
    }
}

/// The program that records stand for.
pub fn decode(bytes: &[u8], vocabulary: &Vocabulary) -> Program {
    let mut decoder = Decoder::new(vocabulary, OPS);
    decoder.feed(&mut Unstructured::new(bytes));
    decoder.finish()
}

/// Whether the program takes little time and memory, and leaves the process as it is.
fn is_bearable(program: &Program) -> bool {
    let limits = |op: &Op| {
        matches!(
            op.call,
            Call::Limit
                | Call::Bounded
                | Call::FailSyscall
                | Call::Steady
                | Call::Fork
                | Call::Under
                | Call::Thread
        )
    };
    // Repeated operations return to the slots that they start from, so they hold no more than once is asked for.
    let sizes = program.ops.iter().filter_map(Op::size);
    let asked: u64 = sizes
        .filter(|&size| size < REFUSED)
        .fold(0, u64::saturating_add);
    program.steps() <= OPS as u64 && asked <= MEMORY && !program.ops.iter().any(limits)
}

/// A check of this subject as a fuzzer makes it.
pub fn options(subject: SubjectSpec) -> CheckOptions {
    CheckOptions {
        subject,
        profile: None,
        seed: 0,
        time: Duration::ZERO,
        ops: None,
        rules: Vec::new(),
        phases: Vec::new(),
        jobs: 1,
        max_memory: MEMORY,
        strict: false,
    }
}
