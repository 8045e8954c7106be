//! Which rule a program with threads proves broken, now that the same operations in one thread do not show it.

use super::{Death, Evidence, Finding, Moment, attribute_shrunk};
use crate::program::{Op, Program, Whose, whose};
use crate::spec::{RuleId, RuleSet};

/// The rules about threads.
const ABOUT_THREADS: [RuleId; 10] = [
    RuleId::ThreadSafe,
    RuleId::HappensBefore,
    RuleId::XthreadFree,
    RuleId::XthreadReallocFirst,
    RuleId::ConcurrentRealloc,
    RuleId::ThreadExitLive,
    RuleId::TsdDestructor,
    RuleId::BoundedThreads,
    RuleId::BoundedXthreadFree,
    RuleId::BoundedConcurrent,
];

/// Whether a rule is about threads, so that it cannot be put to the test with one alone.
pub fn is_about_threads(rule: RuleId) -> bool {
    ABOUT_THREADS.contains(&rule)
}

/// The rule that harm seen in a program with threads is held to break until more is known.
pub fn provisional(program: &Program) -> RuleId {
    let purpose = program.rule.filter(|&rule| is_about_threads(rule));
    purpose.unwrap_or(RuleId::ThreadSafe)
}

/// The rule, of those in `rules`, that harm done in a shrunk program breaks; `in_order` says whether it is done where one
/// operation follows the other, too.
pub fn attribute_threads(
    finding: &Finding,
    program: &Program,
    in_order: bool,
    rules: &RuleSet,
) -> RuleId {
    if !finding.evidence.is_harm() {
        return finding.rule;
    }
    let scene = Scene::of(program, finding);
    let first_call = is_in_call(finding) && scene.is_first;
    if scene.is_lone && !scene.in_destructor && !first_call {
        // One thread did it, to blocks of its own, and that it is not the main one says nothing of what it did.
        return attribute_shrunk(finding, program, rules);
    }
    let rule = if scene.in_destructor {
        RuleId::TsdDestructor
    } else if in_order {
        one_by_one(&scene, finding)
    } else {
        at_once(&scene, finding)
    };
    if rules.contains(rule) {
        rule
    } else {
        RuleId::ThreadSafe
    }
}

/// What has happened up to the guilty operation.
struct Scene<'a> {
    op: Option<&'a Op>,
    in_destructor: bool,
    /// Whether a thread met it that made all calls that there are, and that had not ended then.
    is_lone: bool,
    /// Whether the guilty operation is the first call of a thread.
    is_first: bool,
    /// Whether the guilty operation is on a block of another thread.
    is_foreign: bool,
    /// Whether some block was freed or resized by another thread than made it.
    is_handed_over: bool,
    /// Whether a thread has ended that has left a block.
    is_left_behind: bool,
}

impl Scene<'_> {
    fn of<'a>(program: &'a Program, finding: &Finding) -> Scene<'a> {
        let ops = &program.ops;
        let guilty = finding.op_index;
        let whose = whose(ops);
        let mut here = whose.get(guilty).copied().unwrap_or_default();
        if guilty + 1 == ops.len() && is_seen_at_end(finding, &ops[guilty]) {
            here.thread = 0;
        }
        let ending = is_in_end(finding);
        let calls = ops.iter().zip(&whose);
        let mut calls = calls.filter(|(op, _)| op.call.is_entry_point());
        let of_it = |own: &Whose| (own.section, own.thread) == (here.section, here.thread);
        let mut makers: Vec<Option<Whose>> = vec![None; program.slots()];
        let mut scene = Scene {
            op: ops.get(guilty),
            in_destructor: whose.iter().any(|it| it.round > 0),
            is_lone: here.thread != 0 && !ending && calls.all(|(_, own)| of_it(own)),
            is_first: here.thread != 0,
            is_foreign: false,
            is_handed_over: false,
            is_left_behind: false,
        };
        for (index, (op, own)) in ops.iter().zip(&whose).enumerate().take(guilty + 1) {
            if index < guilty && op.call.is_entry_point() && !own.is_apart_from(&here) {
                scene.is_first = false;
            }
            let Some(maker) = makers.get_mut(op.slot as usize) else {
                continue;
            };
            let foreign = maker.is_some_and(|maker| maker.is_apart_from(own));
            scene.is_foreign = foreign;
            scene.is_handed_over |= foreign && (op.call.frees() || op.call.reallocates());
            if op.call.allocates() || op.call.reallocates() {
                *maker = Some(*own);
            } else if op.call.frees() {
                *maker = None;
            }
        }
        let mut makers = makers.into_iter().flatten();
        scene.is_left_behind = makers.any(|maker| maker.has_ended_before(&here));
        scene
    }
}

