use super::*;

const fn malloc(slot: Slot) -> Op {
    Op::new(Call::Malloc, slot, 100, 0)
}
const fn realloc(slot: Slot) -> Op {
    Op::new(Call::Realloc, slot, 200, 0)
}
const fn free(slot: Slot) -> Op {
    Op::new(Call::Free, slot, 0, 0)
}
const fn repeat(times: u64, length: u64) -> Op {
    Op::new(Call::Repeat, NO_SLOT, times, length)
}

fn check(ops: &[Op]) -> Result<(), (usize, Illegal)> {
    Program {
        rule: None,
        ops: ops.to_vec(),
    }
    .check()
}

fn legalised(ops: &[Op]) -> Vec<Op> {
    let mut program = Program {
        rule: None,
        ops: ops.to_vec(),
    };
    program.legalise();
    assert_eq!(program.check(), Ok(()));
    program.ops
}

#[test]
fn slots_are_filled_once_and_freed_once() {
    assert_eq!(check(&[malloc(0), free(0), malloc(0), free(0)]), Ok(()));
    assert_eq!(check(&[realloc(0), realloc(0), free(0)]), Ok(()));
    assert_eq!(check(&[free(NO_SLOT)]), Ok(()));
    assert_eq!(check(&[malloc(0), malloc(0)]), Err((1, Illegal::Live(0))));
    assert_eq!(check(&[free(0)]), Err((0, Illegal::Empty(0))));
    assert_eq!(
        check(&[malloc(0), free(0), free(0)]),
        Err((2, Illegal::Empty(0)))
    );
    assert_eq!(
        check(&[malloc(MAX_SLOTS)]),
        Err((0, Illegal::SlotRange(MAX_SLOTS)))
    );
    assert_eq!(
        check(&[malloc(NO_SLOT)]),
        Err((0, Illegal::NeedsSlot(Call::Malloc)))
    );
}

#[test]
fn expectations_need_something_to_be_about() {
    let same = realloc(0).expecting(Expect::SamePointer);
    assert_eq!(check(&[malloc(0), same]), Ok(()));
    assert_eq!(
        check(&[same]),
        Err((0, Illegal::NoOldAddress(Expect::SamePointer, 0)))
    );
    let as_before = malloc(0).expecting(Expect::AsBefore);
    assert_eq!(check(&[malloc(1), as_before]), Ok(()));
    assert_eq!(check(&[as_before]), Err((0, Illegal::NothingBefore)));
    let as_earlier = malloc(0).expecting(Expect::AsEarlier);
    assert_eq!(check(&[malloc(1), as_earlier]), Ok(()));
    let other = Op::new(Call::Malloc, 1, 7777, 0);
    assert_eq!(
        check(&[other, as_earlier]),
        Err((1, Illegal::NothingEarlier))
    );
    let bound = Op::new(Call::Bounded, NO_SLOT, 1 << 20, 0);
    let as_bound = bound.expecting(Expect::AsBefore);
    assert_eq!(check(&[bound, as_bound]), Ok(()));
    assert_eq!(
        check(&[malloc(0), as_bound]),
        Err((1, Illegal::NothingBefore))
    );
    assert_eq!(
        check(&[malloc(0), free(0).expecting(Expect::Null)]),
        Err((1, Illegal::NothingReturned(Call::Free)))
    );
}

#[test]
fn repeats_return_to_where_they_started() {
    assert_eq!(check(&[malloc(0), free(0), repeat(9, 2)]), Ok(()));
    assert_eq!(
        check(&[malloc(0), free(0), malloc(0), repeat(9, 2)]),
        Ok(())
    );
    assert_eq!(check(&[malloc(0), realloc(0), repeat(9, 1)]), Ok(()));
    assert_eq!(
        check(&[realloc(0), repeat(9, 1)]),
        Err((1, Illegal::RepeatDrifts(0, false)))
    );
    assert_eq!(
        check(&[malloc(0), free(0), repeat(9, 1)]),
        Err((2, Illegal::RepeatDrifts(0, true)))
    );
    assert_eq!(
        check(&[malloc(0), free(0), repeat(9, 3)]),
        Err((2, Illegal::RepeatRange(2)))
    );
    assert_eq!(
        check(&[malloc(0), free(0), repeat(9, 2), repeat(9, 1)]),
        Err((3, Illegal::RepeatRange(0)))
    );
    assert_eq!(
        check(&[malloc(0), free(0), repeat(0, 2)]),
        Err((2, Illegal::RepeatNothing))
    );
    assert_eq!(
        check(&[malloc(0), free(0), repeat(u64::MAX, 2)]),
        Err((2, Illegal::RepeatTooMuch))
    );
}

