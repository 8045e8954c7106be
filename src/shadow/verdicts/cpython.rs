//! What subjects of CPython's kind ask of their sources.

use super::*;
use crate::pymalloc::{Edition, Geometry, P4k8};
use crate::shadow::Event;

/// An arena, 16 pools of 16 KiB in it, and what the raw domain gives.
const ARENA: u64 = 0x10_0000;
const POOL: u64 = ARENA + 0x4000;
const FIRST: u64 = POOL + 48;
const RAW: u64 = 0x2_0000;
const OTHER: u64 = 0x3_0000;

/// An operation, what it returned, what it asked for and what was counted then.
struct Deed {
    op: Op,
    address: u64,
    events: Vec<Event>,
    counted: Option<usize>,
}

fn deed(op: Op, address: u64, events: Vec<Event>, counted: usize) -> Deed {
    Deed {
        op,
        address,
        events,
        counted: Some(counted),
    }
}

/// What can happen beneath a request for `n` bytes, about the block at `own`.
fn happenings(
    ground: &Ground,
    own: u64,
    n: usize,
    geometry: Geometry,
) -> Vec<(&'static str, Vec<Event>)> {
    let at = |offset: u64| ground.at(offset) as usize;
    let raw = |size: usize, result: usize| Event::RawMalloc { size, result };
    let arena = |size: usize, result: usize| Event::ArenaAlloc { size, result };
    let library = |size: usize| Event::Library { count: 1, size };
    let resize = |block: usize, size: usize, result: usize| Event::RawRealloc {
        block,
        size,
        result,
    };
    let calloc = |count: usize, size: usize, result: usize| Event::RawCalloc {
        count,
        size,
        result,
    };
    let [_, node] = geometry.nodes;
    let whole = geometry.arena;
    vec![
        ("nothing", vec![]),
        ("raw malloc", vec![raw(n, at(OTHER))]),
        ("raw malloc fails", vec![raw(n, 0)]),
        ("raw malloc of 1", vec![raw(1, at(OTHER))]),
        ("raw malloc, library 1", vec![library(1), raw(n, at(OTHER))]),
        ("raw malloc, library 0", vec![library(0), raw(n, at(OTHER))]),
        ("raw calloc", vec![calloc(1, n, at(OTHER))]),
        ("raw calloc swapped", vec![calloc(n, 1, at(OTHER))]),
        ("raw calloc fails", vec![calloc(1, n, 0)]),
        ("raw realloc of nothing", vec![resize(0, n, at(OTHER))]),
        ("raw realloc", vec![resize(own as usize, n, at(OTHER))]),
        (
            "raw realloc in place",
            vec![resize(own as usize, n, own as usize)],
        ),
        (
            "raw realloc of 1",
            vec![resize(own as usize, 1, own as usize)],
        ),
        ("raw realloc fails", vec![resize(own as usize, n, 0)]),
        ("raw realloc of 1 fails", vec![resize(own as usize, 1, 0)]),
        (
            "raw realloc twice",
            vec![
                resize(own as usize, n, at(OTHER)),
                resize(own as usize, n, at(OTHER)),
            ],
        ),
        (
            "raw free",
            vec![Event::RawFree {
                block: own as usize,
            }],
        ),
        (
            "raw free twice",
            vec![
                Event::RawFree {
                    block: own as usize
                };
                2
            ],
        ),
        (
            "raw free of another",
            vec![Event::RawFree { block: at(OTHER) }],
        ),
        ("arena", vec![arena(whole, at(ARENA))]),
        ("arena too small", vec![arena(whole / 2, at(ARENA))]),
        ("arena in a page", vec![arena(whole, at(ARENA) + 16)]),
        ("no arena", vec![arena(whole, 0)]),
        (
            "no arena, raw malloc",
            vec![arena(whole, 0), raw(n, at(OTHER))],
        ),
        (
            "no arena, raw malloc fails",
            vec![arena(whole, 0), raw(n, 0)],
        ),
        ("no vector", vec![resize(0, 512, 0)]),
        ("no node", vec![calloc(1, node, 0)]),
        ("node", vec![calloc(1, node, at(OTHER))]),
        (
            "arena given back",
            vec![
                arena(whole, 1 << 40),
                Event::ArenaFree {
                    base: 1 << 40,
                    size: whole,
                },
            ],
        ),
        (
            "arena given back that is mapped",
            vec![
                arena(whole, at(ARENA)),
                Event::ArenaFree {
                    base: at(ARENA),
                    size: whole,
                },
            ],
        ),
        (
            "arena given back by half",
            vec![
                arena(whole, 1 << 40),
                Event::ArenaFree {
                    base: 1 << 40,
                    size: whole / 2,
                },
            ],
        ),
        (
            "no arena given back",
            vec![Event::ArenaFree {
                base: at(ARENA),
                size: whole,
            }],
        ),
    ]
}

