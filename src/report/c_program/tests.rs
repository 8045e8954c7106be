//! Every kind of evidence, compiled and run on the machine's C library: a claim that holds must not be shown broken,
//! and a claim that does not hold must be.

mod life;

use super::*;
use crate::program::{NO_SLOT, Op, Slot, Syscall};
use crate::report::sample::{case, failed, gave, rule, subject};
use crate::shadow::{Moment, Outcome};
use std::path::PathBuf;
use std::process::Command;

const MALLOC: Op = Op::new(Call::Malloc, 0, 100, 0);
const FREE: Op = Op::new(Call::Free, 0, 0, 0);

fn malloc(slot: Slot, size: u64) -> Op {
    Op::new(Call::Malloc, slot, size, 0)
}

/// What a C program came to: its status and what it said.
#[derive(Debug, PartialEq)]
struct Ran {
    status: Option<i32>,
    said: String,
}

/// The program in C for the machine's own allocator, compiled at both ends of the optimiser and run. `None` without a
/// compiler.
fn run(case: &Case) -> Option<Ran> {
    let mut system = subject("system");
    system.kind = "system";
    system.path = None;
    let text = c_program(case, &system, &rule(case.finding.rule), Path::new("x.c"))
        .expect("the case can be had in C");
    compile_and_run(&text, &[])
}

/// The program compiled with these arguments too.
fn compile_and_run(text: &str, arguments: &[&str]) -> Option<Ran> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let c: PathBuf = directory.path().join("x.c");
    std::fs::write(&c, text).expect("room for a C program");
    let mut ran = Vec::new();
    for optimisation in ["-O0", "-O2"] {
        let program = directory.path().join("x");
        let cc = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", optimisation, "-o"])
            .arg(&program)
            .arg(&c)
            .args(arguments)
            .output();
        let Ok(cc) = cc else {
            eprintln!("skipped: there is no `cc`");
            return None;
        };
        assert!(
            cc.status.success(),
            "{}\n{text}",
            String::from_utf8_lossy(&cc.stderr)
        );
        let output = Command::new(program).output().expect("the program starts");
        ran.push(Ran {
            status: output.status.code(),
            said: String::from_utf8_lossy(&output.stdout).into_owned(),
        });
    }
    assert_eq!(ran[0].status, ran[1].status, "{ran:?}\n{text}");
    ran.pop()
}

fn not_shown(rule: RuleId, ops: &[Op], outcomes: &[Outcome], evidence: Evidence) {
    let case = case(rule, ops, outcomes, evidence);
    if let Some(ran) = run(&case) {
        assert_eq!(ran.said, "not shown\n", "{case:?}");
        assert_eq!(ran.status, Some(0));
    }
}

fn shown(rule: RuleId, ops: &[Op], outcomes: &[Outcome], evidence: Evidence, says: &str) {
    let case = case(rule, ops, outcomes, evidence);
    if let Some(ran) = run(&case) {
        assert!(ran.said.starts_with("broken: "), "{ran:?}");
        assert!(ran.said.contains(says), "{ran:?}");
        assert_eq!(ran.status, Some(1));
    }
}

#[test]
fn a_program_in_full() {
    let case = crate::report::sample::realloc_fail_keeps();
    let rule = rule(RuleId::ReallocFailKeeps);
    let text = c_program(&case, &subject("./libfast.so"), &rule, Path::new("x.c"));
    insta::assert_snapshot!(text.expect("the case can be had in C"));
}

#[test]
fn a_block_where_there_must_be_none() {
    let evidence = Evidence::UnexpectedPointer { address: 0x1000 };
    let huge = malloc(0, u64::MAX - 8);
    not_shown(RuleId::HugeMustFail, &[huge], &[gave(16)], evidence.clone());
    let overflow = Op::new(Call::Calloc, 0, 1 << 32, 1 << 32);
    not_shown(
        RuleId::CallocWrap,
        &[overflow],
        &[gave(16)],
        evidence.clone(),
    );
    let ops = [MALLOC, Op::new(Call::Reallocarray, 0, u64::MAX, 2)];
    not_shown(
        RuleId::ReallocarrayOverflow,
        &ops,
        &[gave(16)],
        evidence.clone(),
    );
    shown(
        RuleId::HugeMustFail,
        &[MALLOC],
        &[gave(16)],
        evidence,
        "malloc(100)",
    );
}

