//! Where blocks lie: beside one another, in one place, and where none may be.

use super::*;

const HERE: u64 = 0x2_0000;
/// Where the first of two blocks lies: in the middle of a granule.
const FIRST: u64 = HERE + 12;

/// Rules without those that most places would be told for.
fn about_places(rules: RuleSet) -> RuleSet {
    let others = [
        RuleId::AlignFundamentalFit,
        RuleId::AlignFundamentalAny,
        RuleId::AlignAfterRealloc,
        RuleId::CallocZero,
    ];
    without(rules, &others)
}

#[test]
fn of_two_blocks() {
    let ground = Ground::new();
    let mut table = Table::default();
    let firsts: [(&str, Vec<Op>); 8] = [
        ("made", vec![op(Call::Malloc, 0, 21, 0)]),
        ("of nothing", vec![op(Call::Malloc, 0, 0, 0)]),
        ("of no elements", vec![op(Call::Calloc, 0, 0, 8)]),
        ("of no elements, and resized to nothing", {
            vec![op(Call::Calloc, 0, 0, 8), op(Call::Realloc, 0, 0, 0)]
        }),
        ("resized where it is", {
            vec![op(Call::Malloc, 0, 9, 0), op(Call::Realloc, 0, 21, 0)]
        }),
        ("not resized", {
            vec![op(Call::Malloc, 0, 21, 0), op(Call::Realloc, 0, 99, 0)]
        }),
        ("stretched", {
            vec![op(Call::Malloc, 0, 12, 0), op(Call::Stretch, 0, 0, 0)]
        }),
        ("large", vec![op(Call::Malloc, 0, 3 * 4096, 0)]),
    ];
    let seconds = [
        op(Call::Malloc, 1, 0, 0),
        op(Call::Malloc, 1, 3, 0),
        op(Call::Malloc, 1, 8, 0),
        op(Call::Malloc, 1, 16, 0),
        op(Call::Calloc, 1, 0, 4),
    ];
    let offsets = [
        0_i64, 1, 3, 8, 11, 12, 13, 16, 20, 21, 22, 24, 32, 4096, 12_287, 12_288, -1, -3, -8, -16,
        -17,
    ];
    for (history, first) in &firsts {
        for second in seconds {
            for offset in offsets {
                let address = ground.at(FIRST).wrapping_add_signed(offset);
                let mut steps: Vec<Step<'_>> = first
                    .iter()
                    .map(|&op| {
                        let reply = match (op.call, op.a) {
                            (Call::Stretch, _) => block(21),
                            (Call::Realloc, 99) => failed(libc::ENOMEM),
                            // It moves.
                            (Call::Calloc, _) if first.len() > 1 => block(ground.at(HERE + 8192)),
                            _ => block(ground.at(FIRST)),
                        };
                        step(op, reply)
                    })
                    .collect();
                steps.push(step(second, block(address)));
                let view = View {
                    rules: about_places(of_c()),
                    ..View::of_c()
                };
                let said = verdict(&ground, &view, &steps);
                let (call, size) = (second.call.as_str(), second.size().unwrap_or(0));
                let about = format!("beside one {history}, {call} of {size} at");
                table.enter(about, offset, said);
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_one_that_is_left_and_one_that_was() {
    let ground = Ground::new();
    let mut table = Table::default();
    // The first is gone when the last is made, and the middle one shares granules with both.
    for last in [0, 8, 11, 12, 16, 24] {
        let at = |offset: u64| block(ground.at(HERE + offset));
        let steps = [
            step(op(Call::Malloc, 0, 11, 0), at(0)),
            step(op(Call::Malloc, 1, 9, 0), at(11)),
            step(op(Call::Free, 0, 0, 0), failed(ERRNO_BEFORE)),
            step(op(Call::Malloc, 2, 9, 0), at(last)),
        ];
        let view = View {
            rules: about_places(all()),
            ..View::of_c()
        };
        table.enter("9 bytes at", last, verdict(&ground, &view, &steps));
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn where_none_may_be() {
    let ground = Ground::new();
    let mut table = Table::default();
    let end = 1_u64 << 47;
    for address in [8, end - 4096, end - 100, end - 99, end, u64::MAX - 15] {
        for size in [1, 99, 100, 4096] {
            let view = View::of_answers(about_places(of_c()));
            let steps = [step(op(Call::Malloc, 0, size, 0), block(address))];
            table.enter(
                format!("{address:#x}"),
                size,
                verdict(&ground, &view, &steps),
            );
        }
    }
    let reserved = ground.at(HERE)..ground.at(HERE + 4096);
    for offset in [HERE - 100, HERE - 8, HERE, HERE + 4095, HERE + 4096] {
        for size in [8, 99, 101, 8192] {
            let set = |shadow: &mut Shadow<'_>| {
                shadow.reserve(&[0..0, reserved.clone()]);
            };
            let view = View {
                setting: &set,
                ..View::of_answers(about_places(of_c()))
            };
            let steps = [step(op(Call::Malloc, 0, size, 0), block(ground.at(offset)))];
            table.enter(
                format!("{offset:#x}"),
                size,
                verdict(&ground, &view, &steps),
            );
        }
    }
    insta::assert_snapshot!(table.text());
}
