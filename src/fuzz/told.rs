//! How a finding is told: a panic, so that the fuzzer keeps the input.

use crate::report::{cited, trace};
use crate::shadow::Case;
use crate::spec::{Catalogue, Profile};

/// Panics with the case as a trace.
///
/// # Panics
///
/// Always.
pub fn broken(case: &Case, profile: &Profile) -> ! {
    let rule = Catalogue::embedded().rule(case.finding.rule);
    let rule = cited(rule, profile.id(), profile.title());
    let text = trace::annotated(&rule, case);
    panic!("rule {} is broken\n\n{text}", rule.id)
}