#[test]
fn no_block_where_there_must_be_one() {
    let product = Op::new(Call::Calloc, 1, 10, 10).expecting(Expect::AsBefore);
    let ops = [MALLOC, product];
    let none = Evidence::UnexpectedNull;
    not_shown(RuleId::CallocNoFalseWrap, &ops, &[gave(16)], none.clone());
    let ops = [MALLOC, malloc(1, u64::MAX).expecting(Expect::AsBefore)];
    shown(
        RuleId::CallocNoFalseWrap,
        &ops,
        &[gave(16)],
        none.clone(),
        "errno 12",
    );
    // Measured against the same request before the limit, and not against the one under it.
    let limit = |bytes| Op::new(Call::Limit, NO_SLOT, bytes, 0);
    let again = malloc(3, u64::MAX).expecting(Expect::AsEarlier);
    let ops = [limit(4096), malloc(1, u64::MAX), limit(0), again];
    not_shown(RuleId::OomRecovers, &ops, &[], none.clone());
    let ops = [malloc(0, 100), limit(1 << 20), malloc(1, 100)];
    let scarce = case(RuleId::OomRecovers, &ops, &[gave(16)], none.clone());
    let rule = rule(RuleId::OomRecovers);
    assert_eq!(
        c_program(&scarce, &subject("x.so"), &rule, &PathBuf::from("a.c")),
        None
    );
    let aligned = Op::new(Call::PosixMemalign, 0, 24, 10).expecting(Expect::Pointer);
    shown(
        RuleId::AlignLarge,
        &[aligned],
        &[gave(22)],
        none,
        "error 22",
    );
}

#[test]
fn a_bad_or_misaligned_address() {
    let bad = Evidence::BadAddress { address: 8 };
    not_shown(RuleId::AllocNonnullUsable, &[MALLOC], &[gave(16)], bad);
    let aligned = Op::new(Call::PosixMemalign, 0, 4096, 10);
    let misaligned = |alignment| Evidence::Misaligned {
        address: 24,
        alignment,
    };
    not_shown(
        RuleId::AlignPosixMemalign,
        &[aligned],
        &[gave(24)],
        misaligned(4096),
    );
    let ops = [Op::new(Call::Memalign, 0, 64, 10)];
    not_shown(RuleId::AlignMemalign, &ops, &[gave(24)], misaligned(64));
    let huge = misaligned(1 << 46);
    shown(
        RuleId::AlignFundamentalFit,
        &[MALLOC],
        &[gave(24)],
        huge,
        "not a multiple",
    );
}

fn overlap(other: Slot) -> Evidence {
    Evidence::Overlap {
        address: 0x1000,
        size: 100,
        other,
        other_address: 0x1000,
        other_size: 100,
    }
}

#[test]
fn blocks_that_overlap() {
    let never = Op::new(Call::Realloc, 0, i64::MAX as u64, 0);
    let ops = [MALLOC, never, malloc(1, 100)];
    let outcomes = [gave(16), failed(libc::ENOMEM)];
    not_shown(RuleId::ReallocFailKeeps, &ops, &outcomes, overlap(0));
    let ops = [MALLOC, malloc(1, 0), Op::new(Call::Stretch, 0, 0, 0)];
    not_shown(
        RuleId::UsableDisjoint,
        &ops,
        &[gave(16), gave(32)],
        overlap(1),
    );
    // The harness took the block for live; it is not, and the C library uses its memory again.
    let ops = [MALLOC, FREE, MALLOC];
    shown(RuleId::Disjoint, &ops, &[gave(16)], overlap(0), "overlaps");
}

