//! What a process that grows on and on has to do with threads, decided on the program alone.
//!
//! A program that grows may need its threads for that, or that they hand blocks over, or that they are at work at once; or
//! none of these. It is made plainer as long as it grows: what is left says which rule is broken.

use super::op::{Call, NO_SLOT, Op, Program};
use super::plainer::TOLD;
use super::threads::{Schedule, whose};
use crate::spec::RuleId;

/// The rules about growth that only threads show.
const AMONG_THREADS: [RuleId; 3] = [
    RuleId::BoundedThreads,
    RuleId::BoundedXthreadFree,
    RuleId::BoundedConcurrent,
];

impl Program {
    /// The rule that is broken if a process grows on and on that runs the program, and would not if it were plainer.
    pub fn rule_of_growth(&self) -> RuleId {
        if self.without_handing_over().is_some() {
            RuleId::BoundedXthreadFree
        } else if self.is_at_once() {
            RuleId::BoundedConcurrent
        } else if self.has_threads() {
            RuleId::BoundedThreads
        } else {
            let purpose = self.rule.filter(|rule| !AMONG_THREADS.contains(rule));
            let purpose = purpose.filter(|&rule| self.has_what_grows(rule));
            purpose.unwrap_or(RuleId::BoundedSteady)
        }
    }

    /// Whether it has that by which growth breaks this rule.
    fn has_what_grows(&self, rule: RuleId) -> bool {
        self.ops.iter().any(|op| match rule {
            RuleId::BoundedAligned => op.call.takes_alignment(),
            RuleId::BoundedRealloc => op.call.reallocates(),
            rule if TOLD.contains(&rule) => op.rule_of_told() == Some(rule),
            _ => true,
        })
    }

    /// Whether several threads are at work at once.
    fn is_at_once(&self) -> bool {
        let in_order = self.ops.iter().filter_map(Schedule::of).next() == Some(Schedule::InOrder);
        self.is_among_threads() || (self.threads() > 1 && !in_order)
    }

    /// The same threads, each of which frees and resizes what it has made while it lives; `None` if they do that already.
    #[must_use]
    pub fn without_handing_over(&self) -> Option<Program> {
        if !self.has_threads() {
            return None;
        }
        let whose = whose(&self.ops);
        let mut makers = vec![None; self.slots()];
        let mut program = Program {
            rule: self.rule,
            ops: Vec::new(),
        };
        let mut starts = Vec::with_capacity(self.ops.len());
        let mut hands_over = false;
        let switch = |thread| Op::new(Call::Thread, NO_SLOT, thread, 0);
        for (index, (&op, own)) in self.ops.iter().zip(&whose).enumerate() {
            starts.push(program.ops.len());
            let mut op = op;
            if op.call == Call::Repeat {
                let start = index.saturating_sub(op.b as usize);
                op.b = (program.ops.len() - starts[start]) as u64;
            }
            let Some(maker) = makers.get_mut(op.slot as usize) else {
                program.ops.push(op);
                continue;
            };
            if op.call.allocates() || (op.call.reallocates() && maker.is_none()) {
                *maker = Some((own.section, own.thread));
            }
            let (section, thread) = maker.unwrap_or_default();
            let is_foreign = own.thread != 0 && section == own.section && thread != own.thread;
            if is_foreign && thread != 0 {
                hands_over = true;
                let (there, back) = (switch(thread), switch(own.thread));
                program.ops.extend([there, op, back]);
            } else {
                program.ops.push(op);
            }
            if op.call.frees() {
                *maker = None;
            }
        }
        program.legalise();
        hands_over.then_some(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(lines: &str) -> Program {
        Program::parse(&format!("# allocspec trace 1\n{lines}")).expect(lines)
    }

    #[test]
    fn growth_is_laid_to_what_the_program_needs() {
        use RuleId::*;
        for (lines, rule) in [
            ("p0 = malloc 1", BoundedSteady),
            ("thread 1\np0 = malloc 1\nfree p0", BoundedThreads),
            (
                "thread 1\np0 = malloc 1\njoin\nfree p0\nthread 1\np0 = malloc 1",
                BoundedThreads,
            ),
            (
                "schedule in order\nthread 1\np0 = malloc 1\nthread 2\np1 = malloc 1",
                BoundedThreads,
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1",
                BoundedConcurrent,
            ),
            ("under threads 2\np0 = malloc 1", BoundedConcurrent),
            (
                "schedule in order\nthread 1\np0 = malloc 1\nthread 2\nfree p0",
                BoundedXthreadFree,
            ),
        ] {
            let mut program = program(lines);
            assert_eq!(program.rule_of_growth(), rule, "{lines}");
            program.rule = Some(BoundedXthreadFree);
            assert_eq!(program.rule_of_growth(), rule, "{lines}");
        }
    }

    #[test]
    fn growth_is_laid_to_nothing_that_the_program_does_not_do() {
        use RuleId::*;
        for (lines, rule) in [
            ("p0 = aligned_alloc 64 64\nfree p0", BoundedAligned),
            ("p0 = malloc 9\np0 = realloc p0 99", BoundedRealloc),
            ("p0 = malloc 9\nfree_sized p0", FreeSizedEquiv),
            (
                "p0 = aligned_alloc 64 64\nfree_aligned_sized p0",
                FreeAlignedSizedEquiv,
            ),
            ("p0 = new 9\ndelete_sized p0", CxxSizedEquiv),
        ] {
            let made_for = |lines| Program {
                rule: Some(rule),
                ..program(lines)
            };
            assert_eq!(made_for(lines).rule_of_growth(), rule, "{lines}");
            assert_eq!(
                made_for("p0 = malloc 9\nfree p0").rule_of_growth(),
                BoundedSteady
            );
        }
    }

    #[test]
    fn blocks_are_freed_where_they_were_made() {
        let handed_over = program(
            "thread 1\np0 = malloc 1\np1 = malloc 2\nthread 2\nfree p0\np2 = malloc 3\nfree p2\njoin\nfree p1\n\
             repeat 9 x 9",
        );
        let kept = handed_over.without_handing_over().expect("it hands over");
        let expected = program(
            "thread 1\np0 = malloc 1\np1 = malloc 2\nthread 2\nthread 1\nfree p0\nthread 2\np2 = malloc 3\nfree p2\n\
             join\nfree p1\nrepeat 9 x 11",
        );
        assert_eq!(kept, expected);
        assert_eq!(kept.without_handing_over(), None);
    }
}
