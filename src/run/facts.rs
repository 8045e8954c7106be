//! The choices a subject was seen to make where the documents leave one, in words.

use crate::shadow::{Choice, Ledger};
use crate::spec::{RuleId, RuleSet};
use std::collections::BTreeMap;

/// The facts about the rules of a profile, one sentence each.
pub fn facts(totals: &Ledger, rules: &RuleSet) -> BTreeMap<RuleId, String> {
    let mut facts = BTreeMap::new();
    let mut tell = |rule: RuleId, fact: Option<String>| {
        if let Some(fact) = fact.filter(|_| rules.contains(rule)) {
            facts.insert(rule, fact);
        }
    };
    use Choice::*;
    let zero = |call: &str, null, pointer| choose(totals, call, null, pointer);
    tell(
        RuleId::MallocZeroChoice,
        zero("malloc(0)", MallocZeroNull, MallocZeroPointer),
    );
    tell(
        RuleId::CallocZeroSize,
        zero("calloc of no bytes", CallocZeroNull, CallocZeroPointer),
    );
    tell(
        RuleId::AlignedZeroSize,
        zero(
            "an aligned request for 0 bytes",
            AlignedZeroNull,
            AlignedZeroPointer,
        ),
    );
    let pma = zero("posix_memalign for 0 bytes", PmaZeroNull, PmaZeroPointer);
    let pma_error = totals
        .noted(PmaZeroError)
        .then(|| "posix_memalign for 0 bytes returns an error number".into());
    tell(RuleId::PmaZeroSize, pma.or(pma_error));
    tell(
        RuleId::MallocZeroErrno,
        either(
            totals,
            MallocZeroErrnoSet,
            MallocZeroErrnoKept,
            "malloc(0) sets errno when it returns NULL",
            "malloc(0) leaves errno alone when it returns NULL",
            "malloc(0) that returns NULL sets errno at times, and not at others",
        ),
    );
    tell(RuleId::ReallocP0, realloc_zero(totals));
    tell(RuleId::MemalignInvalid, memalign_invalid(totals));
    tell(RuleId::PmaErrno, pma_errno(totals));
    let largest = Some(totals.largest_alignment()).filter(|&alignment| alignment > 0);
    tell(
        RuleId::AlignExtendedSupported,
        largest.map(|largest| {
            format!(
                "aligned_alloc gave blocks for every alignment tried up to {}",
                bytes(largest)
            )
        }),
    );
    tell(
        RuleId::AlignedAllocUnsupported,
        totals
            .refused_alignment()
            .map(|refused| format!("aligned_alloc refused the alignment {}", bytes(refused))),
    );
    facts
}

/// What a call does with a size of zero.
fn choose(totals: &Ledger, call: &str, null: Choice, pointer: Choice) -> Option<String> {
    match (totals.noted(null), totals.noted(pointer)) {
        (false, false) => None,
        (true, false) => Some(format!("{call} returns NULL")),
        (false, true) => Some(format!("{call} returns a unique pointer")),
        (true, true) => Some(format!(
            "{call} returns sometimes NULL, sometimes a unique pointer"
        )),
    }
}

fn memalign_invalid(totals: &Ledger) -> Option<String> {
    let rounded = either(
        totals,
        Choice::MemalignInvalidRounded,
        Choice::MemalignInvalidPointer,
        "rounds it up to the next power of two",
        "takes it for less than the next power of two",
        "rounds it up to the next power of two at times, and not at others",
    );
    let refused = totals.noted(Choice::MemalignInvalidNull);
    let what = match (refused, rounded) {
        (false, None) => return None,
        (true, None) => "refuses it".to_owned(),
        (false, Some(rounded)) => rounded,
        (true, Some(rounded)) => format!("sometimes refuses it, sometimes {rounded}"),
    };
    Some(format!(
        "memalign with an alignment that is not a power of two {what}"
    ))
}

fn either(
    totals: &Ledger,
    first: Choice,
    second: Choice,
    if_first: &str,
    if_second: &str,
    if_both: &str,
) -> Option<String> {
    match (totals.noted(first), totals.noted(second)) {
        (false, false) => None,
        (true, false) => Some(if_first.into()),
        (false, true) => Some(if_second.into()),
        (true, true) => Some(if_both.into()),
    }
}

/// What a failing `posix_memalign` does to `errno`, which may depend on why it fails.
fn pma_errno(totals: &Ledger) -> Option<String> {
    let does = |set, kept| match (totals.noted(set), totals.noted(kept)) {
        (false, false) => None,
        (true, false) => Some("also sets errno"),
        (false, true) => Some("leaves errno alone"),
        (true, true) => Some("sets errno at times, and not at others"),
    };
    let invalid = does(Choice::PmaEinvalErrnoSet, Choice::PmaEinvalErrnoKept);
    let scarce = does(Choice::PmaErrnoSet, Choice::PmaErrnoKept);
    match (invalid, scarce) {
        (Some(invalid), Some(scarce)) if invalid != scarce => Some(format!(
            "a posix_memalign that fails with EINVAL {invalid}, one that fails otherwise {scarce}"
        )),
        (either, other) => Some(format!("a failing posix_memalign {}", either.or(other)?)),
    }
}

fn realloc_zero(totals: &Ledger) -> Option<String> {
    let errno = match (
        totals.noted(Choice::ReallocZeroErrnoSet),
        totals.noted(Choice::ReallocZeroErrnoKept),
    ) {
        (true, false) => ", setting errno",
        (false, true) => ", leaving errno alone",
        _ => "",
    };
    match (
        totals.noted(Choice::ReallocZeroNull),
        totals.noted(Choice::ReallocZeroPointer),
    ) {
        (false, false) => None,
        (true, false) if totals.noted(Choice::ReallocZeroFreed) => {
            Some(format!("realloc(p, 0) frees p and returns NULL{errno}"))
        }
        (true, false) => Some(format!(
            "realloc(p, 0) returns NULL{errno}; whether it frees p was not seen"
        )),
        (false, true) => Some("realloc(p, 0) resizes p to a unique pointer".into()),
        (true, true) => {
            Some("realloc(p, 0) returns sometimes NULL, sometimes a unique pointer".into())
        }
    }
}

/// A power of two of bytes.
fn bytes(size: u64) -> String {
    const UNITS: [&str; 7] = ["", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"];
    let unit = size.max(1).ilog2() / 10;
    format!("{}{}", size >> (10 * unit), UNITS[unit as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_have_the_unit_that_fits() {
        assert_eq!(bytes(8), "8");
        assert_eq!(bytes(1 << 10), "1 KiB");
        assert_eq!(bytes(32 << 40), "32 TiB");
        assert_eq!(bytes(1 << 62), "4 EiB");
    }

    #[test]
    fn a_choice_that_depends_on_the_failure_says_so() {
        let told = |choices: &[Choice]| {
            let ledger = Ledger::new();
            choices.iter().for_each(|&choice| ledger.note(choice));
            let rules = RuleSet::from_iter([RuleId::PmaErrno]);
            facts(&ledger, &rules).remove(&RuleId::PmaErrno)
        };
        assert_eq!(told(&[]), None);
        let alike = [Choice::PmaErrnoSet, Choice::PmaEinvalErrnoSet];
        assert_eq!(
            told(&alike).as_deref(),
            Some("a failing posix_memalign also sets errno")
        );
        let different = [Choice::PmaErrnoSet, Choice::PmaEinvalErrnoKept];
        assert_eq!(
            told(&different).as_deref(),
            Some(
                "a posix_memalign that fails with EINVAL leaves errno alone, one that fails otherwise also sets errno"
            )
        );
    }
}