fn contents(slot: Slot) -> Evidence {
    Evidence::Contents {
        slot,
        address: 0x1000,
        size: 100,
        offset: 3,
        stored: 1,
        found: 2,
    }
}

#[test]
fn contents_that_change() {
    let realloc = |size| Op::new(Call::Realloc, 0, size, 0);
    let sweep = Op::new(Call::Sweep, NO_SLOT, 0, 0);
    let stretch = Op::new(Call::Stretch, 0, 0, 0);
    let other = malloc(1, 5000);
    let programs: [&[Op]; 6] = [
        &[MALLOC, realloc(200)],
        &[MALLOC, other, realloc(1_000_000), realloc(10)],
        &[MALLOC, realloc(u64::MAX)],
        &[MALLOC, stretch, other, sweep],
        &[MALLOC, stretch, FREE],
        &[MALLOC, other, Op::new(Call::Trim, NO_SLOT, 0, 0)],
    ];
    for ops in programs {
        not_shown(RuleId::ReallocContent, ops, &[], contents(0));
    }
    let large = [malloc(0, 100 << 20), realloc(90 << 20), FREE];
    not_shown(RuleId::ReallocContent, &large, &[], contents(0));
}

#[test]
fn memory_that_is_not_zero() {
    let dirty = Evidence::NotZero {
        address: 0x1000,
        size: 100,
        offset: 3,
        found: 0xa5,
    };
    let calloc = Op::new(Call::Calloc, 1, 10, 10);
    let ops = [MALLOC, FREE, calloc];
    not_shown(RuleId::CallocZero, &ops, &[], dirty.clone());
    let ops = [MALLOC, FREE, MALLOC];
    shown(RuleId::CallocZero, &ops, &[], dirty, "not 0");
}

#[test]
fn errno_after_a_call() {
    let errno = |after, wanted| Evidence::Errno {
        before: 4242,
        after,
        wanted,
    };
    let huge = [malloc(0, u64::MAX)];
    let none = [failed(0)];
    not_shown(RuleId::ErrnoNeverZeroed, &huge, &none, errno(0, None));
    not_shown(
        RuleId::MallocErrno,
        &huge,
        &none,
        errno(4242, Some(libc::ENOMEM)),
    );
    let kept = errno(2, Some(4242));
    not_shown(RuleId::FreeErrno, &[MALLOC, FREE], &[], kept.clone());
    shown(RuleId::ErrnoSuccess, &huge, &none, kept, "errno 12");
    shown(
        RuleId::MallocErrno,
        &huge,
        &none,
        errno(12, None),
        "errno 12",
    );
}

#[test]
fn what_posix_memalign_returns() {
    let memalign = |alignment| [Op::new(Call::PosixMemalign, 0, alignment, 10)];
    let code = |returned, wanted| Evidence::Code { returned, wanted };
    let einval = code(0, Some(libc::EINVAL));
    not_shown(
        RuleId::PmaEinval,
        &memalign(24),
        &[gave(16)],
        einval.clone(),
    );
    not_shown(
        RuleId::PmaReturnsError,
        &memalign(64),
        &[gave(0)],
        code(-1, None),
    );
    not_shown(
        RuleId::PmaReturnsError,
        &memalign(64),
        &[gave(0)],
        code(0, None),
    );
    shown(
        RuleId::PmaEinval,
        &memalign(64),
        &[gave(16)],
        einval,
        "returned 0",
    );
    let seen = code(22, None);
    shown(
        RuleId::PmaReturnsError,
        &memalign(24),
        &[gave(22)],
        seen,
        "returned 22",
    );
}

#[test]
fn the_pointer_variable_of_posix_memalign() {
    let memptr = Evidence::Memptr {
        before: 0x1000,
        after: 0x2000,
    };
    let invalid = [Op::new(Call::PosixMemalign, 0, 24, 10)];
    let valid = [Op::new(Call::PosixMemalign, 0, 64, 10)];
    not_shown(RuleId::PmaMemptr, &invalid, &[gave(22)], memptr.clone());
    not_shown(
        RuleId::PmaMemptrUntouched,
        &invalid,
        &[gave(22)],
        memptr.clone(),
    );
    not_shown(RuleId::PmaMemptrSuccess, &valid, &[gave(16)], memptr);
}