/// What is said to the last of these deeds; `None` if C has something to say to it already.
fn audited(
    ground: &Ground,
    geometry: Geometry,
    setting: Setting<'_>,
    deeds: &[Deed],
) -> Option<String> {
    audited_for(all(), ground, geometry, setting, deeds)
}

/// The same where these rules alone are checked.
fn audited_for(
    rules: RuleSet,
    ground: &Ground,
    geometry: Geometry,
    setting: Setting<'_>,
    deeds: &[Deed],
) -> Option<String> {
    let ledger = Ledger::new();
    let mut shadow = View::of_answers(rules).shadow(&ledger).of_layout(geometry);
    shadow.begin(&Program {
        rule: None,
        ops: deeds.iter().map(|deed| deed.op).collect(),
    });
    for (index, deed) in deeds.iter().enumerate() {
        let is_last = index + 1 == deeds.len();
        if is_last {
            setting(&mut shadow);
        }
        let op = &deed.op;
        let request = shadow.request(op);
        let reply = match deed.address {
            0 if !op.call.frees() => failed(libc::ENOMEM),
            address => block(address),
        };
        assert_eq!(shadow.prepare(index, op, &request), Ok(()), "{op:?}");
        let settled = shadow.settle(index, op, &request, &reply);
        if is_last && settled.is_err() {
            return None;
        }
        assert_eq!(settled, Ok(()), "{op:?}");
        if is_last {
            ledger.reset();
        }
        let checked = shadow.audit(index, op, &request, &reply, &deed.events, deed.counted);
        if is_last {
            let last = Step {
                op: *op,
                reply,
                meanwhile: NOTHING,
            };
            let case = Case {
                shadow: &shadow,
                last: &last,
                before: request.before,
                handed_out: shadow.handed_out(),
            };
            let pooled = match shadow.block(op.slot) {
                block if block.pooled => format!("in a pool, class {}; ", block.class),
                _ => String::new(),
            };
            return Some(pooled + &told(ground, &case, checked));
        }
        assert_eq!(checked, Ok(()), "{op:?}: {:?}", shadow.take_finding());
    }
    None
}

/// Blocks to begin with: one in a pool, one that is raw, one of nothing.
fn beginning(ground: &Ground, geometry: Geometry, size: u64) -> Vec<Deed> {
    let arena = Event::ArenaAlloc {
        size: geometry.arena,
        result: ground.at(ARENA) as usize,
    };
    let raw = Event::RawMalloc {
        size: size as usize,
        result: ground.at(RAW) as usize,
    };
    let malloc = op(Call::Malloc, 0, size, 0);
    match size {
        1..=512 => vec![deed(malloc, ground.at(FIRST), vec![arena], 1)],
        _ => vec![deed(malloc, ground.at(RAW), vec![raw], 1)],
    }
}

const PLACES: [(&str, u64); 10] = [
    ("NULL", 0),
    ("raw", OTHER),
    ("the first of a pool", FIRST),
    ("off by 8", FIRST + 8),
    ("the next of 112", FIRST + 112),
    ("the next but one", FIRST + 224),
    ("at the end of the pool", POOL + 0x4000 - 96),
    ("in the last pool", ARENA + 0xf_c000),
    ("behind the arena", ARENA + 0x10_0000),
    ("far behind the arena", ARENA + 0x10_4000),
];

