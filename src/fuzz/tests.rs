//! The targets without a fuzzer: on the hand-written programs and on random records.

use super::*;
use crate::program::{Program, RECORD, SplitMix, Vocabulary, vectors};
use crate::pymalloc::{Fault, Planted};
use crate::spec::RuleId;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes for so many records.
fn records(seed: u64, number: usize) -> Vec<u8> {
    let mut random = SplitMix::new(seed);
    let words = (0..number * RECORD / 8).map(|_| random.next_u64());
    words.flat_map(u64::to_le_bytes).collect()
}

/// The hand-written programs, and records.
fn inputs() -> impl Iterator<Item = Vec<u8>> {
    let traces = vectors().map(|(_, program)| program.to_string().into_bytes());
    traces.chain((0..300).map(|seed| records(seed, 64)))
}

#[test]
fn an_input_is_a_program_that_frees_what_it_makes() {
    let vocabulary = Vocabulary::default();
    for bytes in inputs() {
        let Some(program) = input::program(&bytes, &vocabulary) else {
            continue;
        };
        assert_eq!(program.check(), Ok(()));
        let mut closed = program.clone();
        closed.close();
        assert_eq!(closed, program);
    }
}

#[test]
fn a_trace_is_the_input_that_it_says() {
    let vocabulary = Vocabulary::default();
    let text = b"# allocspec trace 1\np0 = malloc 24\nfree p0\n";
    let expecting = b"# allocspec trace 1\n# rule disjoint: x\np0 = malloc 24 expect pointer\n";
    assert_eq!(
        input::program(expecting, &vocabulary),
        input::program(text, &vocabulary)
    );
    let program = input::program(text, &vocabulary).expect("a trace");
    assert_eq!(program.to_string().as_bytes(), text);
    for refused in [
        "# allocspec trace 1\nfree p0\n",
        "# allocspec trace 1\nlimit 4096\n",
        "# allocspec trace 1\np0 = malloc 1000000000\n",
        "# allocspec trace 1\np0 = malloc 1\nfree p0\nrepeat 1000000 x 2\n",
    ] {
        assert_eq!(
            input::program(refused.as_bytes(), &vocabulary),
            None,
            "{refused}"
        );
    }
    // What nobody can have takes nothing.
    let huge = b"# allocspec trace 1\np0 = malloc 18446744073709551615\n";
    assert!(input::program(huge, &vocabulary).is_some());
}

#[test]
fn a_record_can_fill_pools() {
    let mut target = Pymalloc::<crate::pymalloc::Sound>::start();
    let vocabulary = target.vocabulary().clone();
    let longest = (0..200).filter_map(|seed| input::program(&records(seed, 64), &vocabulary));
    assert!(longest.map(|program| program.ops.len()).max() > Some(300));
    assert!(target.run(&records(1, 64)));
}

#[test]
fn the_reference_stands_every_input() {
    let mut target = Pymalloc::<crate::pymalloc::Sound>::start();
    let run = inputs().filter(|bytes| target.run(bytes)).count();
    assert!(run > 350, "{run}");
}

#[test]
fn the_c_library_stands_every_input() {
    // It gives blocks for alignments that are none.
    let except = [RuleId::AlignedAllocInvalid];
    let mut target =
        Subject::of(crate::run::SubjectSpec::System, None, &except).expect("the C library");
    let run = inputs().filter(|bytes| target.run(bytes)).count();
    assert!(run > 350, "{run}");
}

#[test]
fn what_parses_comes_back() {
    inputs().for_each(|bytes| trace(&bytes));
}

#[test]
fn shrinking_stands_every_input() {
    let mut target = Shrink::start();
    let run = inputs()
        .step_by(4)
        .filter(|bytes| target.run(bytes))
        .count();
    assert!(run > 80, "{run}");
}

/// What the target says of this trace under this fault.
fn said(fault: Fault, trace: &str) -> String {
    let mut target = Pymalloc::<Planted>::with_fault(fault);
    let panic = catch_unwind(AssertUnwindSafe(|| target.run(trace.as_bytes())));
    let message = panic.expect_err("the fault is found").downcast::<String>();
    *message.expect("a formatted message")
}

#[test]
fn a_finding_is_told_as_a_trace() {
    let message = said(
        Fault::MoveCopiesShort,
        "# allocspec trace 1\np0 = malloc 112\np0 = realloc p0 300\nfree p0\n",
    );
    let (line, trace) = message.split_once("\n\n").expect("a line, then the trace");
    assert_eq!(line, "rule realloc-content is broken");
    assert_eq!(
        Program::parse(trace).map(|program| program.ops.len()),
        Ok(3)
    );
    assert!(trace.contains("p0 = realloc p0 300"), "{trace}");
    for part in ["# expected: ", "# found: ", "  breaks realloc-content\n"] {
        assert!(trace.contains(part), "{trace}");
    }
}

#[test]
fn a_broken_invariant_names_the_operation() {
    let message = said(
        Fault::BlocksOverlap,
        "# allocspec trace 1\np0 = malloc 40\np1 = malloc 40\np2 = malloc 40\np3 = malloc 40\n",
    );
    assert!(
        message.starts_with("after operation 1, `p1 = malloc 40`, "),
        "{message}"
    );
    let message = said(
        Fault::ZeroCountedTwice,
        "# allocspec trace 1\np0 = malloc 0\nfree p0\n",
    );
    assert!(
        message.contains("1 blocks are counted and none is left"),
        "{message}"
    );
}

#[test]
fn mutations_keep_to_whole_records_and_to_the_room_there_is() {
    let mut data = records(1, 100);
    let mut size = 10 * RECORD;
    let mut by_bytes = 0;
    for seed in 0..2000 {
        let before = by_bytes;
        size = mutate(&mut data, size, seed, |_, size| {
            by_bytes += 1;
            size
        });
        assert!(size <= 100 * RECORD);
        assert!(by_bytes > before || size.is_multiple_of(RECORD) && size >= 56 * RECORD);
    }
    assert!((100..500).contains(&by_bytes), "{by_bytes}");

    let mut text = *b"# allocspec trace 1\nfree null\n";
    let size = text.len();
    for seed in 0..100 {
        assert_eq!(mutate(&mut text, size, seed, |_, _| 7), 7);
    }
}