#[test]
fn usable_sizes() {
    let usable = |wanted| Evidence::Usable { usable: 0, wanted };
    let ask = Op::new(Call::UsableSize, 0, 0, 0);
    let ask_null = Op::new(Call::UsableSize, NO_SLOT, 0, 0);
    not_shown(RuleId::UsableGe, &[MALLOC, ask], &[], usable(100));
    not_shown(RuleId::UsableNull, &[ask_null], &[], usable(0));
    let ops = [MALLOC, ask, malloc(1, 7), ask];
    not_shown(RuleId::UsableStable, &ops, &[], usable(104));
    let ops = [Op::new(Call::Pvalloc, 0, 5000, 0)];
    not_shown(RuleId::AlignPvalloc, &ops, &[], usable(8192));
    let much = usable(1 << 40);
    shown(
        RuleId::UsableGe,
        &[MALLOC, ask],
        &[],
        much,
        "malloc_usable_size(p0)",
    );
}

#[test]
fn blocks_that_move_or_do_not() {
    let moved = |from, to| Evidence::Moved { from, to };
    let realloc = |size, expect| Op::new(Call::Realloc, 0, size, 0).expecting(expect);
    let shrunk = [MALLOC, realloc(90, Expect::SamePointer)];
    not_shown(RuleId::ReallocContent, &shrunk, &[], moved(0x10, 0x20));
    shown(
        RuleId::ReallocContent,
        &shrunk,
        &[],
        moved(0x10, 0x10),
        "another address",
    );
}

#[test]
fn a_process_that_dies() {
    let died = |death, moment| Evidence::Died {
        death,
        moment,
        said: String::new(),
    };
    let segv = Death::Signal {
        signal: libc::SIGSEGV,
        address: Some(0),
    };
    let hang = Death::Hang { millis: 1000 };
    let exit = Death::Exit { status: 0 };
    let sized = Op::new(Call::FreeSized, NO_SLOT, 10, 0);
    let sweep = Op::new(Call::Sweep, NO_SLOT, 0, 0);
    let free_null = Op::new(Call::Free, NO_SLOT, 0, 0);
    not_shown(
        RuleId::FreeNull,
        &[free_null],
        &[],
        died(segv, Moment::Call),
    );
    not_shown(
        RuleId::SizedFreeNull,
        &[sized],
        &[],
        died(segv, Moment::Call),
    );
    not_shown(
        RuleId::CallReturns,
        &[MALLOC, FREE],
        &[],
        died(hang, Moment::Call),
    );
    not_shown(
        RuleId::CallReturns,
        &[MALLOC, FREE],
        &[],
        died(exit, Moment::Call),
    );
    not_shown(
        RuleId::AllocNonnullUsable,
        &[MALLOC],
        &[],
        died(segv, Moment::Touch),
    );
    not_shown(
        RuleId::ContentStable,
        &[MALLOC, FREE],
        &[],
        died(segv, Moment::Verify),
    );
    not_shown(
        RuleId::ContentStable,
        &[MALLOC, sweep],
        &[],
        died(segv, Moment::Verify),
    );
    not_shown(RuleId::CallReturns, &[], &[], died(exit, Moment::Idle));
    // An address that is none, freed: the C library notices, complains and aborts.
    let trap = [malloc(0, 1 << 60), MALLOC, FREE, FREE];
    let outcomes = [failed(libc::ENOMEM), gave(16), gave(0)];
    let twice = case(
        RuleId::CallReturns,
        &trap,
        &outcomes,
        died(segv, Moment::Call),
    );
    if let Some(ran) = run(&twice) {
        assert_eq!(ran.said, "broken: signal 6 in free(p0)\n");
        assert_eq!(ran.status, Some(1));
    }
}