/// Whether the main thread saw it when it looked at all blocks after the last operation, which looks at none.
fn is_seen_at_end(finding: &Finding, op: &Op) -> bool {
    let verifying = matches!(
        finding.evidence,
        Evidence::Contents { .. }
            | Evidence::Died {
                moment: Moment::Verify,
                ..
            }
    );
    verifying && !op.call.frees() && !op.call.reallocates()
}

fn is_in_call(finding: &Finding) -> bool {
    matches!(
        finding.evidence,
        Evidence::Died {
            moment: Moment::Call,
            ..
        }
    )
}

fn is_in_end(finding: &Finding) -> bool {
    matches!(
        finding.evidence,
        Evidence::Died {
            moment: Moment::Ending,
            ..
        }
    )
}

/// Of a program in which one thing happens after another.
fn one_by_one(scene: &Scene<'_>, finding: &Finding) -> RuleId {
    let in_call = is_in_call(finding);
    match () {
        () if in_call && scene.is_first => RuleId::XthreadReallocFirst,
        () if in_call && scene.is_foreign => RuleId::XthreadFree,
        () if scene.is_left_behind => RuleId::ThreadExitLive,
        () if scene.is_handed_over => RuleId::XthreadFree,
        () => RuleId::ThreadSafe,
    }
}

