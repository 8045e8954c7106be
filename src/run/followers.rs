//! Findings that follow from others.
//!
//! A heap in which memory of one block is that of another, or of nobody, keeps no promise. Where that shows in a process of
//! one thread that nothing disturbs, what goes wrong among threads, after a fork and so on is the same once more, or cannot
//! be told from it.

use crate::program::Condition;
use crate::shadow::{Case, Evidence, is_about_threads};
use crate::spec::RuleId;

/// Whether a rule is about threads, or about what else a process may meet with.
pub(super) fn is_about_company(rule: RuleId) -> bool {
    is_about_threads(rule) || Condition::RULES.contains(&rule)
}

/// Drops the harm to memory that follows from harm done without company, and answers with the rule that this breaks.
pub(super) fn drop_followers(cases: &mut Vec<Case>) -> Option<RuleId> {
    let harms = |case: &Case| case.finding.evidence.harms_memory();
    let alone = |case: &&Case| harms(case) && !is_about_company(case.finding.rule);
    let first = cases.iter().find(alone)?.finding.rule;
    let dies = |case: &Case| matches!(case.finding.evidence, Evidence::Died { .. });
    cases.retain(|case| !is_about_company(case.finding.rule) || !(harms(case) || dies(case)));
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::shadow::Finding;

    fn case(rule: RuleId, evidence: Evidence) -> Case {
        Case {
            finding: Finding {
                rule,
                op_index: 0,
                evidence,
            },
            program: Program::default(),
            outcomes: Vec::new(),
            live: Vec::new(),
            phase: String::new(),
            reproduced: true,
            shown: None,
        }
    }

    fn left(findings: Vec<Case>) -> (Option<RuleId>, Vec<RuleId>) {
        let mut cases = findings;
        let first = drop_followers(&mut cases);
        (first, cases.iter().map(|case| case.finding.rule).collect())
    }

    #[test]
    fn what_is_broken_alone_is_not_told_of_threads_and_forks_again() {
        let harm = Evidence::BadAddress { address: 1 };
        let all = [RuleId::Disjoint, RuleId::ThreadSafe, RuleId::ForkSt];
        let cases = |rules: &[RuleId]| {
            let cases = rules.iter().map(|&rule| case(rule, harm.clone()));
            cases.collect::<Vec<Case>>()
        };
        assert_eq!(
            left(cases(&all)),
            (Some(RuleId::Disjoint), vec![RuleId::Disjoint])
        );
        assert_eq!(left(cases(&all[1..])), (None, all[1..].to_vec()));
    }

    #[test]
    fn what_harms_no_memory_is_told_and_hides_nothing() {
        let errno = case(RuleId::MallocErrno, Evidence::UnexpectedNull);
        let race = case(RuleId::ThreadSafe, Evidence::BadAddress { address: 1 });
        let rules = vec![RuleId::MallocErrno, RuleId::ThreadSafe];
        assert_eq!(left(vec![errno, race]), (None, rules));
        let harm = case(RuleId::Disjoint, Evidence::BadAddress { address: 1 });
        let null = case(RuleId::SignalInterrupt, Evidence::UnexpectedNull);
        let rules = vec![RuleId::Disjoint, RuleId::SignalInterrupt];
        assert_eq!(left(vec![harm, null]), (Some(RuleId::Disjoint), rules));
    }
}
