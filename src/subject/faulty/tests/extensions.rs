//! The functions of BSD and C++: sound in the sound allocator, and each fault as it says.
//!
//! Only live blocks of the subject are passed to it, and only their bytes are touched, but in child processes that are
//! to die of it, and where what was freed is looked at on purpose: the allocator does not unmap small blocks.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one reason for all, above"
)]

use super::*;
use crate::program::Operator;
use crate::subject::Thrown;

const NULL: *mut u8 = std::ptr::null_mut();

/// Whether a fault shows in a subject that has it and not in the sound one.
fn shows(fault: Fault, symptom: impl Fn(&mut Faulty) -> bool) {
    assert!(!symptom(&mut Faulty::new(None)), "{fault}: without it");
    assert!(symptom(&mut Faulty::new(Some(fault))), "{fault}: with it");
}

/// As [`shows`], of a fault by which the process ends.
fn ends(fault: Fault, calls: impl Fn(&mut Faulty)) {
    shows(fault, |subject| fate(|| calls(subject)) != 42);
}

fn form(call: Call) -> Operator {
    call.operator().expect("an operator")
}

fn made(
    subject: &mut Faulty,
    call: Call,
    size: usize,
    alignment: usize,
) -> Result<*mut u8, Thrown> {
    unsafe { subject.operator_new(form(call), size, alignment) }
}

fn delete(subject: &mut Faulty, call: Call, block: *mut u8, size: usize, alignment: usize) {
    let deleted = unsafe { subject.operator_delete(form(call), block, size, alignment) };
    assert_eq!(deleted, Ok(()));
}

#[test]
fn of_bsd() {
    for fault in [Fault::RecallocarrayNullFails, Fault::RecallocarrayNullDirty] {
        shows(fault, |s| unsafe {
            let used = s.malloc(100);
            fill(used, 100, 9);
            s.free(used);
            let block = s.recallocarray(NULL, 7, 50, 2);
            block.is_null() || (0..100).any(|i| *block.add(i) != 0)
        });
    }
    shows(Fault::RecallocarrayDirtyTail, |s| unsafe {
        let used = s.malloc(200);
        fill(used, 200, 9);
        s.free(used);
        let block = s.malloc(100);
        fill(block, 100, 5);
        let block = s.recallocarray(block, 100, 200, 1);
        assert!(holds(block, 100, 5));
        (100..200).any(|i| *block.add(i) != 0)
    });
    shows(Fault::RecallocarrayUnchecked, |s| unsafe {
        !s.recallocarray(NULL, 0, 1 << 33, 1 << 31).is_null()
    });
    shows(Fault::RecallocarrayLeavesOld, |s| unsafe {
        let block = s.malloc(100);
        fill(block, 100, 9);
        s.recallocarray(block, 100, 500, 1);
        holds(block.add(32), 32, 9 + 32)
    });
    shows(Fault::RecallocarrayLeavesRest, |s| unsafe {
        let block = s.malloc(100);
        fill(block, 100, 9);
        s.recallocarray(block, 100, 97, 1);
        holds(block.add(97), 3, 9 + 97)
    });
    shows(Fault::ReallocfKeepsOnFailure, |s| unsafe {
        let block = s.malloc(100);
        assert_eq!(with_errno(|| s.reallocf(block, usize::MAX)), (NULL, ENOMEM));
        s.malloc_usable_size(block) != 0
    });
    ends(Fault::FreezeroNullCrashes, |s| unsafe {
        s.freezero(NULL, 8)
    });
    for fault in [Fault::FreezeroJustFrees, Fault::FreezeroStopsShort] {
        shows(fault, |s| unsafe {
            let block = s.malloc(100);
            fill(block, 100, 9);
            s.freezero(block, 100);
            holds(block.add(68), 32, 9 + 68)
        });
    }
    shows(Fault::FreezeroClearsStart, |s| {
        let remains = |s: &mut Faulty| unsafe {
            let block = s.malloc(100_000);
            block.write_bytes(9, 100_000);
            s.freezero(block, 100_000);
            (*block, *block.add(99_999)) == (0, 9)
        };
        // Of the sound one nothing is there to be read.
        s.fault.is_some() && remains(s)
    });
    let mut sound = Faulty::new(None);
    unsafe {
        let block = sound.malloc(100);
        assert_eq!(
            with_errno(|| sound.recallocarray(block, 100, usize::MAX, 2)),
            (NULL, ENOMEM)
        );
        assert_eq!(
            with_errno(|| sound.recallocarray(block, usize::MAX, 2, 2)),
            (NULL, EINVAL)
        );
        assert!(!sound.reallocf(block, 200).is_null());
    }
}