#[test]
fn output_that_nobody_asked_for() {
    let output = Evidence::Output { text: "hm".into() };
    not_shown(RuleId::NoOutput, &[MALLOC, FREE], &[], output);
}

#[test]
fn many_slots_are_loops_over_an_array() {
    let mut ops: Vec<Op> = (0..1000).map(|slot| malloc(slot, 64)).collect();
    ops.extend(
        (0..500)
            .rev()
            .map(|slot| Op::new(Call::Free, slot * 2, 0, 0)),
    );
    ops.extend((1000..1400).map(|slot| Op::new(Call::Realloc, slot, 48, 0)));
    ops.push(Op::new(Call::Realloc, 999, 100, 0));
    let many = case(RuleId::ReallocContent, &ops, &[], contents(999));
    let text = c_program(
        &many,
        &subject("./l.so"),
        &rule(RuleId::ReallocContent),
        Path::new("x.c"),
    )
    .expect("the case can be had in C");
    assert!(text.contains("for (i = 998; i > -2; i -= 2)"), "{text}");
    assert!(text.lines().count() < 140, "{text}");
    if let Some(ran) = compile_and_run(&text, &[]) {
        assert_eq!(ran.said, "not shown\n");
    }
    not_shown(RuleId::Disjoint, &ops, &[], overlap(1));
}

#[test]
fn a_guilty_operation_in_a_repetition_is_checked_every_time() {
    let repeat = Op::new(Call::Repeat, NO_SLOT, 9, 3);
    let ops = [
        malloc(1, 30),
        MALLOC,
        Op::new(Call::Realloc, 0, 300, 0),
        FREE,
        repeat,
    ];
    for (guilty, evidence) in [
        (2, contents(0)),
        (2, overlap(1)),
        (1, Evidence::UnexpectedNull),
        (3, contents(1)),
    ] {
        let mut repeated = case(RuleId::ContentStable, &ops, &[], evidence);
        repeated.finding.op_index = guilty;
        if let Some(ran) = run(&repeated) {
            assert_eq!(ran.said, "not shown\n", "{repeated:?}");
        }
    }
}

#[test]
fn who_provides_an_entry_point() {
    let what = Evidence::Library {
        what: "pvalloc is served by /lib/libc.so.6".into(),
    };
    not_shown(RuleId::InterposeComplete, &[], &[], what);
}

#[test]
fn other_names_are_declared() {
    let mut prefixed = subject("./l.so");
    prefixed.kind = "dlopen";
    prefixed.entry_points[0].symbol = "je_malloc".into();
    let evidence = Evidence::Misaligned {
        address: 8,
        alignment: 16,
    };
    let case = case(RuleId::AlignFundamentalFit, &[MALLOC], &[gave(8)], evidence);
    let rule = rule(RuleId::AlignFundamentalFit);
    let text = c_program(&case, &prefixed, &rule, Path::new("x.c")).expect("it can be had in C");
    assert!(text.contains("extern void *je_malloc(size_t);"), "{text}");
    assert!(
        text.contains("(*volatile malloc_)(size_t) = je_malloc;"),
        "{text}"
    );
    let library =
        "#include <stddef.h>\nvoid *je_malloc(size_t n) { (void)n; return (void *)24; }\n";
    if let Some(ran) = compile_and_run(&format!("{library}{text}"), &[]) {
        assert_eq!(ran.status, Some(1), "{ran:?}");
    }
}

#[test]
fn what_c_cannot_show_is_not_written() {
    let requests = Evidence::Requests {
        wanted: String::new(),
        found: String::new(),
    };
    let case_of = |ops: &[Op], evidence| case(RuleId::HookPairing, ops, &[], evidence);
    let rule = rule(RuleId::HookPairing);
    let none = |case: &Case, subject| c_program(case, subject, &rule, Path::new("x.c")).is_none();
    let subject = subject("./l.so");
    assert!(none(&case_of(&[MALLOC], requests), &subject));
    let hooked = [Op::new(Call::FailRaw, NO_SLOT, 1, 0), MALLOC];
    assert!(none(&case_of(&hooked, Evidence::UnexpectedNull), &subject));
    let mut reference = subject.clone();
    reference.kind = "reference";
    assert!(none(
        &case_of(&[MALLOC], Evidence::UnexpectedNull),
        &reference
    ));
}

