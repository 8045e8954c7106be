//! The cost of checking: the same operations with every check and with none.

use super::clock::{median, timed};
use super::workload::{Unchecked, Workload};
use super::{Measure, Subject, Target, refused};
use crate::program::{Op, Slot};
use crate::run::{CheckError, Ending, Executor, c_library};
use crate::shadow::{Conduct, Ledger, Muted, Shadow};
use crate::spec::{Catalogue, RuleSet};
use crate::subject::{Native, Subject as Allocator};

/// Blocks live in the measure that has a target.
const LIVE: Slot = 4096;
/// The largest of their sizes.
const LARGEST: u64 = 1024;
/// Operations in a turn.
const OPERATIONS: usize = 1_000_000;
const TURNS: usize = 21;

/// What an operation takes, in nanoseconds of processor time.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// With no check.
    pub unchecked: f64,
    /// With every check of the profile of a C library.
    pub checked: f64,
    /// How many times as much the checked operations take: the middle of the turns' own ratios, since the two halves of a
    /// turn meet the same machine, and two turns may not.
    pub ratio: f64,
}

pub(super) fn measure() -> Result<Vec<Measure>, CheckError> {
    let cost = cost(&Workload::mixed(LIVE, LARGEST, OPERATIONS), LIVE, TURNS)?;
    let measure = |what: &str, value, unit| Measure::new(Subject::Checking, what, value, unit);
    Ok(vec![
        measure(
            "glibc, 4,096 live, 1 to 1,024 bytes: unchecked",
            cost.unchecked,
            "ns",
        ),
        measure("the same, checked", cost.checked, "ns"),
        measure("checked operations a CPU-second", 1e3 / cost.checked, "M/s")
            .with_target(Target::AtLeast(10.0)),
        measure("checked beside unchecked", cost.ratio, "x").with_target(Target::AtMost(2.5)),
    ])
}

/// The cost of an operation of a workload of `live` blocks on the C library, in the middle of so many turns.
///
/// # Errors
///
/// When the machine refuses memory for the model, or the C library breaks a rule.
pub fn cost(workload: &Workload, live: Slot, turns: usize) -> Result<Cost, CheckError> {
    let subject = c_library();
    let operations = workload.operations() as f64;
    let (mut unchecked, mut checked, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let mut plain = Unchecked::new(subject, live);
        plain.run(&workload.fill);
        let without = timed(|| plain.run(&workload.rounds)).as_secs_f64();
        drop(plain);
        let with = checked_turn(subject, workload)?;
        unchecked.push(without);
        checked.push(with);
        ratios.push(with / without);
    }
    let nanoseconds = |turns| median(turns) * 1e9 / operations;
    Ok(Cost {
        unchecked: nanoseconds(unchecked),
        checked: nanoseconds(checked),
        ratio: median(ratios),
    })
}

/// The rules of a C library's profile.
fn rules() -> Result<RuleSet, CheckError> {
    let profile = Catalogue::embedded().profile("linux");
    let unknown = |error: crate::spec::UnknownProfile| CheckError::Internal(error.to_string());
    Ok(profile.map_err(unknown)?.rules())
}

fn checked_turn(subject: Native, workload: &Workload) -> Result<f64, CheckError> {
    let mut checked = Checked::new(subject, workload)?;
    Ok(timed(|| checked.run(&workload.rounds)).as_secs_f64())
}

/// An allocator in the middle of a workload, every operation of which is checked.
pub struct Checked<S: Allocator + Copy> {
    subject: S,
    executor: Executor<'static, S>,
}

impl<S: Allocator + Copy> Checked<S> {
    /// Fills the heap. The ledger is never given back: there are as many as there are measures.
    ///
    /// # Errors
    ///
    /// When the machine refuses memory for the model.
    pub fn new(subject: S, workload: &Workload) -> Result<Checked<S>, CheckError> {
        let conduct = Conduct {
            rules: rules()?,
            muted: Muted::NONE,
            stores: true,
            closely: false,
        };
        let ledger: &'static Ledger = Box::leak(Box::default());
        let shadow = Shadow::new(ledger, conduct).map_err(|error| refused(&error))?;
        let mut executor = Executor::new(subject, shadow, ledger, u64::MAX);
        executor.begin(&workload.program());
        let mut checked = Checked { subject, executor };
        checked.run(&workload.fill);
        Ok(checked)
    }

    /// Makes operations of the workload.
    ///
    /// # Panics
    ///
    /// When the allocator breaks a rule: there is nothing to measure then.
    pub fn run(&mut self, ops: &[Op]) {
        let ending = self.executor.proceed(ops);
        assert!(
            matches!(ending, Ending::Finished),
            "the operations ended with {ending:?}"
        );
    }
}

impl<S: Allocator + Copy> Drop for Checked<S> {
    fn drop(&mut self) {
        for (_, block) in self.executor.shadow().live_blocks() {
            // SAFETY: live, and the executor makes no more calls.
            unsafe { self.subject.free(block.pointer()) };
        }
    }
}