#[test]
fn of_operators() {
    const ABSURD: usize = 1 << 60;
    shows(Fault::NewWraps, |s| {
        made(s, Call::New, usize::MAX, 0).is_ok()
    });
    shows(Fault::NewReturnsNull, |s| {
        made(s, Call::NewArray, ABSURD, 0) == Ok(NULL)
    });
    ends(Fault::NewAborts, |s| {
        let _ = made(s, Call::New, ABSURD, 0);
    });
    shows(Fault::NewThrowsAnother, |s| {
        matches!(made(s, Call::NewAligned, ABSURD, 64), Err(Thrown::Other(_)))
    });
    shows(Fault::NothrowNewThrows, |s| {
        made(s, Call::NewNothrow, ABSURD, 0).is_err()
    });
    shows(Fault::NewZeroNull, |s| made(s, Call::New, 0, 0) == Ok(NULL));
    shows(Fault::NewZeroSentinel, |s| {
        made(s, Call::New, 0, 0) == made(s, Call::New, 0, 0)
    });
    shows(Fault::NewArrayCookie, |s| {
        made(s, Call::NewArray, 24, 0).is_ok_and(|block| block.addr() % 16 == 8)
    });
    shows(Fault::AlignedNewSkipsSmall, |s| {
        (0..4).any(|_| made(s, Call::NewAligned, 8, 64).is_ok_and(|block| block.addr() % 64 != 0))
    });
    shows(Fault::AlignedNewRefusesRest, |s| {
        made(s, Call::NewAligned, 65, 64) == Err(Thrown::BadAlloc)
    });
    ends(Fault::DeleteNullCrashes, |s| {
        delete(s, Call::DeleteSized, NULL, 8, 0)
    });
    ends(Fault::SizedDeleteTrustsSize, |s| {
        let block = made(s, Call::New, 64, 0).expect("memory");
        delete(s, Call::DeleteSized, block, 64, 0);
    });
    shows(Fault::SizedDeleteDoesNothing, |s| unsafe {
        let block = made(s, Call::NewArray, 64, 0).expect("memory");
        delete(s, Call::DeleteArraySized, block, 64, 0);
        s.malloc_usable_size(block) != 0
    });
    shows(Fault::DeleteThrows, |s| unsafe {
        let block = made(s, Call::NewArray, 64, 0).expect("memory");
        s.operator_delete(form(Call::DeleteArray), block, 64, 0)
            .is_err()
    });
    shows(Fault::NewIgnoresHandler, |s| {
        extern "C" fn takes_itself_away() {
            unsafe { operators::set_new_handler(None) };
        }
        unsafe {
            operators::set_new_handler(Some(takes_itself_away));
            assert!(made(s, Call::New, ABSURD, 0).is_err());
            operators::set_new_handler(None).is_some()
        }
    });
    ends(Fault::AlignedDeleteForgets, |s| {
        let block = made(s, Call::NewAligned, 64, 1 << 14).expect("memory");
        delete(s, Call::DeleteAligned, block, 64, 1 << 14);
    });
}

#[test]
fn every_variant_has_operators_that_are_sound() {
    let calls = || Call::ALL.iter().copied();
    for &variant in Variant::ALL {
        let mut subject = Faulty::sound(variant);
        for new in calls().filter(|call| call.is_new()) {
            let alignment = if new.takes_alignment() { 256 } else { 0 };
            let first = made(&mut subject, new, 0, alignment).expect("memory");
            for delete_by in calls().filter(|&call| form_undoes(call, new)) {
                for size in [0, 1, 24, 1000, 40_000] {
                    let block = made(&mut subject, new, size, alignment).expect("memory");
                    assert!(!block.is_null() && block != first);
                    assert!(alignment == 0 || block.addr().is_multiple_of(alignment));
                    fill(block, size, 7);
                    assert!(holds(block, size, 7));
                    delete(&mut subject, delete_by, block, size, alignment);
                }
                delete(&mut subject, delete_by, NULL, 8, 8);
            }
        }
    }
}

fn form_undoes(delete: Call, new: Call) -> bool {
    delete
        .operator()
        .is_some_and(|delete| delete.undoes(form(new)))
}