#[test]
fn sized_frees_are_for_the_blocks_that_c_names() {
    let aligned = Op::new(Call::AlignedAlloc, 0, 64, 64);
    let sized = Op::new(Call::FreeSized, 0, 0, 0);
    let aligned_sized = Op::new(Call::FreeAlignedSized, 0, 0, 0);
    assert_eq!(check(&[malloc(0), sized]), Ok(()));
    assert_eq!(check(&[aligned, aligned_sized]), Ok(()));
    assert_eq!(
        check(&[aligned, realloc(0), sized]),
        Err((2, Illegal::NotSized(0))),
        "the realloc may have failed"
    );
    assert_eq!(check(&[aligned, sized]), Err((1, Illegal::NotSized(0))));
    assert_eq!(
        check(&[malloc(0), aligned_sized]),
        Err((1, Illegal::NotAlignedSized(0)))
    );
    assert_eq!(
        check(&[malloc(0), sized, aligned, repeat(1, 2)]),
        Err((3, Illegal::NotSized(0))),
        "legal in the first round only"
    );
    assert_eq!(legalised(&[aligned, sized]), [aligned, free(0)]);
}

#[test]
fn legalising_drops_what_follows_from_a_dropped_allocation() {
    assert_eq!(
        legalised(&[free(0), malloc(1), free(1)]),
        [malloc(1), free(1)]
    );
    assert_eq!(
        legalised(&[malloc(0), free(3), free(0), repeat(5, 3)]),
        [malloc(0), free(0), repeat(5, 2)]
    );
    assert_eq!(
        legalised(&[malloc(0), malloc(1), free(0), repeat(5, 2)]),
        [malloc(0), malloc(1), free(0)]
    );
    assert_eq!(
        legalised(&[realloc(0).expecting(Expect::OtherPointer)]),
        [realloc(0)]
    );
}

#[test]
fn what_new_makes_its_own_delete_frees() {
    let op = |call, slot| Op::new(call, slot, 0, 0);
    let new = Op::new(Call::NewArray, 0, 100, 0);
    for delete in [
        Call::DeleteArray,
        Call::DeleteArraySized,
        Call::DeleteArrayNothrow,
    ] {
        assert_eq!(check(&[new, op(delete, 0)]), Ok(()), "{delete:?}");
    }
    for delete in [Call::Delete, Call::DeleteArrayAligned] {
        let illegal = Err((1, Illegal::NotOfNew(delete, 0)));
        assert_eq!(check(&[new, op(delete, 0)]), illegal);
        assert_eq!(check(&[malloc(0), op(delete, 0)]), illegal);
    }
    for call in [Call::Free, Call::FreeSized, Call::UsableSize, Call::Stretch] {
        assert_eq!(
            check(&[new, op(call, 0)]),
            Err((1, Illegal::OfNew(call, 0)))
        );
    }
    assert_eq!(
        check(&[new, realloc(0)]),
        Err((1, Illegal::OfNew(Call::Realloc, 0)))
    );
    assert_eq!(check(&[op(Call::DeleteSized, NO_SLOT)]), Ok(()));

    // A free that is not for its block becomes the one that is, and what cannot become another goes.
    let delete = op(Call::DeleteArray, 0);
    for wrong in [free(0), op(Call::DeleteAligned, 0), op(Call::FreeSized, 0)] {
        assert_eq!(legalised(&[new, realloc(0), wrong]), [new, delete]);
    }
    assert_eq!(legalised(&[malloc(0), delete]), [malloc(0), free(0)]);
    let mut program = Program {
        rule: None,
        ops: vec![new, malloc(1)],
    };
    program.close();
    assert_eq!(program.ops[2..], [delete, free(1)]);
}

/// What is said of the last of these lines; empty if all are legal.
fn said_of(lines: &str) -> String {
    let parsed = Program::parse(&format!("# allocspec trace 1\n{lines}"));
    parsed.map_or_else(|error| error.message, |_| String::new())
}

