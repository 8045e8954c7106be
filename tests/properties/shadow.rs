//! The shadow beside the naive model.

use crate::cases::{bytes, config, program};
use crate::heap::{Heap, VOCABULARY, Violation};
use crate::naive::Watched;
use allocspec::program::{Program, Vocabulary};
use allocspec::run::{Ending, Executor};
use allocspec::shadow::{Conduct, Ledger, Muted, Shadow};
use allocspec::spec::Catalogue;
use proptest::prelude::*;
use std::cell::Cell;

fn vocabulary() -> Vocabulary {
    Vocabulary {
        calls: VOCABULARY.into_iter().collect(),
        // All of a block is written and verified up to 4,096 bytes; larger ones only in places.
        max_live: 16 << 10,
        max_slots: 100,
        boundaries: vec![16, 48, 512, 1000],
        hooked: false,
        ..Vocabulary::default()
    }
}

/// Runs a program on a heap with this plan. What the shadow found, and where the naive model saw the first break.
fn run(program: &Program, plan: Option<(Violation, u64)>) -> (Ending, Option<usize>) {
    let ledger = Ledger::new();
    let broken = Cell::new(None);
    let conduct = Conduct {
        rules: Catalogue::embedded().profile("linux").unwrap().rules(),
        muted: Muted::NONE,
        stores: true,
        closely: true,
    };
    let shadow = Shadow::new(&ledger, conduct).expect("memory for the model");
    let subject = Watched::new(Heap::new(plan), &ledger, &broken);
    let ending = Executor::new(subject, shadow, &ledger, u64::MAX).run(program);
    (ending, broken.get())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_heap_that_keeps_the_rules_is_found_to(bytes in bytes()) {
        let program = program(&vocabulary(), &bytes);
        let (ending, broken) = run(&program, None);
        prop_assert!(matches!(ending, Ending::Finished), "{ending:?}\n{program}");
        prop_assert_eq!(broken, None);
    }

    #[test]
    fn a_broken_rule_is_found_at_the_operation_that_breaks_it(
        bytes in bytes(),
        violation in prop::sample::select(Violation::ALL.to_vec()),
        after in 0..60u64,
    ) {
        let program = program(&vocabulary(), &bytes);
        let (ending, broken) = run(&program, Some((violation, after)));
        let found = match &ending {
            Ending::Broken(finding) => Some(finding.op_index),
            Ending::Finished => None,
            other => return Err(TestCaseError::fail(format!("{other:?}\n{program}"))),
        };
        prop_assert_eq!(found, broken, "{:?}\n{}", ending, program);
    }
}

/// The property above says nothing where no chance for the violation comes.
#[test]
fn every_violation_gets_its_chance() {
    for violation in Violation::ALL {
        let seen = (0..50).filter(|&seed| {
            let program = Program::random(seed, &vocabulary(), 200);
            run(&program, Some((violation, seed))).1.is_some()
        });
        assert!(seen.count() >= 10, "{violation:?}");
    }
}
