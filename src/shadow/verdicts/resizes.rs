//! Resizes: what becomes of the block, of what it held, and of its neighbour.

use super::*;
use crate::shadow::contents::WHOLE;

const HERE: u64 = 0x2_0000;
const NEIGHBOUR: u64 = 0x6_0000;
const THERE: u64 = 0x8_0000;

/// What a subject does to memory while it resizes.
#[derive(Clone, Copy, Debug)]
enum Care {
    /// Copies all that is to be kept.
    Copies,
    /// All but the last byte of it.
    Short,
    /// All, and changes the byte at this offset of where the block was.
    SpoilsOld(u64),
    /// All, and changes this byte of a neighbour.
    SpoilsNeighbour(u64),
    /// All, and fills what is added with zeros, and what was before.
    Clears,
}

/// A block of `size` bytes made by `maker`, resized to `wanted` with this answer.
struct Resize {
    maker: Op,
    call: Op,
    /// Where it lies then, none if the call fails with the errno.
    to: Option<u64>,
    errno: i32,
    care: Care,
}

impl Resize {
    fn verdict(&self, ground: &Ground, view: &View<'_>) -> String {
        ground.renew();
        let old = self.maker.size().unwrap_or(0);
        let new = self.call.size().unwrap_or(0).min(old);
        let meanwhile = || {
            let kept = match self.care {
                Care::Short => new.saturating_sub(1),
                _ => new,
            };
            if let Some(to) = self.to.filter(|&to| to != HERE) {
                ground.copy(HERE, to, kept);
            } else if matches!(self.care, Care::Short) && kept > 0 {
                ground.damage(HERE + kept);
            }
            match self.care {
                Care::SpoilsOld(offset) => ground.damage(HERE + offset),
                Care::SpoilsNeighbour(offset) => ground.damage(NEIGHBOUR + offset),
                Care::Clears => {
                    let gone = match self.to {
                        Some(HERE) => HERE + new..HERE + old,
                        _ => HERE..HERE + old,
                    };
                    for offset in gone {
                        // SAFETY: of the ground.
                        unsafe { *ground.byte(offset) = 0 };
                    }
                }
                Care::Copies | Care::Short => {}
            }
            // Nobody may think that what follows is the block's.
            if let (Some(to), Some(size)) = (self.to, self.call.size())
                && size < 5 * WHOLE
            {
                // SAFETY: of the ground.
                unsafe { *ground.byte(to + size) = 1 };
            }
        };
        let reply = Reply {
            errno: self.errno,
            ..block(self.to.map_or(0, |to| ground.at(to)))
        };
        let maker = block(ground.at(HERE));
        let neighbour = block(ground.at(NEIGHBOUR));
        let steps = [
            step(self.maker, maker),
            step(op(Call::Malloc, 1, 100, 0), neighbour),
            Step {
                op: self.call,
                reply,
                meanwhile: &meanwhile,
            },
        ];
        verdict(ground, view, &steps)
    }
}

/// As it is after a call that says what it has to.
fn errno_of(to: Option<u64>) -> i32 {
    to.map_or(libc::ENOMEM, |_| ERRNO_BEFORE)
}

fn resizing(call: Call, size: u64) -> Op {
    match call.takes_count() {
        true => op(call, 0, 1, size),
        false => op(call, 0, size, 0),
    }
}

const CALLS: [Call; 4] = [
    Call::Realloc,
    Call::Reallocarray,
    Call::Reallocf,
    Call::Recallocarray,
];