#[test]
fn threads_begin_and_end_in_the_main_thread() {
    for legal in [
        "thread 1\np0 = malloc 1\nthread 8\nfree p0",
        "thread 1\np0 = malloc 1\njoin\nfree p0\nthread 1\np0 = malloc 1",
        "thread 1\nat exit\nat exit\nthread 2\nat exit\nthread 1\nat exit\nat exit",
        "thread 1\np0 = malloc 1\nfree p0\nrepeat 9 x 2\njoin",
        "p1 = malloc 1\nthread 1\np0 = malloc 1\njoin\nfree p0\nrepeat 9 x 4\nfree p1",
        "limit 100\nlimit none\nthread 1\np0 = malloc 1 expect pointer",
    ] {
        assert_eq!(said_of(legal), "", "{legal}");
    }
    for (illegal, what) in [
        ("thread 0", "numbered from 1 to 8"),
        ("thread 9", "numbered from 1 to 8"),
        ("join", "`join` is for a thread"),
        ("at exit", "`at exit` is for a thread"),
        ("thread 1\nlimit 100", "`limit` is for the main thread"),
        (
            "thread 1\nschedule free",
            "`schedule` is for the main thread",
        ),
        ("limit 100\nthread 1", "while memory is short"),
        ("fail syscall any 1\nthread 1", "while memory is short"),
        (
            "thread 1\nat exit\nat exit\nat exit\nat exit\nat exit",
            "4 times, and no more",
        ),
        (
            "p0 = malloc 1\nthread 1\np1 = malloc 1 expect as before",
            "for the main thread",
        ),
        (
            "thread 1\np0 = malloc 1\njoin\np1 = malloc 1 expect as before",
            "needs an allocation before",
        ),
        ("thread 1\nfree p0", "p0 holds no block"),
        (
            "thread 1\np0 = malloc 1\nthread 2\nfree p0\nrepeat 2 x 3",
            "operations of one thread",
        ),
        (
            "thread 1\np0 = malloc 1\nfree p0\njoin\nrepeat 2 x 3",
            "operations of one thread",
        ),
        (
            "thread 1\np0 = malloc 1\nfree p0\njoin\nlimit 1\nrepeat 2 x 5",
            "leave memory short",
        ),
        (
            "thread 1\np0 = malloc 1\nfree p0\njoin\nfail syscall any 1\nrepeat 2 x 5",
            "leave memory short",
        ),
        (
            "limit 1\np0 = malloc 1\nlimit none\nthread 1\nfree p0\njoin\np0 = malloc 1\nlimit 1\nrepeat 2 x 5",
            "leave memory short",
        ),
    ] {
        let said = said_of(illegal);
        assert!(said.contains(what), "{illegal}: {said}");
    }
}

#[test]
fn memory_may_be_short_between_the_threads_of_a_repetition() {
    for legal in [
        "thread 1\np0 = malloc 1\nfree p0\njoin\nlimit 1\np1 = malloc 1\nfree p1\nlimit none\nrepeat 2 x 8",
        "limit none\nthread 1\np0 = malloc 1\nfree p0\njoin\nrepeat 2 x 5",
        "limit 1\nlimit none\nthread 1\np0 = malloc 1\nfree p0\njoin\nlimit 1\nrepeat 2 x 6",
        "p0 = malloc 1\nlimit 1\nfree p0\nlimit none\nfork\np1 = malloc 1\nwait\np1 = malloc 1 expect as before",
    ] {
        assert_eq!(said_of(legal), "", "{legal}");
    }
    let childs = "fork\np0 = malloc 1\nwait\np1 = malloc 1 expect as before";
    assert!(said_of(childs).contains("needs an allocation before"));
}

#[test]
fn the_harness_is_not_asked_for_what_it_cannot_do() {
    for legal in [
        "sample 1\nsteady 1\nunder cancellation\np0 = malloc 1\nfree p0\nrepeat 3 x 2",
        "under signals 100\nfork\nwait\nsample 1\nsteady 1",
        "under stack 65536\nunder no proc\np0 = malloc 1",
        "under threads 2\nfork\nwait\nrepeat 3 x 2",
    ] {
        assert_eq!(said_of(legal), "", "{legal}");
    }
    for operation in [
        "sample 1",
        "bounded 1",
        "limit 1",
        "fail syscall any 1",
        "fork",
        "under exit",
        "under closed descriptors",
        "thread 1",
    ] {
        let said = said_of(&format!("under cancellation\n{operation}"));
        assert!(
            said.contains("is not for after `under cancellation`"),
            "{operation}: {said}"
        );
    }
    for (illegal, what) in [
        ("under stack 65536\nfork", "is not for after `under stack`"),
        (
            "under destructors\nfork",
            "is not for after `under destructors`",
        ),
        (
            "under no proc\nsample 1",
            "is not for after `under no proc`",
        ),
        (
            "under no proc\nbounded 1",
            "is not for after `under no proc`",
        ),
        (
            "sample 1\nunder no proc\nrepeat 2 x 2",
            "a repeat covers no `under`",
        ),
        (
            "under threads 2\nrepeat 3 x 1",
            "a repeat covers no `under`",
        ),
    ] {
        let said = said_of(illegal);
        assert!(said.contains(what), "{illegal}: {said}");
    }
}
