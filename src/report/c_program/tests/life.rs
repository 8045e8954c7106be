//! What a process meets with, and what it takes.

use super::*;
use crate::program::{Condition, Under};

#[test]
fn memory_that_grows() {
    let growth = |allowed| Evidence::Growth {
        bytes: 1 << 40,
        allowed,
    };
    let bounded = Op::new(Call::Bounded, NO_SLOT, 1 << 20, 0);
    let repeat = Op::new(Call::Repeat, NO_SLOT, 99_999, 2);
    let ops = [malloc(0, 1000), FREE, repeat, bounded];
    not_shown(RuleId::FreeMakesAvailable, &ops, &[], growth(1 << 20));
    let ops = [malloc(0, 8 << 20), bounded];
    shown(
        RuleId::FreeMakesAvailable,
        &ops,
        &[],
        growth(1 << 20),
        "resident",
    );
}

#[test]
fn memory_that_grows_on_and_on() {
    let climb = || Evidence::Climb {
        what: crate::shadow::Measured::Resident,
        bytes: 1 << 30,
        allowed: 1 << 20,
        samples: Vec::new(),
    };
    let sample = Op::new(Call::Sample, NO_SLOT, 100, 0);
    let steady = Op::new(Call::Steady, NO_SLOT, 1 << 20, 0);
    let repeat = |length| Op::new(Call::Repeat, NO_SLOT, 9_999, length);
    let ops = [malloc(0, 9000), FREE, sample, repeat(3), steady];
    not_shown(RuleId::BoundedSteady, &ops, &[], climb());
    let ops = [malloc(0, 9000), sample, repeat(2), steady];
    shown(RuleId::BoundedSteady, &ops, &[], climb(), "rise on and on");
}

#[test]
fn children() {
    let fork = Op::new(Call::Fork, NO_SLOT, 0, 0);
    let wait = Op::new(Call::Wait, NO_SLOT, 0, 0);
    let damage = Evidence::Contents {
        slot: 0,
        address: 0x1000,
        size: 100,
        offset: 0,
        stored: 1,
        found: 2,
    };
    let ops = [MALLOC, fork, FREE, malloc(1, 100), wait];
    not_shown(RuleId::ForkSt, &ops, &[], damage);
    let died = || Evidence::Died {
        death: Death::Signal {
            signal: libc::SIGSEGV,
            address: None,
        },
        moment: Moment::Call,
        said: String::new(),
    };
    let ops = [MALLOC, fork, FREE];
    not_shown(RuleId::ForkSt, &ops, &[], died());
    // A block that is used after it was freed: the C library aborts.
    let again = Op::new(Call::Free, 0, 0, 0);
    let ops = [malloc(0, 300_000), fork, FREE, again];
    shown(RuleId::ForkSt, &ops, &[], died(), "signal");
}

#[test]
fn circumstances() {
    use crate::program::{Condition, Under};
    let died = |death| Evidence::Died {
        death,
        moment: Moment::Call,
        said: String::new(),
    };
    for (condition, number, rule) in [
        (Condition::Signals, 100, RuleId::SignalInterrupt),
        (Condition::Cancellation, 0, RuleId::NotCancellationPoint),
        (Condition::ClosedDescriptors, 0, RuleId::ClosedDescriptors),
        (Condition::NoProc, 0, RuleId::NoProc),
    ] {
        let under = Under { condition, number };
        for death in [
            Death::Exit { status: 0 },
            Death::Signal {
                signal: libc::SIGABRT,
                address: None,
            },
        ] {
            not_shown(rule, &[under.op(), malloc(0, 1 << 20)], &[], died(death));
        }
    }
}

#[test]
fn a_limit_on_memory() {
    let errno = Evidence::Errno {
        before: 4242,
        after: 0,
        wanted: Some(libc::ENOMEM),
    };
    let ops = [limit(1 << 20), malloc(0, 1 << 30)];
    not_shown(RuleId::OomReturnsNull, &ops, &[gave(0), failed(0)], errno);
    let none = Evidence::UnexpectedNull;
    shown(RuleId::OomRecovers, &ops, &[], none.clone(), "errno 12");
    let ops = [limit(1 << 20), limit(0), malloc(0, 1 << 30)];
    not_shown(RuleId::OomRecovers, &ops, &[], none);
}

#[test]
fn system_calls_fail_as_they_did() {
    let fails = |syscall, which, number| {
        let failing = Failing {
            syscall,
            which,
            number,
        };
        [
            failing.op(),
            malloc(0, 1_000_000).expecting(Expect::Pointer),
        ]
    };
    let rule = RuleId::OomRecovers;
    let all = fails(Syscall::Any, Which::From, 1);
    shown(rule, &all, &[], Evidence::UnexpectedNull, "malloc");
    // What cannot be mapped is taken from the data segment.
    let first = fails(Syscall::Mmap, Which::Nth, 1);
    not_shown(rule, &first, &[], Evidence::UnexpectedNull);
    let case = case(
        rule,
        &fails(Syscall::Any, Which::Some, 2),
        &[],
        Evidence::UnexpectedNull,
    );
    let text = c_program(
        &case,
        &subject("./l.so"),
        &self::rule(rule),
        Path::new("x.c"),
    );
    assert!(text.is_none(), "which they are is left to chance: {text:?}");
}