#[test]
fn to_where_they_end() {
    let ground = Ground::new();
    let mut table = Table::default();
    let makers = [
        op(Call::Malloc, 0, 0, 0),
        op(Call::Malloc, 0, 24, 0),
        op(Call::Memalign, 0, 64, 24),
        op(Call::Memalign, 0, 16, 24),
        op(Call::Malloc, 0, WHOLE + 100, 0),
    ];
    let answers = [
        None,
        Some(HERE),
        Some(THERE),
        Some(THERE + 8),
        Some(THERE + 1),
        Some(NEIGHBOUR),
        Some(NEIGHBOUR + 96),
    ];
    let sizes = [
        0,
        4,
        8,
        23,
        24,
        25,
        100,
        WHOLE,
        WHOLE + 1,
        WHOLE + 200,
        (1 << 47) + 1,
        u64::MAX,
    ];
    for (rules, set) in [("C", of_c()), ("all", all())] {
        let view = View {
            rules: set,
            ..View::of_c()
        };
        for maker in makers {
            for call in CALLS {
                for to in answers {
                    for size in sizes {
                        let resize = Resize {
                            maker,
                            call: resizing(call, size),
                            to,
                            errno: errno_of(to),
                            care: Care::Clears,
                        };
                        let [a, b] = [maker.a, maker.b];
                        let to = to.map(|to| format!("{to:#x}")).unwrap_or("NULL".into());
                        let call = call.as_str();
                        let made = format!("{} {a} {b}", maker.call.as_str());
                        let about = format!("{rules}: {made}, {call} to {to}");
                        table.enter(about, told_size(size), resize.verdict(&ground, &view));
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn by_what_they_do_to_memory() {
    let ground = Ground::new();
    let mut table = Table::default();
    let cares = [
        Care::Copies,
        Care::Short,
        Care::SpoilsOld(0),
        Care::SpoilsOld(23),
        Care::SpoilsNeighbour(0),
        Care::SpoilsNeighbour(99),
        Care::Clears,
    ];
    for closely in [false, true] {
        let view = View {
            closely,
            ..View::of_c()
        };
        for call in CALLS {
            for old in [24, 100, 3 * WHOLE] {
                for to in [None, Some(HERE), Some(THERE)] {
                    for care in cares {
                        for size in [8, 24, 40, 200, 2 * WHOLE, 4 * WHOLE] {
                            let resize = Resize {
                                maker: op(Call::Malloc, 0, old, 0),
                                call: resizing(call, size),
                                to,
                                errno: errno_of(to),
                                care,
                            };
                            let about = format!(
                                "closely {closely}, {} of {old} to {to:x?}, {care:?}",
                                call.as_str()
                            );
                            table.enter(about, size, resize.verdict(&ground, &view));
                        }
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn by_what_they_say() {
    let ground = Ground::new();
    let mut table = Table::default();
    for (setting, set) in [
        ("usual", UNSET),
        ("limited", &|shadow: &mut Shadow<'_>| shadow.limit(true)),
        ("another thread", &|shadow: &mut Shadow<'_>| {
            shadow.thread = 1;
        }),
        ("freed seven", &|shadow: &mut Shadow<'_>| {
            shadow.undead.extend([1; 7]);
        }),
    ] {
        let view = View {
            setting: set,
            ..View::of_c()
        };
        for call in CALLS {
            for size in [0, 24, 100] {
                for errno in [ERRNO_BEFORE, libc::ENOMEM, libc::EINVAL, libc::EAGAIN, 0] {
                    for to in [None, Some(HERE)] {
                        let resize = Resize {
                            maker: op(Call::Malloc, 0, 24, 0),
                            call: resizing(call, size),
                            to,
                            errno,
                            care: to.map_or(Care::Copies, |_| Care::Clears),
                        };
                        let about = format!(
                            "{setting}, {} to {to:x?}, errno {}",
                            call.as_str(),
                            errno_name(errno)
                        );
                        table.enter(about, size, resize.verdict(&ground, &view));
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

/// What was resized holds what it should for whoever looks at it next.
#[test]
fn so_that_they_can_be_looked_at() {
    let ground = Ground::new();
    let sizes = [8, 24, 100, WHOLE, WHOLE + 1, 3 * WHOLE];
    for (old, new) in sizes
        .into_iter()
        .flat_map(|old| sizes.map(|new| (old, new)))
    {
        for to in [HERE, THERE] {
            ground.renew();
            let copies = || ground.copy(HERE, to, old.min(new));
            let spoils = || ground.damage(to);
            for (meanwhile, said) in [(NOTHING, "nothing"), (&spoils, "content-stable")] {
                let steps = [
                    step(op(Call::Malloc, 0, old, 0), block(ground.at(HERE))),
                    Step {
                        meanwhile: &copies,
                        ..step(resizing(Call::Realloc, new), block(ground.at(to)))
                    },
                    Step {
                        meanwhile,
                        ..step(op(Call::Trim, u32::MAX, 0, 0), failed(ERRNO_BEFORE))
                    },
                    step(op(Call::Free, 0, 0, 0), failed(ERRNO_BEFORE)),
                ];
                let found = verdict(&ground, &View::of_c(), &steps);
                assert!(
                    found.starts_with(said),
                    "{old} to {new} at {to:#x}: {found}"
                );
            }
        }
    }
}

/// Of blocks that a resize to nothing may have freed only so many are remembered.
#[test]
fn to_nothing_that_may_free() {
    let ground = Ground::new();
    for (before, noted) in [(0, true), (7, true), (8, false)] {
        let mut steps = Vec::new();
        for slot in 0..=before {
            let place = ground.at(HERE + 4096 * u64::from(slot));
            steps.push(step(op(Call::Malloc, slot, 24, 0), block(place)));
            steps.push(step(op(Call::Realloc, slot, 0, 0), failed(libc::EINVAL)));
        }
        let last = ground.at(HERE + 4096 * u64::from(before));
        steps.push(step(op(Call::Malloc, before + 1, 24, 0), block(last)));
        let said = verdict(&ground, &View::of_c(), &steps);
        assert_eq!(said.contains("ReallocZeroFreed"), noted, "{before}: {said}");
    }
}
