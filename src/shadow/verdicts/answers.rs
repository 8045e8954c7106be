//! Requests for new blocks: what is right and wrong about the answers.

use super::*;
use crate::shadow::{HandlerState, MEMPTR_BEFORE, Thrown};

/// Where blocks lie: aligned to 64 KiB.
const HERE: u64 = 0x2_0000;

const SIZES: [u64; 20] = [
    0,
    1,
    2,
    7,
    8,
    15,
    16,
    17,
    24,
    4095,
    4096,
    1 << 20,
    (1 << 20) + 1,
    1 << 47,
    (1 << 47) + 1,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - (1 << 32),
    u64::MAX - (1 << 32) + 1,
    u64::MAX,
];
const ALIGNMENTS: [u64; 13] = [
    0,
    1,
    3,
    4,
    8,
    16,
    24,
    32,
    2048,
    4096,
    8192,
    1 << 63,
    u64::MAX,
];
const ERRNOS: [i32; 5] = [ERRNO_BEFORE, libc::ENOMEM, libc::EAGAIN, libc::EINVAL, 0];
const PLAIN: [Call; 7] = [
    Call::Malloc,
    Call::Realloc,
    Call::Reallocf,
    Call::Valloc,
    Call::Pvalloc,
    Call::New,
    Call::NewArray,
];
const ARRAYS: [Call; 3] = [Call::Calloc, Call::Reallocarray, Call::Recallocarray];
const ALIGNED: [Call; 4] = [
    Call::AlignedAlloc,
    Call::Memalign,
    Call::NewAligned,
    Call::NewArrayAlignedNothrow,
];

/// The requests of the tables, each with its words but for the size, and the size.
fn requests() -> Vec<(String, u64, Op)> {
    let mut requests = Vec::new();
    for call in PLAIN {
        for size in SIZES {
            requests.push((call.as_str().to_owned(), size, op(call, 0, size, 0)));
        }
    }
    for call in ARRAYS {
        let name = call.as_str();
        for size in SIZES {
            requests.push((format!("{name} 1 x"), size, op(call, 0, 1, size)));
        }
        for count in [0, (1 << 31) - 1, 1 << 31, 1 << 32] {
            let array = op(call, 0, count, 1 << 32);
            requests.push((format!("{name} 2^32 x"), count, array));
        }
    }
    for call in ALIGNED {
        // A `new` must be told a power of two.
        let allowed = |&alignment: &u64| alignment.is_power_of_two() || !call.is_new();
        for alignment in ALIGNMENTS.into_iter().filter(allowed) {
            let about = format!("{} {}", call.as_str(), told_size(alignment));
            for size in [
                0,
                1,
                24,
                32,
                4096,
                1 << 20,
                (1 << 20) + 1,
                1 << 47,
                (1 << 47) + 1,
                u64::MAX,
            ] {
                requests.push((about.clone(), size, op(call, 0, alignment, size)));
            }
        }
    }
    requests
}

/// A failure as the call tells it.
fn failure(call: Call, errno: i32) -> Reply {
    Reply {
        thrown: (call.is_new() && call.operator().is_some_and(|form| !form.nothrow))
            .then_some(Thrown::BadAlloc),
        ..failed(errno)
    }
}