fn editions() -> [(&'static str, Geometry); 2] {
    [
        ("3.13", Edition::USUAL.geometry()),
        ("2.7", Geometry::of::<P4k8>()),
    ]
}

fn place(ground: &Ground, offset: u64) -> u64 {
    match offset {
        0 => 0,
        offset => ground.at(offset),
    }
}

#[test]
fn for_new_blocks() {
    let ground = Ground::new();
    let mut table = Table::default();
    let calls = [Call::Malloc, Call::Realloc, Call::Calloc];
    for call in calls {
        for (where_, offset) in PLACES {
            // What is asked of the sources says little of where a block of theirs is not.
            let numbers = happenings(&ground, 0, 0, editions()[0].1).len();
            let numbers = match where_ {
                "NULL" | "raw" | "the next of 112" => numbers,
                _ => 1,
            };
            for number in 0..numbers {
                for size in [
                    0,
                    100,
                    512,
                    513,
                    i64::MAX as u64 - 7,
                    i64::MAX as u64,
                    1 << 63,
                ] {
                    let geometry = editions()[0].1;
                    let happenings = happenings(&ground, 0, size as usize, geometry);
                    let (happens, events) = &happenings[number];
                    let op = match call {
                        Call::Calloc => op(call, 1, 1, size),
                        _ => op(call, 1, size, 0),
                    };
                    let mut deeds = beginning(&ground, geometry, 100);
                    deeds.push(deed(op, place(&ground, offset), events.clone(), 2));
                    if let Some(said) = audited(&ground, geometry, UNSET, &deeds) {
                        let about = format!("{} gives {where_}, {happens}", call.as_str());
                        table.enter(about, told_size(size), said);
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn for_arrays() {
    let ground = Ground::new();
    let mut table = Table::default();
    let geometry = editions()[0].1;
    let most = i64::MAX as u64;
    let arrays = [
        (0, 8),
        (8, 0),
        (10, 10),
        (1, 512),
        (512, 1),
        (27, 19),
        (1, most),
        (most, 1),
        (6, most / 7),
        (7, most / 7),
        (7, most / 7 + 1),
        (1 << 32, 1 << 32),
    ];
    for (where_, offset) in [("NULL", 0), ("raw", OTHER), ("a pool's", FIRST + 112)] {
        for number in 0..5 {
            for (count, size) in arrays {
                let calloc = |count: u64, size: u64, result: u64| Event::RawCalloc {
                    count: count as usize,
                    size: size as usize,
                    result: result as usize,
                };
                let other = ground.at(OTHER);
                let (happens, events) = [
                    ("nothing", vec![]),
                    ("raw calloc", vec![calloc(count, size, other)]),
                    ("raw calloc fails", vec![calloc(count, size, 0)]),
                    ("merged", vec![calloc(1, count.wrapping_mul(size), other)]),
                    ("swapped", vec![calloc(size, count, other)]),
                ][number]
                    .clone();
                let mut deeds = beginning(&ground, geometry, 100);
                let calloc = op(Call::Calloc, 1, count, size);
                deeds.push(deed(calloc, place(&ground, offset), events, 2));
                if let Some(said) = audited(&ground, geometry, UNSET, &deeds) {
                    let about = format!("{where_}, {happens}");
                    let array = format!("{}x{}", told_size(count), told_size(size));
                    table.enter(about, array, said);
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn for_resizes_and_releases() {
    let ground = Ground::new();
    let mut table = Table::default();
    for (edition, geometry) in editions() {
        for old in [0, 16, 100, 512, 600] {
            let own = ground.at(if (1..=512).contains(&old) { FIRST } else { RAW });
            let places = [0, own, ground.at(OTHER), ground.at(FIRST + 1120)];
            for address in places {
                let where_ = match address {
                    0 => "NULL",
                    address if address == own => "where it was",
                    address if address == ground.at(OTHER) => "raw",
                    _ => "a pool's",
                };
                for number in 0..19 {
                    let sizes = [
                        0,
                        12,
                        13,
                        75,
                        84,
                        85,
                        99,
                        100,
                        105,
                        112,
                        113,
                        384,
                        385,
                        512,
                        513,
                        700,
                        i64::MAX as u64,
                        1 << 63,
                    ];
                    for size in sizes {
                        let happenings = happenings(&ground, own, size as usize, geometry);
                        let (happens, events) = &happenings[number];
                        let mut deeds = beginning(&ground, geometry, old);
                        let resize = op(Call::Realloc, 0, size, 0);
                        deeds.push(deed(resize, address, events.clone(), 1));
                        if let Some(said) = audited(&ground, geometry, UNSET, &deeds) {
                            let about = format!("{edition}, {old} resized to {where_}, {happens}");
                            table.enter(about, told_size(size), said);
                        }
                    }
                    if address == 0 {
                        let happenings = happenings(&ground, own, old as usize, geometry);
                        let (happens, events) = &happenings[number];
                        let mut deeds = beginning(&ground, geometry, old);
                        let free = op(Call::Free, 0, 0, 0);
                        deeds.push(deed(free, 0, events.clone(), 0));
                        let said = audited(&ground, geometry, UNSET, &deeds);
                        let said = said.expect("C has nothing to say");
                        table.enter(format!("{edition}, free, {happens}"), old, said);
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

/// What is said otherwise of a resize to nothing hides what is said of one that fails.
#[test]
fn for_resizes_to_nothing_that_fail() {
    let ground = Ground::new();
    let rules: RuleSet = [RuleId::ReallocZeroFail].into_iter().collect();
    let mut table = Table::default();
    let editions = ["3.13", "3.6", "2.7"].map(|version| {
        let edition: Edition = version.parse().expect(version);
        (version, edition.geometry())
    });
    for (edition, geometry) in editions {
        for (where_, address) in [
            ("NULL", 0),
            ("where it was", ground.at(RAW)),
            ("elsewhere", ground.at(OTHER)),
        ] {
            for (of, block) in [("it", RAW), ("another", OTHER)] {
                for (fails, result) in [("fails", 0), ("does not fail", ground.at(RAW))] {
                    let event = Event::RawRealloc {
                        block: ground.at(block) as usize,
                        size: 1,
                        result: result as usize,
                    };
                    let mut deeds = beginning(&ground, geometry, 600);
                    let resize = op(Call::Realloc, 0, 0, 0);
                    deeds.push(deed(resize, address, vec![event], 1));
                    let said = audited_for(rules, &ground, geometry, UNSET, &deeds);
                    let said = said.unwrap_or_else(|| "C has something to say".into());
                    table.enter(
                        format!("{edition}, raw realloc of {of} {fails}"),
                        where_,
                        said,
                    );
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn for_what_is_counted() {
    let ground = Ground::new();
    let mut table = Table::default();
    let geometry = editions()[0].1;
    let own = |old| ground.at(if (1..=512).contains(&old) { FIRST } else { RAW });
    for old in [0, 100, 600] {
        for (name, last, address) in [
            (
                "malloc",
                op(Call::Malloc, 1, 100, 0),
                ground.at(FIRST + 112),
            ),
            ("malloc of 0", op(Call::Malloc, 1, 0, 0), ground.at(OTHER)),
            (
                "calloc",
                op(Call::Calloc, 1, 1, 100),
                ground.at(FIRST + 112),
            ),
            (
                "realloc null",
                op(Call::Realloc, 1, 100, 0),
                ground.at(FIRST + 112),
            ),
            (
                "realloc null 0",
                op(Call::Realloc, 1, 0, 0),
                ground.at(OTHER),
            ),
            ("failing malloc of 0", op(Call::Malloc, 1, 0, 0), 0),
            ("realloc", op(Call::Realloc, 0, 100, 0), own(old)),
            (
                "realloc that moves",
                op(Call::Realloc, 0, 700, 0),
                ground.at(OTHER),
            ),
            ("realloc that fails", op(Call::Realloc, 0, 700, 0), 0),
            ("free", op(Call::Free, 0, 0, 0), 0),
            ("free null", op(Call::Free, u32::MAX, 0, 0), 0),
            ("usable", op(Call::UsableSize, 0, 0, 0), 5000),
        ] {
            for counted in [None, Some(0), Some(1), Some(2), Some(3)] {
                let raw = own(old) as usize;
                let size = last.size().unwrap_or(0) as usize;
                let result = address as usize;
                let is_raw = old == 0 || old == 600;
                let events = match last.call {
                    Call::Realloc if last.slot == 0 && is_raw => vec![Event::RawRealloc {
                        block: raw,
                        size,
                        result,
                    }],
                    Call::Free if last.slot == 0 && is_raw => vec![Event::RawFree { block: raw }],
                    _ if size == 0 && last.slot == 1 || size == 700 => {
                        vec![Event::RawMalloc { size, result }]
                    }
                    _ => vec![],
                };
                let mut deeds = beginning(&ground, geometry, old);
                if old != 100 {
                    // So that there is an arena.
                    let mut first = beginning(&ground, geometry, 100).remove(0);
                    first.op.slot = 2;
                    first.counted = None;
                    deeds.insert(0, first);
                }
                deeds.push(Deed {
                    counted,
                    ..deed(last, address, events, 0)
                });
                let said = audited(&ground, geometry, UNSET, &deeds);
                table.enter(
                    format!("with one of {old}, {name}"),
                    format!("{counted:?}"),
                    said.unwrap_or_else(|| "C has something to say".into()),
                );
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn for_arenas_that_are_displaced() {
    let ground = Ground::new();
    let mut table = Table::default();
    let geometry = editions()[0].1;
    for displaced in [0, 16, 4096, 0x1000 - 16] {
        let base = ARENA + displaced;
        for offset in [
            POOL - ARENA + 48,
            0x10_0000 - 112,
            0x10_0000,
            0x10_0000 + 4096,
            0x10_4000 - 16,
            0x10_4000 + 4096,
        ] {
            let arena = Event::ArenaAlloc {
                size: geometry.arena,
                result: ground.at(base) as usize,
            };
            let shift = |shadow: &mut Shadow<'_>| shadow.shift_arenas(displaced);
            let raw = Event::RawMalloc {
                size: 16,
                result: ground.at(ARENA + offset) as usize,
            };
            let malloc = op(Call::Malloc, 0, 16, 0);
            for (about, events) in [("", vec![arena]), (", raw", vec![arena, raw])] {
                let deeds = [deed(malloc, ground.at(ARENA + offset), events, 1)];
                let said = audited(&ground, geometry, &shift, &deeds);
                let said = said.expect("C has nothing to say");
                table.enter(
                    format!("by {displaced}{about}"),
                    format!("{offset:#x}"),
                    said,
                );
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn where_the_sources_are_not_seen() {
    let ground = Ground::new();
    let mut table = Table::default();
    for call in [
        Call::Malloc,
        Call::Calloc,
        Call::Realloc,
        Call::Valloc,
        Call::Free,
    ] {
        for live in [false, true] {
            for short in [false, true] {
                for (size, value) in [(0, 0), (0, RAW), (8, 0), (8, RAW)] {
                    let ledger = Ledger::new();
                    let mut shadow = View::of_answers(all()).shadow(&ledger);
                    shadow.limit(short);
                    let op = match call {
                        Call::Calloc => op(call, 0, 1, size),
                        _ => op(call, 0, size, 0),
                    };
                    let before = Block {
                        address: if live { ground.at(OTHER) } else { 0 },
                        ..Block::empty()
                    };
                    let reply = block(value);
                    let checked = shadow.audit_unseen(0, &op, &Request { before }, &reply);
                    let found = shadow.take_finding().map(|finding| finding.rule);
                    table.enter(
                        format!("{}, live {live}, short {short}", call.as_str()),
                        format!("{size}->{}", value.min(1)),
                        format!("{checked:?} {found:?}, exercises {}", exercised(&ledger)),
                    );
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

/// Where blocks were given back, the next is no longer the one behind the last.
#[test]
fn of_the_order_in_a_pool() {
    let ground = Ground::new();
    let geometry = editions()[0].1;
    let rule = |between: Option<Deed>| {
        let mut deeds = beginning(&ground, geometry, 100);
        deeds.extend(between);
        let malloc = op(Call::Malloc, 2, 100, 0);
        deeds.push(deed(malloc, ground.at(FIRST + 224), vec![], 0));
        deeds.iter_mut().for_each(|deed| deed.counted = None);
        audited(&ground, geometry, UNSET, &deeds).expect("C has nothing to say")
    };
    let told = |said: &str| said.contains("class-index: ");
    assert!(told(&rule(None)));
    let other = op(Call::Malloc, 1, 20, 0);
    assert!(told(&rule(Some(deed(
        other,
        ground.at(POOL + 0x4030),
        vec![],
        0
    )))));
    let moved = op(Call::Realloc, 0, 20, 0);
    assert!(!told(&rule(Some(deed(
        moved,
        ground.at(POOL + 0x4030),
        vec![],
        0
    )))));
    let freed = op(Call::Free, 0, 0, 0);
    assert!(!told(&rule(Some(deed(freed, 0, vec![], 0)))));
    let stays = op(Call::Realloc, 0, 99, 0);
    assert!(told(&rule(Some(deed(stays, ground.at(FIRST), vec![], 0)))));
}