fn under(condition: Condition, number: u64) -> Op {
    Under { condition, number }.op()
}

fn limit(bytes: u64) -> Op {
    Op::new(Call::Limit, NO_SLOT, bytes, 0)
}

#[test]
fn before_the_constructors() {
    let ops = [
        under(Condition::Constructor, 0),
        MALLOC,
        Op::new(Call::UsableSize, 0, 0, 0),
    ];
    let usable = |wanted| Evidence::Usable { usable: 0, wanted };
    let outcomes = [gave(0), gave(16)];
    not_shown_silently(RuleId::UsableGe, &ops, &outcomes, usable(100));
    shown(
        RuleId::UsableGe,
        &ops,
        &outcomes,
        usable(4096),
        "malloc_usable_size(p0)",
    );
}

/// What ends without having shown anything, in `main` after it.
fn not_shown_silently(rule: RuleId, ops: &[Op], outcomes: &[Outcome], evidence: Evidence) {
    if let Some(ran) = run(&case(rule, ops, outcomes, evidence)) {
        assert_eq!(ran.status, Some(0), "{ran:?}");
    }
}

/// Without a C++ library there is no handler; with one it is asked, unless the operator is another's that does not ask.
#[test]
fn a_new_handler() {
    const RUNTIME: &[&str] = &["-rdynamic", "-Wl,--no-as-needed", "-l:libstdc++.so.6"];
    const DEAF: &str = "void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag) { return size && tag ? NULL : NULL; }\n";
    let ops = [
        under(Condition::NewHandler, 2),
        Op::new(Call::NewNothrow, 0, 1 << 57, 0),
    ];
    let gave_up = Evidence::Requests {
        wanted: String::new(),
        found: String::new(),
    };
    let rule = RuleId::CxxNewHandler;
    let outcomes = [gave(0), failed(12)];
    not_shown(rule, &ops, &outcomes, gave_up.clone());
    let case = case(rule, &ops, &outcomes, gave_up);
    let mut system = subject("system");
    (system.kind, system.path) = ("system", None);
    let text = c_program(&case, &system, &self::rule(rule), Path::new("x.c"));
    let text = text.expect("the case can be had in C");
    for (operator, status) in [("", 0), (DEAF, 1)] {
        if let Some(ran) = compile_and_run(&format!("{text}{operator}"), RUNTIME) {
            assert_eq!(ran.status, Some(status), "{ran:?}");
            assert!(!ran.said.contains("no C++ library"), "{ran:?}");
        }
    }
}

#[test]
fn a_block_made_smaller_where_nothing_is_left() {
    let resized = |size| {
        let smaller = Op::new(Call::Realloc, 0, size, 0).expecting(Expect::Pointer);
        [malloc(0, 100_000), limit(4 << 20), smaller]
    };
    let outcomes = [gave(16), gave(0), failed(12)];
    let (rule, none) = (RuleId::ReallocShrinkSucceeds, Evidence::UnexpectedNull);
    not_shown(rule, &resized(100), &outcomes, none.clone());
    shown(rule, &resized(2 << 20), &outcomes, none, "NULL, errno 12");
}

#[test]
fn another_system_call_than_the_first_is_found_by_trying() {
    let ops = |which| {
        let failing = Failing {
            syscall: Syscall::Any,
            which,
            number: 3,
        };
        [failing.op(), malloc(0, 1 << 20).expecting(Expect::Pointer)]
    };
    let outcomes = [gave(0), failed(12)];
    let (rule, none) = (RuleId::OomReturnsNull, Evidence::UnexpectedNull);
    shown(
        rule,
        &ops(Which::From),
        &outcomes,
        none.clone(),
        "NULL, errno 12",
    );
    // One that fails is made up for by another.
    not_shown(rule, &ops(Which::Nth), &outcomes, none);
}

#[test]
fn a_child_among_threads() {
    let ops = [
        MALLOC,
        under(Condition::Threads, 3),
        Op::new(Call::Fork, NO_SLOT, 0, 0),
        FREE,
    ];
    let errno = Evidence::Errno {
        before: 4242,
        after: libc::EAGAIN,
        wanted: Some(4242),
    };
    not_shown(RuleId::FreeErrno, &ops, &[gave(16)], errno);
    let hangs = Evidence::Died {
        death: Death::Hang { millis: 2000 },
        moment: Moment::Call,
        said: String::new(),
    };
    not_shown(RuleId::ForkMtChild, &ops, &[gave(16)], hangs);
}