/// Of a program that shows it only where things happen at once.
fn at_once(scene: &Scene<'_>, finding: &Finding) -> RuleId {
    let resized = scene.op.is_some_and(|op| op.call.reallocates());
    let own = |slot| scene.op.is_some_and(|op| op.slot == slot);
    match finding.evidence {
        // What was seen before the call had been done by then.
        Evidence::Contents { slot, .. }
            if resized && own(slot) && finding.rule == RuleId::ReallocContent =>
        {
            RuleId::ConcurrentRealloc
        }
        Evidence::NotZero { .. } if resized => RuleId::ConcurrentRealloc,
        Evidence::Contents { .. } | Evidence::NotZero { .. } => RuleId::HappensBefore,
        Evidence::Died {
            death: Death::Hang { .. },
            ..
        } => RuleId::ThreadSafe,
        _ if resized => RuleId::ConcurrentRealloc,
        _ => RuleId::ThreadSafe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Call;

    const OVERLAP: Evidence = Evidence::Overlap {
        address: 64,
        size: 10,
        other: 0,
        other_address: 64,
        other_size: 10,
    };
    const DIRT: Evidence = Evidence::NotZero {
        address: 64,
        size: 10,
        offset: 0,
        found: 1,
    };
    const CRASH: Death = Death::Signal {
        signal: libc::SIGSEGV,
        address: None,
    };

    fn damage(slot: u32) -> Evidence {
        Evidence::Contents {
            slot,
            address: 64,
            size: 10,
            offset: 0,
            stored: 1,
            found: 2,
        }
    }

    fn died(death: Death, moment: Moment) -> Evidence {
        Evidence::Died {
            death,
            moment,
            said: String::new(),
        }
    }

    /// The rule that evidence at the last operation of a program is laid to, seen at once and in order.
    fn rules_of(lines: &str, evidence: &Evidence) -> [RuleId; 2] {
        let program = Program::parse(&format!("# allocspec trace 1\n{lines}")).expect(lines);
        let op_index = program.ops.len() - 1;
        let finding = Finding {
            rule: match program.ops[op_index].call {
                Call::Realloc => RuleId::ReallocContent,
                _ => RuleId::CallReturns,
            },
            op_index,
            evidence: evidence.clone(),
        };
        let all = RuleId::ALL.iter().copied().collect();
        [false, true].map(|in_order| attribute_threads(&finding, &program, in_order, &all))
    }

    #[test]
    fn harm_is_laid_to_what_the_threads_have_to_do_with_it() {
        use RuleId::*;
        let crash = died(CRASH, Moment::Call);
        let hang = died(Death::Hang { millis: 2000 }, Moment::Call);
        // The program, what was seen, and the rules: at once, and in order.
        let table = [
            // Two at work, each on blocks of its own.
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1",
                &OVERLAP,
                [ThreadSafe; 2],
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\nfree p1",
                &damage(1),
                [HappensBefore, ThreadSafe],
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = calloc 1 1",
                &DIRT,
                [HappensBefore, ThreadSafe],
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\nfree p1",
                &hang,
                [ThreadSafe; 2],
            ),
            // Resizing.
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\np1 = realloc p1 9",
                &OVERLAP,
                [ConcurrentRealloc, ThreadSafe],
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\np1 = realloc p1 9",
                &damage(1),
                [ConcurrentRealloc, ThreadSafe],
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np2 = malloc 1\np1 = malloc 1\np1 = realloc p1 9",
                &damage(2),
                [HappensBefore, ThreadSafe],
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\np1 = realloc p1 9",
                &DIRT,
                [ConcurrentRealloc, ThreadSafe],
            ),
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\np1 = realloc p1 9",
                &hang,
                [ThreadSafe; 2],
            ),
            // A block that passes from one thread to another.
            (
                "p0 = malloc 1\nthread 1\np1 = malloc 1\nfree p0",
                &crash,
                [ThreadSafe, XthreadFree],
            ),
            (
                "p0 = malloc 1\nthread 1\nfree p0",
                &crash,
                [ThreadSafe, XthreadReallocFirst],
            ),
            (
                "p0 = malloc 1\nthread 1\nfree p0\njoin\np1 = malloc 1",
                &OVERLAP,
                [ThreadSafe, XthreadFree],
            ),
            // A block of a thread that has ended.
            (
                "thread 1\np0 = malloc 1\njoin\np1 = malloc 1",
                &OVERLAP,
                [ThreadSafe, ThreadExitLive],
            ),
            (
                "thread 1\np0 = malloc 1\njoin",
                &damage(0),
                [HappensBefore, ThreadExitLive],
            ),
            // Seen by the main thread, when it looks at all blocks in the end.
            (
                "thread 1\np0 = malloc 1\nthread 2\np1 = malloc 1",
                &damage(0),
                [HappensBefore, ThreadExitLive],
            ),
            // A block that was passed on beside one that was left behind.
            (
                "thread 1\np0 = malloc 1\np2 = malloc 2\njoin\nthread 1\np1 = malloc 1\nfree p0",
                &crash,
                [ThreadSafe, XthreadFree],
            ),
            // In the end of a thread.
            (
                "thread 1\np0 = malloc 1\nat exit\nfree p0",
                &crash,
                [TsdDestructor; 2],
            ),
            (
                "thread 1\np0 = malloc 1",
                &died(CRASH, Moment::Ending),
                [ThreadSafe, ThreadSafe],
            ),
            // The first call of a thread.
            (
                "thread 1\np0 = malloc 1",
                &crash,
                [ThreadSafe, XthreadReallocFirst],
            ),
        ];
        for (lines, evidence, rules) in table {
            assert_eq!(rules_of(lines, evidence), rules, "{lines}\n{evidence:?}");
        }
    }

    #[test]
    fn what_one_thread_does_to_itself_is_laid_to_what_it_does() {
        use RuleId::*;
        let program = "thread 1\np0 = malloc 1\np1 = malloc 1\nfree p0";
        for evidence in [damage(1), OVERLAP, died(CRASH, Moment::Call)] {
            assert_eq!(
                rules_of(program, &evidence),
                [CallReturns; 2],
                "{evidence:?}"
            );
        }
        // The main thread has a part in it, or another one.
        for other in ["p2 = malloc 1\n", "thread 2\np2 = malloc 1\n"] {
            let rules = rules_of(&format!("{other}{program}"), &OVERLAP);
            assert_eq!(rules[0], ThreadSafe, "{other}");
        }
        let again = "thread 1\np0 = malloc 1\njoin\nthread 1\np1 = malloc 1\nfree p1";
        assert_eq!(rules_of(again, &damage(1)), [HappensBefore, ThreadExitLive]);
    }

    #[test]
    fn what_is_seen_before_a_block_is_resized_is_not_laid_to_that() {
        let program = "# allocspec trace 1\nthread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\np1 = realloc p1 9";
        let program = Program::parse(program).expect("a program");
        let all = RuleId::ALL.iter().copied().collect();
        let seen = [RuleId::ContentStable, RuleId::ReallocContent].map(|rule| {
            let finding = Finding {
                rule,
                op_index: 4,
                evidence: damage(1),
            };
            attribute_threads(&finding, &program, false, &all)
        });
        assert_eq!(seen, [RuleId::HappensBefore, RuleId::ConcurrentRealloc]);
    }

    #[test]
    fn what_nobody_asks_about_is_laid_to_the_general_rule() {
        let program = Program::parse(
            "# allocspec trace 1\nthread 1\np0 = malloc 1\nthread 2\np1 = malloc 1\nfree p1",
        );
        let program = program.expect("a program");
        let finding = Finding {
            rule: RuleId::ContentStable,
            op_index: 4,
            evidence: damage(1),
        };
        let some = [RuleId::ThreadSafe].into_iter().collect();
        assert_eq!(
            attribute_threads(&finding, &program, false, &some),
            RuleId::ThreadSafe
        );
    }
}
