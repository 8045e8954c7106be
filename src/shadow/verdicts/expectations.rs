//! What programs expect, and growth.

use super::*;
use crate::program::Expect;
use crate::shadow::{Measured, Sample};

const HERE: u64 = 0x2_0000;
const THERE: u64 = 0x4_0000;

#[test]
fn of_one_call() {
    let ground = Ground::new();
    let mut table = Table::default();
    for &expect in Expect::ALL {
        for purpose in [None, Some(RuleId::OomRecovers)] {
            for before in [None, Some(false), Some(true)] {
                for answer in [0, HERE, THERE] {
                    for short in [false, true] {
                        let reply = |gives: bool, offset| match gives {
                            true => block(ground.at(offset)),
                            false => failed(libc::ENOMEM),
                        };
                        let asked = op(Call::Malloc, 2, 24, 0).expecting(expect);
                        let resized = op(Call::Realloc, 0, 24, 0).expecting(expect);
                        let mut steps = vec![step(op(Call::Malloc, 0, 24, 0), reply(true, HERE))];
                        let same = op(Call::Malloc, 1, 24, 0);
                        steps.extend(before.map(|gave| step(same, reply(gave, THERE + 64))));
                        let resizes = matches!(expect, Expect::SamePointer | Expect::OtherPointer);
                        steps.push(match resizes {
                            true => step(resized, reply(answer != 0, answer)),
                            false => step(asked, reply(answer != 0, answer + 128)),
                        });
                        let view = View {
                            purpose,
                            stores: false,
                            setting: &|shadow| shadow.limit(short),
                            ..View::of_c()
                        };
                        let about = format!(
                            "{expect:?}, for {purpose:?}, {before:?} before, short {short}"
                        );
                        table.enter(about, answer, verdict(&ground, &view, &steps));
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_the_same_request_made_earlier() {
    let ground = Ground::new();
    let mut table = Table::default();
    let reply = |gives: bool, offset| match gives {
        true => block(ground.at(HERE + offset)),
        false => failed(libc::ENOMEM),
    };
    let answers = [
        [true, true, false],
        [true, false, false],
        [false, true, false],
        [false, false, false],
        [true, true, true],
    ];
    for [first, second, last] in answers {
        for other in [24, 25] {
            let steps = [
                step(op(Call::Malloc, 0, 24, 0), reply(first, 0)),
                step(op(Call::Malloc, 1, other, 0), reply(second, 64)),
                step(
                    op(Call::Malloc, 2, 24, 0).expecting(Expect::AsEarlier),
                    reply(last, 128),
                ),
            ];
            let said = verdict(&ground, &View::of_c(), &steps);
            table.enter(format!("{first}, {second} of {other}, then"), last, said);
        }
    }
    // What was expected counts as what came before, too.
    for first in [false, true] {
        for expect in [Expect::Any, Expect::AsBefore, Expect::Null] {
            let steps = [
                step(op(Call::Malloc, 0, 8, 0), reply(first, 192)),
                step(
                    op(Call::Malloc, 1, 24, 0).expecting(expect),
                    reply(false, 0),
                ),
                step(
                    op(Call::Malloc, 2, 24, 0).expecting(Expect::AsBefore),
                    reply(false, 128),
                ),
            ];
            if first && expect == Expect::AsBefore {
                continue;
            }
            let said = verdict(&ground, &View::of_c(), &steps);
            table.enter(format!("{first}, none for {expect:?}, then none"), "", said);
        }
    }
    let steps = [
        step(op(Call::Malloc, 0, 24, 0), reply(false, 0)),
        step(
            op(Call::Malloc, 1, 24, 0).expecting(Expect::Pointer),
            reply(true, 0),
        ),
        step(
            op(Call::Malloc, 2, 24, 0).expecting(Expect::AsBefore),
            reply(false, 128),
        ),
    ];
    table.enter(
        "one for Pointer, then none",
        "",
        verdict(&ground, &View::of_c(), &steps),
    );
    insta::assert_snapshot!(table.text());
}

/// What a judgement of growth leaves in the books.
fn judged(
    rules: RuleSet,
    purpose: Option<RuleId>,
    judge: impl Fn(&mut Shadow<'_>) -> Vec<Result<(), Stop>>,
) -> String {
    let ledger = Ledger::new();
    let mut shadow = View::of_answers(rules).shadow(&ledger);
    shadow.begin(&Program {
        rule: purpose,
        ops: Vec::new(),
    });
    let said = judge(&mut shadow);
    let finding = shadow.take_finding();
    let found = finding.map(|finding| {
        let mut text = format!("{:?}", finding.evidence);
        text.truncate(text.find(", samples").unwrap_or(text.len()));
        format!("{}: {text}", finding.rule)
    });
    format!("{said:?} {found:?}\n    exercises {}", exercised(&ledger))
}

#[test]
fn of_bounds() {
    let mut table = Table::default();
    for purpose in [None, Some(RuleId::ReallocOldDead)] {
        for first in [99, 100, 101] {
            for second in [99, 100, 101] {
                for expect in [Expect::Any, Expect::AsBefore] {
                    let bound = op(Call::Bounded, u32::MAX, 100, 0);
                    let said = judged(all(), purpose, |shadow| {
                        let before = shadow.bounded(0, &bound, first);
                        shadow.take_finding();
                        vec![before, shadow.bounded(1, &bound.expecting(expect), second)]
                    });
                    let about = format!("for {purpose:?}, {first}, then {expect:?}");
                    table.enter(about, second, said);
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_growth() {
    const MIB: u64 = 1 << 20;
    let mut table = Table::default();
    let samples = |number: u64, resident: &dyn Fn(u64) -> u64, per_turn: u64| -> Vec<Sample> {
        let sample = |turn| Sample {
            resident: resident(turn),
            mapped: 64 * MIB + resident(turn),
            handed_out: turn * per_turn,
        };
        (0..number).map(sample).collect()
    };
    let courses: [(&str, &dyn Fn(u64) -> u64); 14] = [
        ("none", &|_| MIB),
        ("steady", &|turn| turn * MIB),
        ("slow", &|turn| turn * MIB / 20),
        ("just enough", &|turn| turn / 20 * (MIB + 1)),
        ("just not", &|turn| turn / 20 * MIB),
        ("just not, twice a part", &|turn| turn / 10 * (MIB / 2)),
        ("within a part just not", &|turn| {
            turn / 20 * 2 * MIB + turn % 20 / 10 * (MIB / 4)
        }),
        ("within a part little", &|turn| {
            turn / 20 * 2 * MIB + turn % 20 / 10 * (MIB / 8)
        }),
        ("half as fast at last", &|turn| {
            [0, 0, 8, 14, 18][turn as usize / 20] * MIB + turn % 20 * MIB / 10
        }),
        ("all of it", &|turn| turn * 8 * MIB),
        ("slowing", &|turn| 40 * MIB - 40 * MIB / (turn + 1)),
        ("at last", &|turn| turn.saturating_sub(50) * MIB),
        ("peaks", &|turn| turn * MIB / 5 + turn % 3 * 8 * MIB),
        ("stops", &|turn| turn.min(85) * MIB),
    ];
    let purposes = [
        None,
        Some(RuleId::BoundedRealloc),
        Some(RuleId::BoundedThreads),
        Some(RuleId::BoundedFifo),
    ];
    for (course, resident) in courses {
        for purpose in purposes {
            for left_out in [None, Some(RuleId::FreeMakesAvailable)] {
                for per_turn in [MIB, 2 * MIB, 8 * MIB, 15 * MIB, 17 * MIB, 100 * MIB] {
                    for number in [19, 20, 65, 100] {
                        let samples = samples(number, resident, per_turn);
                        let steady = op(Call::Steady, u32::MAX, MIB, 0);
                        let said = judged(without(all(), left_out.as_slice()), purpose, |shadow| {
                            vec![shadow.steady(7, &steady, &samples)]
                        });
                        let left_out = left_out.map(|_| ", freed memory is no matter");
                        let about = format!(
                            "{course}, for {purpose:?}, {} MiB a turn{}",
                            per_turn / MIB,
                            left_out.unwrap_or_default()
                        );
                        table.enter(about, number, said);
                    }
                }
            }
        }
    }
    assert_eq!(Measured::ALL.len(), 2);
    insta::assert_snapshot!(table.text());
}