#[test]
fn to_what_fails() {
    let ground = Ground::new();
    let mut table = Table::default();
    let view = View::of_answers(of_c());
    for (about, size, op) in requests() {
        for errno in ERRNOS {
            let steps = [step(op, failure(op.call, errno))];
            let about = format!("errno {}, {about}", errno_name(errno));
            table.enter(about, told_size(size), verdict(&ground, &view, &steps));
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn to_what_gives_a_block() {
    let ground = Ground::new();
    let mut table = Table::default();
    let view = View::of_answers(of_c());
    for (about, size, op) in requests() {
        for offset in [0, 1, 4, 8, 16, 24, 2048, 4096] {
            let steps = [step(op, block(ground.at(HERE + offset)))];
            let about = format!("at {offset}, {about}");
            table.enter(about, told_size(size), verdict(&ground, &view, &steps));
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_subjects_that_are_held_to_the_rules_of_cpython_too() {
    let ground = Ground::new();
    let mut table = Table::default();
    let view = View::of_answers(all());
    for (about, size, op) in requests() {
        if op.call.takes_alignment() || op.call.is_new() {
            continue;
        }
        for (word, reply) in [
            ("fails", failed(libc::ENOMEM)),
            ("gives a block", block(ground.at(HERE))),
        ] {
            let said = verdict(&ground, &view, &[step(op, reply)]);
            table.enter(format!("{word}, {about}"), told_size(size), said);
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn in_other_settings() {
    let ground = Ground::new();
    let here = ground.at(HERE);
    let undead = |shadow: &mut Shadow<'_>| shadow.undead.push(here);
    let settings: [(&str, Setting<'_>); 9] = [
        ("limited", &|shadow| shadow.limit(true)),
        ("no longer limited", &|shadow| {
            shadow.limit(true);
            shadow.limit(false);
        }),
        ("calls fail", &|shadow| shadow.fail_system_calls(true)),
        ("starved", &|shadow| shadow.starved = true),
        ("another thread", &|shadow| shadow.thread = 1),
        ("few are live", &|shadow| shadow.live = 64),
        ("many are live", &|shadow| shadow.live = 65),
        ("aligned to 64 before", &|shadow| {
            shadow.ledger.note_alignment(64, true);
        }),
        ("a resize freed it", &undead),
    ];
    let calls = [
        op(Call::Malloc, 0, 0, 0),
        op(Call::Malloc, 0, 24, 0),
        op(Call::Calloc, 0, 0, 8),
        op(Call::Calloc, 0, 3, 8),
        op(Call::Realloc, 0, 0, 0),
        op(Call::Realloc, 0, 24, 0),
        op(Call::New, 0, 24, 0),
        op(Call::AlignedAlloc, 0, 16, 0),
        op(Call::AlignedAlloc, 0, 16, 64),
        op(Call::AlignedAlloc, 0, 64, 64),
        op(Call::AlignedAlloc, 0, 128, 128),
        op(Call::Memalign, 0, 64, 64),
        op(Call::Memalign, 0, 128, 128),
    ];
    let mut table = Table::default();
    for (setting, set) in settings {
        let view = View {
            setting: set,
            ..View::of_answers(of_c())
        };
        for op in calls {
            let about = |answer: &str| format!("{setting}, {answer}, {}", op.call.as_str());
            let arguments = format!("({}, {})", op.a, op.b);
            for errno in [ERRNO_BEFORE, libc::ENOMEM, libc::EINVAL] {
                let steps = [step(op, failure(op.call, errno))];
                let about = about(&format!("errno {}", errno_name(errno)));
                table.enter(about, &arguments, verdict(&ground, &view, &steps));
            }
            for (answer, errno) in [("gives", ERRNO_BEFORE), ("gives, ENOENT", libc::ENOENT)] {
                let reply = Reply {
                    errno,
                    ..block(ground.at(HERE))
                };
                let said = verdict(&ground, &view, &[step(op, reply)]);
                table.enter(about(answer), &arguments, said);
            }
            let reply = Reply {
                hampered: true,
                errno: libc::ENOENT,
                ..block(here)
            };
            let said = verdict(&ground, &view, &[step(op, reply)]);
            table.enter(about("gives, hampered, ENOENT"), &arguments, said);
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn to_what_is_not_zero() {
    let ground = Ground::new();
    let mut table = Table::default();
    let purposes = [
        None,
        Some(RuleId::CallocArgsSym),
        Some(RuleId::CallocZeroAfterOom),
        Some(RuleId::SizeBoundaries),
    ];
    for purpose in purposes {
        for starved in [false, true] {
            let view = View {
                purpose,
                setting: &|shadow| shadow.starved = starved,
                ..View::of_c()
            };
            for dirty in [None, Some(0), Some(99), Some(100)] {
                let meanwhile = || {
                    ground.renew();
                    dirty
                        .into_iter()
                        .for_each(|byte| ground.damage(HERE + byte));
                };
                for call in [Call::Calloc, Call::Recallocarray] {
                    let steps = [Step {
                        meanwhile: &meanwhile,
                        ..step(op(call, 0, 10, 10), block(ground.at(HERE)))
                    }];
                    let about = format!("{call:?}, for {purpose:?}, starved {starved}, dirty");
                    table.enter(about, format!("{dirty:?}"), verdict(&ground, &view, &steps));
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_posix_memalign() {
    let ground = Ground::new();
    let mut table = Table::default();
    let view = View::of_answers(of_c());
    let codes = [0, libc::ENOMEM, libc::EINVAL, libc::ENOENT, -1];
    let variables = [
        ("untouched", MEMPTR_BEFORE),
        ("NULL", 0),
        ("a block", ground.at(HERE)),
        ("a block at 8", ground.at(HERE + 8)),
    ];
    for alignment in ALIGNMENTS {
        for size in [0, 24, (1 << 47) + 1, (1 << 63) + 1, u64::MAX] {
            let op = op(Call::PosixMemalign, 0, alignment, size);
            for code in codes {
                for (variable, value) in variables {
                    for errno in [ERRNO_BEFORE, libc::ENOMEM] {
                        let reply = Reply {
                            value,
                            code,
                            beside: [!MEMPTR_BEFORE; 2],
                            errno,
                            ..Reply::default()
                        };
                        let errno = errno_name(errno);
                        let size = told_size(size);
                        let about = format!("{code}, {variable}, errno {errno}, size {size}");
                        let said = verdict(&ground, &view, &[step(op, reply)]);
                        table.enter(about, told_size(alignment), said);
                    }
                }
            }
        }
    }
    for beside in [[0, !MEMPTR_BEFORE], [!MEMPTR_BEFORE, 0]] {
        let reply = Reply {
            beside,
            ..block(ground.at(HERE))
        };
        let steps = [step(op(Call::PosixMemalign, 0, 64, 24), reply)];
        table.enter("beside", beside[0].min(1), verdict(&ground, &view, &steps));
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_operators() {
    let ground = Ground::new();
    let mut table = Table::default();
    let thrown = [
        None,
        Some(Thrown::BadAlloc),
        Some(Thrown::Other(c"St12length_error")),
    ];
    let handlers = [
        None,
        Some((0, true)),
        Some((2, true)),
        Some((2, false)),
        Some((0, false)),
    ];
    for call in Call::ALL.iter().copied().filter(|call| call.is_new()) {
        for size in [0, 24] {
            let op = match call.takes_alignment() {
                true => op(call, 0, 64, size),
                false => op(call, 0, size, 0),
            };
            for thrown in thrown {
                for handler in handlers {
                    for address in [0, ground.at(HERE)] {
                        if address != 0 && thrown.is_some() {
                            continue;
                        }
                        let reply = Reply {
                            value: address,
                            thrown,
                            handler: handler.map(|(calls, is_set)| HandlerState { calls, is_set }),
                            ..block(0)
                        };
                        let gives = address != 0;
                        let about = format!("{call:?}, gives {gives}, throws {thrown:?}, {size}");
                        let said = verdict(&ground, &View::of_c(), &[step(op, reply)]);
                        table.enter(about, format!("{handler:?}"), said);
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}
