//! The golden traces of `conformance/golden`, and the pieces of lockstep that need no interpreter.

use super::difference::{first, of_step};
use super::play::{FAIL_ARENA, FAIL_RAW, FREE, MALLOC, NO_SLOT, REALLOC, SHIFT};
use super::stage::kind;
use super::*;
use crate::pymalloc::Build;
use include_dir::{Dir, include_dir};
use std::collections::{BTreeMap, BTreeSet};

static GOLDEN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/conformance/golden");

/// The vector of an interpreter with 16 arenas, all of them full.
const VECTOR: u64 = 32 * 48;

fn golden() -> impl Iterator<Item = (String, Golden)> {
    GOLDEN.files().map(|file| {
        let name = file.path().display().to_string();
        let golden = file.contents_utf8().unwrap().parse();
        (
            name.clone(),
            golden.unwrap_or_else(|error| panic!("{name}: {error}")),
        )
    })
}

#[test]
fn the_reference_does_what_interpreters_did() {
    for (name, golden) in golden() {
        golden
            .verify()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_layout_that_could_be_followed_has_a_golden_trace() {
    let traced: BTreeSet<(&str, String)> = golden()
        .map(|(_, golden)| {
            (
                golden.edition.build.layout(),
                golden.edition.version.to_string(),
            )
        })
        .collect();
    let layouts: BTreeSet<&str> = traced.iter().map(|(layout, _)| *layout).collect();
    assert_eq!(
        layouts,
        BTreeSet::from(["p4k16", "p4k16k1", "p16k-r48", "p16k-r64"])
    );
    assert!(golden().all(|(_, golden)| golden.hashes.len() >= 32));
}

#[test]
fn a_golden_trace_tells_another_layout_and_another_seed() {
    for (name, golden) in golden() {
        for &build in Build::ALL {
            let edition = Edition {
                build,
                ..golden.edition
            };
            let other = Golden {
                edition,
                ..golden.clone()
            };
            // The geometry of the script must be the same for the comparison to say something.
            let alike = build.geometry().alignment == golden.edition.geometry().alignment;
            if build != golden.edition.build && alike && build.layout() != "p16k-r64" {
                assert!(other.verify().is_err(), "{name} does not tell {build:?}");
            }
        }
        let seed = golden.seed + 1;
        assert!(Golden { seed, ..golden }.verify().is_err(), "{name}");
    }
}

#[test]
fn a_golden_trace_is_read_from_what_it_is_written_as() {
    let (_, golden) = golden().next().unwrap();
    assert_eq!(golden.to_string().parse(), Ok(golden.clone()));
    let text = golden.to_string();
    for (line, from, to) in [
        (1, "golden 1", "golden 2"),
        (3, "edition 3", "edition 4"),
        (4, "seed ", "sed "),
        (5, "vector ", "vector x"),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_eq!(broken.parse::<Golden>(), Err(GoldenError::Malformed(line)));
    }
    assert_eq!(
        (text + "xyz\n").parse::<Golden>(),
        Err(GoldenError::Malformed(6 + golden.hashes.len()))
    );
}

/// A script is only as good as what it makes happen.
#[test]
fn a_script_leaves_nothing_out() {
    for edition in [
        "p27old",
        "p4k8",
        "3.8",
        "3.9",
        "3.10",
        "3.14",
        "p16k-huge",
        "p4k16-noradix",
    ] {
        let edition: Edition = edition.parse().unwrap();
        let geometry = edition.geometry();
        let mut reference = reference(edition.build, VECTOR).unwrap();
        let mut script = Script::new(3, geometry);
        let (mut totals, mut calls, mut classes) =
            (Totals::default(), BTreeMap::new(), BTreeSet::new());
        let (mut shifts, mut nodes, mut vectors) = (BTreeSet::new(), 0, 0);
        for _ in 0..40 {
            let steps: Vec<Step> = script.by_ref().take(1 << 14).collect();
            for step in &steps {
                *calls.entry(step.call).or_insert(0) += 1;
                if step.call == MALLOC && step.a >= 1 && step.a <= geometry.threshold as u64 {
                    classes.insert((step.a as usize - 1) / geometry.alignment);
                }
                if step.call == SHIFT {
                    shifts.insert(step.a);
                }
            }
            let record = reference.play(&steps);
            totals.count(record, steps.len());
            for pair in record.windows(2) {
                let is = |word: u64, wanted: u8| (word >> 56) as u8 == wanted;
                let size = (pair[1] & stage::VALUE) as usize;
                nodes += usize::from(is(pair[0], kind::CALLOC) && geometry.is_node(size));
                vectors += usize::from(
                    is(pair[0], kind::REALLOC) && [VECTOR, 2 * VECTOR].contains(&(size as u64)),
                );
            }
            reference.check().unwrap();
        }
        let layout = edition.build.layout();
        assert_eq!(
            classes.len(),
            geometry.threshold / geometry.alignment,
            "{layout}"
        );
        assert!(
            [MALLOC, REALLOC, FREE, FAIL_RAW, FAIL_ARENA]
                .iter()
                .all(|call| calls[call] > 500),
            "{layout}: {calls:?}"
        );
        assert!(shifts.len() > 7, "{layout}: {shifts:?}");
        assert!(
            totals.arenas > 20 && totals.arenas_freed > 10,
            "{layout}: {totals:?}"
        );
        assert_eq!(totals.steps, 40 << 14);
        assert!(
            nodes > 1 || geometry.nodes == [0, 0],
            "{layout}: {nodes} nodes"
        );
        assert!(vectors >= 1, "{layout}");
    }
}

#[test]
fn the_first_difference_is_found() {
    let word = |kind: u8, value: u64| u64::from(kind) << 56 | value;
    let (malloc, result) = (word(kind::MALLOC, 600), word(kind::RESULT, 17));
    let record = [result, malloc, word(kind::GOT, 33), result, result];
    assert_eq!(of_step(&record, 0), 0..1);
    assert_eq!(of_step(&record, 1), 1..4);
    assert_eq!(of_step(&record, 2), 4..5);
    assert_eq!(of_step(&record, 3), 5..5);
    for (at, step) in [(0, 0), (1, 1), (2, 1), (3, 1), (4, 2)] {
        let mut other = record;
        other[at] ^= 1;
        assert_eq!(first(&record, &other), step);
    }
    assert_eq!(first(&record, &record[..4]), 2);
}

#[test]
fn steps_are_told_as_traces_tell_them() {
    let step = Step {
        call: FREE,
        slot: NO_SLOT,
        a: 0,
        b: 0,
    };
    assert_eq!(difference::in_words(&step), "free null");
    let step = Step {
        call: REALLOC,
        slot: 7,
        a: 90,
        b: 0,
    };
    assert_eq!(difference::in_words(&step), "p7 = realloc p7 90");
}
