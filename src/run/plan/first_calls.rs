//! Every entry point as the first call of a process.

use super::item::Item;
use crate::program::{Call, NO_SLOT, Op, Program, Vocabulary};
use crate::spec::RuleId;

/// Every entry point as the first call of a process, those that take a size with a small, no and a huge one, and a few
/// ordinary calls after it.
pub fn first_calls(vocabulary: &Vocabulary) -> impl Iterator<Item = Item> {
    // Multiples of 64, so that no document leaves them undefined for `aligned_alloc`.
    let sizes = [128, 0, u64::MAX << 6];
    let sized = sizes.into_iter().flat_map(|size| {
        [
            Op::new(Call::Malloc, 0, size, 0),
            Op::new(Call::Calloc, 0, 1, size),
            Op::new(Call::Realloc, 0, size, 0),
            Op::new(Call::Reallocarray, 0, 1, size),
            Op::new(Call::AlignedAlloc, 0, 64, size),
            Op::new(Call::PosixMemalign, 0, 64, size),
            Op::new(Call::Memalign, 0, 4096, size),
            Op::new(Call::Valloc, 0, size, 0),
            Op::new(Call::Pvalloc, 0, size, 0),
            Op::new(Call::Reallocf, 0, size, 0),
            Op::new(Call::Recallocarray, 0, 1, size),
        ]
    });
    let news = Call::ALL.iter().filter(|call| call.is_new());
    let news = news.flat_map(move |&call| {
        sizes.map(|size| match call.takes_alignment() {
            true => Op::new(call, 0, 64, size),
            false => Op::new(call, 0, size, 0),
        })
    });
    let deletes = Call::ALL.iter().filter(|call| call.is_delete());
    let deletes = deletes.map(|&call| Op::new(call, NO_SLOT, 0, 0).with_arguments_of_null(64));
    let others = [
        Op::new(Call::Malloc, 0, 8 << 20, 0),
        Op::new(Call::Free, NO_SLOT, 0, 0),
        Op::new(Call::UsableSize, NO_SLOT, 0, 0),
        Op::new(Call::FreeSized, NO_SLOT, 8, 0),
        Op::new(Call::FreeAlignedSized, NO_SLOT, 8, 8),
        Op::new(Call::Freezero, NO_SLOT, 8, 0),
        Op::new(Call::Trim, NO_SLOT, 0, 0),
    ];
    sized
        .chain(others)
        .chain(news)
        .chain(deletes)
        .filter(|op| vocabulary.has(op.call))
        .map(|first| {
            let ops = vec![
                first,
                Op::new(Call::Malloc, 1, 24, 0),
                Op::new(Call::Malloc, 2, 5000, 0),
                Op::new(Call::Free, 1, 0, 0),
                Op::new(Call::Malloc, 3, 24, 0),
                Op::new(Call::Free, 2, 0, 0),
                Op::new(Call::Free, 3, 0, 0),
            ];
            let program = Program {
                rule: Some(RuleId::FirstCallAny),
                ops,
            };
            Item {
                once: true,
                ..Item::planned(program, "first call".into())
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::Plan;
    use crate::spec::RuleSet;

    #[test]
    fn every_function_comes_first_with_every_kind_of_size() {
        let vocabulary = Vocabulary::default();
        let rules = RuleSet::from_iter([RuleId::FirstCallAny]);
        let plan = Plan::new(&vocabulary, &rules, 1);
        let firsts: Vec<Op> = plan.items.iter().map(|item| item.program.ops[0]).collect();
        let is_entry_point = |call: &&Call| call.is_entry_point() && **call != Call::Stretch;
        for &call in Call::ALL.iter().filter(is_entry_point) {
            let sizes: Vec<Option<u64>> = firsts
                .iter()
                .filter(|op| op.call == call)
                .map(Op::size)
                .collect();
            assert!(!sizes.is_empty(), "{call:?}");
            if call.allocates() || call.reallocates() {
                assert!(sizes.contains(&Some(0)), "{call:?}: {sizes:?}");
                assert!(sizes.iter().any(|size| *size > Some(1 << 63)), "{call:?}");
            }
        }
        assert!(plan.items.iter().all(|item| item.once));
    }
}
