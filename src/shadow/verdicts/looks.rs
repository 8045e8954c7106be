//! How closely the shadow looks, and what it does not say again.

use super::*;
use crate::shadow::holding::CLOSE_LOOK;
use crate::shadow::model::At;

/// Of many blocks so many are verified after each operation, in turn.
#[test]
fn of_many_blocks_a_few_are_looked_at_in_turn() {
    const EACH: u64 = 64;
    let ground = Ground::new();
    let ledger = Ledger::new();
    let mut shadow = View::of_c().shadow(&ledger);
    let count = 3 * CLOSE_LOOK as u32;
    let ops: Vec<Op> = (0..count)
        .map(|slot| op(Call::Malloc, slot, EACH, 0))
        .collect();
    shadow.begin(&Program {
        rule: None,
        ops: ops.clone(),
    });
    for (index, op) in ops.iter().enumerate() {
        let request = shadow.request(op);
        let reply = block(ground.at(index as u64 * EACH));
        assert_eq!(shadow.settle(index, op, &request, &reply), Ok(()));
    }
    let sees = |shadow: &Shadow<'_>, index: usize| {
        let op = op(Call::Sweep, u32::MAX, 0, 0);
        let at = At { index, op: &op };
        shadow.verify_others(at, RuleId::ContentStable).is_err()
    };
    assert!((0..4).all(|index| !sees(&shadow, index)));
    // The first that it is the turn of, and the last.
    for damaged in [2 * CLOSE_LOOK, 3 * CLOSE_LOOK - 1] {
        ground.damage(damaged as u64 * EACH);
        let seen = [0, 1, 2, 3, 4, 5].map(|index| sees(&shadow, index));
        assert_eq!(seen, [false, false, true, false, false, true], "{damaged}");
        ground.damage(damaged as u64 * EACH);
    }
}

#[test]
fn what_each_operation_gave_is_told_to_who_looks_closely() {
    let ground = Ground::new();
    let steps = [
        (op(Call::Malloc, 0, 100, 0), block(ground.at(0))),
        (
            op(Call::PosixMemalign, 1, 64, 100),
            Reply {
                code: libc::ENOMEM,
                errno: ERRNO_BEFORE,
                ..Reply::default()
            },
        ),
        (op(Call::Malloc, 2, 1 << 60, 0), failed(libc::ENOMEM)),
    ];
    let told = [true, false].map(|closely| {
        let ledger = Ledger::new();
        let view = View {
            closely,
            ..View::of_answers([RuleId::CallReturns].into_iter().collect())
        };
        let mut shadow = view.shadow(&ledger);
        let ops = steps.iter().map(|(op, _)| *op).collect();
        shadow.begin(&Program { rule: None, ops });
        for (index, (op, reply)) in steps.iter().enumerate() {
            let request = shadow.request(op);
            assert_eq!(shadow.settle(index, op, &request, reply), Ok(()), "{op:?}");
        }
        let outcomes = shadow.outcomes().iter();
        outcomes
            .map(|it| (it.made, it.value, it.errno))
            .collect::<Vec<_>>()
    });
    let expected = [
        (true, ground.at(0), None),
        (true, libc::ENOMEM as u64, None),
        (true, 0, Some(libc::ENOMEM)),
    ];
    assert_eq!(told, [expected.to_vec(), Vec::new()]);
}

/// A block written in places is written whole once it is small enough to be looked at whole.
#[test]
fn a_large_block_that_becomes_small_is_written_whole() {
    let ground = Ground::new();
    let ledger = Ledger::new();
    let mut shadow = View::of_c().shadow(&ledger);
    let ops = [
        op(Call::Malloc, 0, 5000, 0),
        op(Call::Realloc, 0, 3000, 0),
        op(Call::Free, 0, 0, 0),
    ];
    let ops = ops.to_vec();
    shadow.begin(&Program {
        rule: None,
        ops: ops.clone(),
    });
    for (index, op) in ops.iter().enumerate() {
        let request = shadow.request(op);
        assert_eq!(shadow.prepare(index, op, &request), Ok(()), "{op:?}");
        let reply = block(if op.call == Call::Free {
            0
        } else {
            ground.at(0)
        });
        assert_eq!(shadow.settle(index, op, &request, &reply), Ok(()), "{op:?}");
    }
}

/// A block that cannot be had under circumstances breaks their rule; it is not told again, whichever rule it was told of.
#[test]
fn what_is_known_is_not_told_again() {
    let lines = "# allocspec trace 1\nunder signals 100\np0 = malloc 16 expect pointer";
    let program = Program::parse(lines).expect("a program");
    for (rule, is_told) in [
        (None, true),
        (Some(RuleId::SignalInterrupt), false),
        (Some(RuleId::NoStaleSuccess), false),
        (Some(RuleId::DistinctNonzero), true),
    ] {
        let ledger = Ledger::new();
        let mut muted = Muted::NONE;
        if let Some(rule) = rule {
            muted.mute(rule, Call::Malloc);
        }
        let conduct = Conduct {
            rules: of_c(),
            muted,
            stores: true,
            closely: false,
        };
        let mut shadow = Shadow::new(&ledger, conduct).expect("address space for the tables");
        shadow.begin(&Program {
            rule: Some(RuleId::NoStaleSuccess),
            ..program.clone()
        });
        let op = program.ops[1];
        let request = shadow.request(&op);
        let settled = shadow.settle(1, &op, &request, &failed(libc::ENOMEM));
        assert_eq!(settled.is_err(), is_told, "{rule:?}");
    }
}

#[test]
fn a_mute_can_be_taken_back() {
    let mut muted = Muted::NONE;
    muted.mute(RuleId::Disjoint, Call::Realloc);
    muted.mute(RuleId::Disjoint, Call::Free);
    muted.unmute(RuleId::Disjoint, Call::Realloc);
    let pairs: Vec<_> = muted.pairs().collect();
    assert_eq!(pairs, [(RuleId::Disjoint.index() as u16, Call::Free as u8)]);
}
