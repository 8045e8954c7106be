//! Shrinking, put to the test on allocators with a fault.

use super::input;
use crate::program::{Program, Reducer};
use crate::pymalloc::{Edition, Fault, Planted};
use crate::run::{InProcess, SubjectSpec};
use crate::spec::RuleId;
use crate::subject::Reference;
use std::convert::Infallible;

/// Faults after which blocks can be freed still, and that do not depend on what fresh memory holds.
const FAULTS: [Fault; 12] = [
    Fault::ZeroRefused,
    Fault::MallocUnlimited,
    Fault::ReallocNullStaysRealloc,
    Fault::MoveCopiesShort,
    Fault::ReallocFailDamages,
    Fault::CallocDirty,
    Fault::CallocMerged,
    Fault::ThresholdExclusive,
    Fault::ShrinkQuarterStays,
    Fault::CrossUpCalloc,
    Fault::ArenaFailRefuses,
    Fault::FreeNullReachesRaw,
];
/// Smaller programs that are tried for one input at most.
const CANDIDATES: usize = 500;

/// The reference with one fault after another.
pub struct Shrink(Vec<InProcess<Reference<Planted>>>);

impl Shrink {
    /// One of each fault.
    pub fn start() -> Shrink {
        let options = input::options(SubjectSpec::Reference(Edition::USUAL));
        let subject = |&fault: &Fault| {
            InProcess::built_in(Reference::with_fault(fault), &options)
                .expect("the reference needs nothing but memory")
        };
        Shrink(FAULTS.iter().map(subject).collect())
    }

    /// Runs the program of an input on a subject that the input's length chooses, and shrinks it if it breaks a rule.
    /// Answers whether there is a program.
    ///
    /// # Panics
    ///
    /// When a proposed program is not legal, not permitted or no smaller, or the last one accepted does not break the
    /// rule again.
    pub fn run(&mut self, bytes: &[u8]) -> bool {
        let subject = &mut self.0[bytes.len() % FAULTS.len()];
        let Some(program) = input::program(bytes, subject.vocabulary()) else {
            return false;
        };
        if let Some(rule) = broken(subject, &program) {
            shrink(subject, &program, rule);
        }
        true
    }
}

fn broken(subject: &mut InProcess<Reference<Planted>>, program: &Program) -> Option<RuleId> {
    match subject.run(program, |_, _| Ok::<(), Infallible>(())) {
        Ok(None) => None,
        Ok(Some(finding)) => {
            subject.recover();
            Some(finding.rule)
        }
        Err(never) => match never {},
    }
}

fn shrink(subject: &mut InProcess<Reference<Planted>>, program: &Program, rule: RuleId) {
    let mut reducer = Reducer::new(program);
    let mut best = program.clone();
    for _ in 0..CANDIDATES {
        let Some(candidate) = reducer.next() else {
            break;
        };
        assert_eq!(candidate.check(), Ok(()), "of\n{best}came\n{candidate}");
        assert!(
            candidate.measure() < best.measure(),
            "no smaller: of\n{best}came\n{candidate}"
        );
        assert!(
            subject.vocabulary().permits(&candidate),
            "not permitted: of\n{best}came\n{candidate}"
        );
        if broken(subject, &candidate) == Some(rule) {
            best.clone_from(&candidate);
            reducer.accept(candidate);
        }
    }
    let smallest = reducer.into_best();
    assert_eq!(
        broken(subject, &smallest),
        Some(rule),
        "rule {rule}: of\n{program}came\n{smallest}"
    );
}