#[test]
fn a_message_cannot_end_the_comment() {
    let evidence = Evidence::Output {
        text: "*/ int x; /*".into(),
    };
    not_shown(RuleId::NoOutput, &[MALLOC], &[], evidence);
}

/// Programs with threads, of every kind of operation that they may have, show nothing on an allocator that serves threads.
#[test]
fn lists_of_threads_are_run_at_once_and_again() {
    let harm = || Evidence::Overlap {
        address: 64,
        size: 10,
        other: 0,
        other_address: 64,
        other_size: 10,
    };
    for lines in [
        // Loops, and pauses.
        "schedule shaken 7\nthread 1\np0 = calloc 1 100\np1 = malloc 100\nfree p0\nfree p1\nrepeat 50 x 4\nthread 2\n\
         p2 = calloc 2 50\np2 = realloc p2 4000\nfree p2\nrepeat 50 x 3\njoin\nsweep",
        // Blocks that pass from one thread to another, and to the main one.
        "p0 = malloc 100\nthread 1\np0 = realloc p0 10\nthread 2\nfree p0\np1 = posix_memalign 64 100\nthread 1\n\
         usable p1\njoin\nfree p1\nfree null",
        // One operation at a time, in several sections over and over.
        "schedule in order\nthread 1\np0 = malloc 100\nthread 2\np1 = aligned_alloc 64 128\nfree p0\njoin\nfree p1\n\
         repeat 9 x 7",
        // The end of threads.
        "thread 1\np0 = malloc 100\nat exit\nfree p0\np1 = malloc 10\nat exit\nfree p1\nthread 2\np2 = malloc 1",
        // Others at work beside it.
        "under threads 3\np0 = malloc 100\np1 = calloc 1 1000\np0 = realloc p0 5000\nfree p0\nfree p1\nrepeat 200 x 5",
    ] {
        let program = crate::program::Program::parse(&format!("# allocspec trace 1\n{lines}\n"));
        let ops = program.expect(lines).ops;
        not_shown(RuleId::ThreadSafe, &ops, &[], harm());
    }
}

#[test]
fn what_a_run_with_threads_cannot_show_is_not_written() {
    let written = |lines: &str, evidence: &Evidence| {
        let program = crate::program::Program::parse(&format!("# allocspec trace 1\n{lines}\n"));
        let ops = program.expect(lines).ops;
        let case = case(RuleId::ThreadSafe, &ops, &[], evidence.clone());
        c_program(
            &case,
            &subject("x.so"),
            &rule(RuleId::ThreadSafe),
            Path::new("x.c"),
        )
        .is_some()
    };
    let harm = Evidence::BadAddress { address: 1 };
    let threads = "thread 1\np0 = malloc 100\nthread 2\np1 = malloc 100\njoin";
    assert!(written(threads, &harm));
    let errno = |wanted| Evidence::Errno {
        before: 2,
        after: libc::EAGAIN,
        wanted,
    };
    assert!(!written(threads, &errno(Some(libc::ENOMEM))));
    assert!(written(threads, &errno(Some(2))) && written(threads, &errno(None)));
    assert!(!written(&format!("{threads}\nlimit 1048576"), &harm));
    let nothing = "under threads 3\nsweep\nrepeat 2000 x 1";
    assert!(!written(nothing, &harm), "it ends at once");
    let child = "fork\np0 = malloc 100\nwait";
    assert!(written(&format!("under threads 3\n{child}"), &harm));
    assert!(!written(
        &format!("under spawns 100\n{child}\n{threads}"),
        &harm
    ));
}
