//! The reference against the shadow.

use crate::cases::{Bytes, bytes, config, program};
use allocspec::program::{Call, Vocabulary};
use allocspec::run::{Ending, Executor};
use allocspec::shadow::{Conduct, Ledger, Muted, Shadow};
use allocspec::spec::Catalogue;
use allocspec::subject::{Reference, Subject};
use proptest::prelude::*;

fn vocabulary() -> Vocabulary {
    Vocabulary {
        calls: [Call::Malloc, Call::Calloc, Call::Realloc, Call::Free]
            .into_iter()
            .collect(),
        boundaries: vec![16, 256, 512],
        max_live: 8 << 20,
        max_slots: 1000,
        ..Vocabulary::default()
    }
}

/// Runs a program on the reference, with sources that fail and arenas that are displaced as it says.
fn run(bytes: &Bytes, reference: impl Subject) -> Ending {
    let ledger = Ledger::new();
    let conduct = Conduct {
        rules: Catalogue::embedded()
            .profile("cpython-3.14")
            .unwrap()
            .rules(),
        muted: Muted::NONE,
        stores: true,
        closely: true,
    };
    let shadow = Shadow::new(&ledger, conduct).expect("memory for the model");
    Executor::new(reference, shadow, &ledger, u64::MAX).run(&program(&vocabulary(), bytes))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_reference_breaks_no_rule(bytes in bytes()) {
        let ending = run(&bytes, Reference::new());
        let program = program(&vocabulary(), &bytes);
        prop_assert!(matches!(ending, Ending::Finished), "{ending:?}\n{program}");
    }
}

/// What the property says is worth something only if a broken reference would be found by it.
#[test]
fn a_reference_with_a_fault_breaks_one() {
    use allocspec::pymalloc::Fault;
    for fault in [
        Fault::MoveCopiesShort,
        Fault::CrossUpFailFrees,
        Fault::ArenaFailRefuses,
        Fault::BlocksOverlap,
    ] {
        let found = (0..200u64).any(|seed| {
            let mut random = allocspec::program::SplitMix::new(seed);
            let bytes: Vec<u8> = (0..3200).map(|_| random.next_u64() as u8).collect();
            let bytes = Bytes(bytes);
            matches!(run(&bytes, Reference::with_fault(fault)), Ending::Broken(_))
        });
        assert!(found, "{fault:?}");
    }
}
