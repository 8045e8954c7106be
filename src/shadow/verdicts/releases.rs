//! Releases, and questions about usable sizes.

use super::*;
use crate::shadow::Thrown;

const HERE: u64 = 0x2_0000;
const NEIGHBOUR: u64 = HERE + 128;

fn releasing() -> impl Iterator<Item = Call> {
    Call::ALL.iter().copied().filter(|call| call.frees())
}

#[test]
fn of_blocks() {
    let ground = Ground::new();
    let mut table = Table::default();
    let damages = [None, Some(HERE), Some(HERE + 99), Some(NEIGHBOUR + 9)];
    let thrown = [None, Some(Thrown::BadAlloc), Some(Thrown::Other(c"i"))];
    for call in releasing() {
        for size in [0, 100] {
            for errno in [ERRNO_BEFORE, libc::ENOENT, 0] {
                for thrown in thrown {
                    if thrown.is_some() && !call.is_delete() {
                        continue;
                    }
                    let reply = Reply {
                        thrown,
                        ..failed(errno)
                    };
                    let steps = [
                        step(op(Call::Malloc, 0, size, 0), block(ground.at(HERE))),
                        step(op(call, 0, 0, 0), reply),
                    ];
                    let errno = errno_name(errno);
                    let about = format!("errno {errno}, throws {thrown:?}, {}", call.as_str());
                    table.enter(about, size, verdict(&ground, &View::of_c(), &steps));
                }
            }
        }
        for closely in [false, true] {
            for damage in damages {
                let view = View {
                    closely,
                    ..View::of_c()
                };
                let spoil = || damage.into_iter().for_each(|byte| ground.damage(byte));
                let clears = || {
                    (HERE..HERE + 100).for_each(|offset| {
                        // SAFETY: of the ground.
                        unsafe { *ground.byte(offset) = 0 }
                    });
                };
                let harmless = op(Call::Trim, u32::MAX, 0, 0);
                let steps = [
                    step(op(Call::Malloc, 0, 100, 0), block(ground.at(HERE))),
                    step(op(Call::Malloc, 1, 10, 0), block(ground.at(NEIGHBOUR))),
                    Step {
                        meanwhile: if closely { NOTHING } else { &spoil },
                        ..step(harmless, failed(ERRNO_BEFORE))
                    },
                    Step {
                        meanwhile: if closely { &spoil } else { &clears },
                        ..step(op(call, 0, 0, 0), failed(ERRNO_BEFORE))
                    },
                ];
                let about = format!("closely {closely}, damaged {damage:x?}");
                table.enter(about, call.as_str(), verdict(&ground, &view, &steps));
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_nothing() {
    let ground = Ground::new();
    let mut table = Table::default();
    for call in releasing() {
        for errno in [ERRNO_BEFORE, libc::ENOENT] {
            let steps = [
                step(op(Call::Malloc, 0, 100, 0), block(ground.at(HERE))),
                step(op(call, u32::MAX, 0, 0), failed(errno)),
            ];
            let said = verdict(&ground, &View::of_c(), &steps);
            table.enter(format!("errno {}", errno_name(errno)), call.as_str(), said);
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_what_ought_to_be_cleared() {
    let ground = Ground::new();
    let mut table = Table::default();
    for size in [15, 16, 100] {
        for stretched in [false, true] {
            for left in [None, Some(0), Some(size / 2)] {
                let clears = || {
                    for offset in 0..size {
                        if left.is_none_or(|left| offset < left) {
                            // SAFETY: of the ground.
                            unsafe { *ground.byte(HERE + offset) = 0 };
                        }
                    }
                };
                let usable = size + if stretched { 8 } else { 0 };
                let steps = [
                    step(op(Call::Malloc, 0, size, 0), block(ground.at(HERE))),
                    step(op(Call::Stretch, 0, 0, 0), block(usable)),
                    Step {
                        meanwhile: &clears,
                        ..step(op(Call::Freezero, 0, 0, 0), failed(ERRNO_BEFORE))
                    },
                ];
                let about = format!("stretched {stretched}, left from {left:?}");
                table.enter(about, size, verdict(&ground, &View::of_c(), &steps));
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn of_usable_sizes() {
    let ground = Ground::new();
    let mut table = Table::default();
    let sizes = [
        0,
        23,
        24,
        25,
        32,
        128,
        129,
        4095,
        4096,
        4097,
        1 << 47,
        u64::MAX,
    ];
    let makers = [op(Call::Malloc, 0, 24, 0), op(Call::Pvalloc, 0, 24, 0)];
    for question in [Call::UsableSize, Call::Stretch] {
        for usable in sizes {
            let steps = [
                step(op(Call::Malloc, 0, 24, 0), block(ground.at(HERE))),
                step(op(question, u32::MAX, 0, 0), block(usable)),
            ];
            let said = verdict(&ground, &View::of_c(), &steps);
            table.enter(
                format!("{} of NULL", question.as_str()),
                told_size(usable),
                said,
            );
            for maker in makers {
                for told_before in [None, Some(24), Some(4096)] {
                    let mut steps = vec![
                        step(maker, block(ground.at(HERE))),
                        step(op(Call::Malloc, 1, 10, 0), block(ground.at(NEIGHBOUR))),
                    ];
                    if let Some(told) = told_before
                        && (told >= 4096 || maker.call == Call::Malloc)
                    {
                        steps.push(step(op(Call::UsableSize, 0, 0, 0), block(told)));
                    }
                    steps.push(step(op(question, 0, 0, 0), block(usable)));
                    let said = verdict(&ground, &View::of_c(), &steps);
                    let (question, maker) = (question.as_str(), maker.call.as_str());
                    let about = format!("{question} of {maker}, {told_before:?} before");
                    table.enter(about, told_size(usable), said);
                }
            }
        }
    }
    let stretched = |told: u64| {
        let steps = [
            step(op(Call::Malloc, 0, 24, 0), block(ground.at(HERE))),
            step(op(Call::Stretch, 0, 0, 0), block(32)),
            step(op(Call::UsableSize, 0, 0, 0), block(told)),
        ];
        verdict(&ground, &View::of_c(), &steps)
    };
    for told in [32, 40] {
        table.enter("usable of one stretched to 32", told, stretched(told));
    }
    let resized = [
        step(op(Call::Pvalloc, 0, 24, 0), block(ground.at(HERE))),
        step(op(Call::Realloc, 0, 40, 0), block(ground.at(HERE))),
        step(op(Call::UsableSize, 0, 0, 0), block(40)),
    ];
    table.enter(
        "usable of a resized",
        "40",
        verdict(&ground, &View::of_c(), &resized),
    );
    insta::assert_snapshot!(table.text());
}

/// What lies behind the bytes asked for is the block's once it was stretched, and its damage is no other rule's.
#[test]
fn of_blocks_that_were_stretched() {
    let ground = Ground::new();
    let mut table = Table::default();
    for asked in [24, 32] {
        for damaged in [0, 23, 24, 31] {
            let spoil = || ground.damage(HERE + damaged);
            let steps = [
                step(op(Call::Malloc, 0, asked, 0), block(ground.at(HERE))),
                step(op(Call::Stretch, 0, 0, 0), block(32)),
                Step {
                    meanwhile: &spoil,
                    ..step(op(Call::Trim, u32::MAX, 0, 0), failed(ERRNO_BEFORE))
                },
                step(op(Call::Free, 0, 0, 0), failed(ERRNO_BEFORE)),
            ];
            let said = verdict(&ground, &View::of_c(), &steps);
            table.enter(format!("{asked} of 32, damaged at"), damaged, said);
        }
    }
    insta::assert_snapshot!(table.text());
}

/// What is not mapped any more holds nothing.
#[test]
fn of_what_is_unmapped() {
    // SAFETY: a page of the test's own.
    let page = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0)
    };
    let unmap = || {
        // SAFETY: the page above, which nobody uses any more.
        unsafe { libc::munmap(page, 4096) };
    };
    let steps = [
        step(op(Call::Malloc, 0, 4096, 0), block(page.addr() as u64)),
        Step {
            meanwhile: &unmap,
            ..step(op(Call::Freezero, 0, 0, 0), failed(ERRNO_BEFORE))
        },
    ];
    let said = verdict(&Ground::new(), &View::of_c(), &steps);
    assert!(
        said.starts_with("nothing") && said.contains("freezero-clears"),
        "{said}"
    );
}
