//! Which rule a death is laid to.

use super::*;
use crate::shadow::{Death, Moment, attribute_death};

/// The last operation of each is the one that the process dies in.
const PROGRAMS: [&str; 58] = [
    "free null",
    "p0 = malloc 24\nfree p0",
    "p0 = malloc 0\nfree p0",
    "p0 = memalign 64 24\nfree p0",
    "p0 = memalign 16 24\nfree p0",
    "p0 = memalign 64 24\nfree p0\np0 = malloc 8\nfree p0",
    "p0 = memalign 64 24\np0 = realloc p0 0\nfree p0",
    "p0 = valloc 24\nfree p0",
    "usable null",
    "p0 = malloc 24\nusable p0",
    "p0 = malloc 0\nusable p0",
    "p0 = memalign 64 24\nusable p0",
    "p0 = malloc 24\nstretch p0",
    "p0 = memalign 64 24\nstretch p0",
    "free_sized null 8",
    "free_aligned_sized null 8 8",
    "freezero null 8",
    "p0 = malloc 24\nfree_sized p0",
    "p0 = aligned_alloc 64 24\nfree_aligned_sized p0",
    "p0 = malloc 24\nfreezero p0",
    "delete null",
    "delete_sized null 8",
    "p0 = new 24\ndelete p0",
    "p0 = new 24\ndelete_sized p0",
    "p0 = new_aligned 64 24\ndelete_aligned p0",
    "p0 = new_aligned 64 24\ndelete_sized_aligned p0",
    "p0 = new 0\ndelete p0",
    "p0 = new 24",
    "p0 = new 0",
    "p0 = new 4294967295",
    "p0 = new 4294967296",
    "p0 = new_nothrow 4294967296",
    "p0 = new 18446744073709551615",
    "p0 = malloc 24",
    "p0 = malloc 0",
    "p0 = malloc 4294967295",
    "p0 = malloc 4294967296",
    "p0 = malloc 18446744073709551615",
    "p0 = calloc 0 8",
    "p0 = calloc 3 8",
    "p0 = calloc 4294967296 4294967296",
    "p0 = aligned_alloc 3 24",
    "p0 = aligned_alloc 64 24",
    "p0 = aligned_alloc 64 0",
    "p0 = posix_memalign 3 24",
    "p0 = posix_memalign 4 24",
    "p0 = posix_memalign 8 24",
    "p0 = posix_memalign 4095 24",
    "p0 = posix_memalign 4096 24",
    "p0 = posix_memalign 8 0",
    "p0 = memalign 24 24",
    "p0 = memalign 64 24",
    "p0 = realloc null 24",
    "p0 = malloc 24\np0 = realloc p0 48",
    "p0 = malloc 0\np0 = realloc p0 48",
    "p0 = memalign 64 24\np0 = realloc p0 48",
    "p0 = realloc null 8\np0 = realloc p0 48",
    "p0 = malloc 24\np0 = malloc 8",
];

const MOMENTS: [Moment; 8] = [
    Moment::Idle,
    Moment::Call,
    Moment::Touch,
    Moment::Verify,
    Moment::Ending,
    Moment::Beside,
    Moment::Fork,
    Moment::Born,
];

pub(super) fn parsed(lines: &str) -> Program {
    let program = Program::parse(&format!("# allocspec trace 1\n{lines}\n"));
    program.unwrap_or_else(|error| panic!("{lines}: {error}"))
}

fn signal(signal: i32) -> Death {
    Death::Signal {
        signal,
        address: None,
    }
}

#[test]
fn in_a_call() {
    let mut table = Table::default();
    for (setting, before) in [
        ("usually", ""),
        ("limited", "limit 1000000\n"),
        ("no longer limited", "limit 1000000\nlimit none\n"),
        ("signals come", "under signals 100\n"),
    ] {
        for lines in PROGRAMS {
            if lines.ends_with("p0 = malloc 8") {
                continue;
            }
            let program = parsed(&format!("{before}{lines}"));
            let index = program.ops.len() - 1;
            for (death, how) in [
                ("crash", signal(libc::SIGSEGV)),
                ("exit", Death::Exit { status: 0 }),
                ("hang", Death::Hang { millis: 100 }),
                ("killed", signal(libc::SIGKILL)),
            ] {
                let rule =
                    attribute_death(&program, index, Moment::Call, how, (0, 0), &all()).to_string();
                let without = attribute_death(&program, index, Moment::Call, how, (0, 0), &of_c());
                let rule = match without.as_str() == rule {
                    true => rule,
                    false => format!("{rule}, of C alone {without}"),
                };
                let lines = lines.replace('\n', "; ");
                table.enter(format!("{setting}: {lines}"), death, rule);
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn at_other_moments() {
    let mut table = Table::default();
    let deaths = [
        ("SIGSEGV", signal(libc::SIGSEGV)),
        ("SIGBUS", signal(libc::SIGBUS)),
        ("SIGABRT", signal(libc::SIGABRT)),
        ("SIGKILL", signal(libc::SIGKILL)),
        ("exit", Death::Exit { status: 1 }),
        ("hang", Death::Hang { millis: 9 }),
    ];
    let programs = [
        "p0 = malloc 24",
        "p0 = malloc 24\nstretch p0",
        "p0 = malloc 24\np0 = realloc p0 48",
        "p0 = malloc 24\nfree p0",
        "under closed descriptors\np0 = malloc 24",
    ];
    for lines in programs {
        let program = parsed(lines);
        for moment in MOMENTS {
            for (name, death) in deaths {
                for index in [program.ops.len() - 1, program.ops.len()] {
                    let rule = attribute_death(&program, index, moment, death, (0, 0), &all());
                    let last = index < program.ops.len();
                    let lines = lines.replace('\n', "; ");
                    let about = format!("{moment:?}, in it {last}, {lines}");
                    table.enter(about, name, rule.to_string());
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

#[test]
fn by_the_address() {
    let mut table = Table::default();
    let program = parsed("p0 = malloc 24\np0 = realloc p0 48");
    for resized in [(0, 0), (0x10000, 24), (u64::MAX - 8, 24)] {
        for address in [
            0,
            0x10000,
            0x10017,
            0x10018,
            0x10000 + (64 << 20),
            0x10018 + (64 << 20),
        ] {
            let death = Death::Signal {
                signal: libc::SIGSEGV,
                address: Some(address),
            };
            let rule = attribute_death(&program, 1, Moment::Call, death, resized, &all());
            table.enter(
                format!("resizing {resized:x?}, fault"),
                format!("{address:#x}"),
                rule.to_string(),
            );
        }
    }
    insta::assert_snapshot!(table.text());
}
