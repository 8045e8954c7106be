//! Which rule a program with threads proves broken, now that the same operations in one thread do not show it.

use super::{Death, Evidence, Finding, Moment};
use crate::program::{Op, Program, Whose, whose};
use crate::spec::{RuleId, RuleSet};

/// The rules about threads.
const ABOUT_THREADS: [RuleId; 7] = [
    RuleId::ThreadSafe,
    RuleId::HappensBefore,
    RuleId::XthreadFree,
    RuleId::XthreadReallocFirst,
    RuleId::ConcurrentRealloc,
    RuleId::ThreadExitLive,
    RuleId::TsdDestructor,
];

/// The rule that harm seen in a program with threads is held to break until more is known.
pub fn provisional(program: &Program) -> RuleId {
    let purpose = program.rule.filter(|rule| ABOUT_THREADS.contains(rule));
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
        let mut makers: Vec<Option<Whose>> = vec![None; program.slots()];
        let mut scene = Scene {
            op: ops.get(guilty),
            in_destructor: whose.iter().any(|it| it.round > 0),
            is_first: here.thread != 0,
            is_foreign: false,
            is_handed_over: false,
            is_left_behind: false,
        };
        for (index, (op, own)) in ops.iter().zip(&whose).enumerate().take(guilty + 1) {
            if index < guilty && op.call.entry_point().is_some() && !own.is_apart_from(&here) {
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

/// Of a program in which one thing happens after another.
fn one_by_one(scene: &Scene<'_>, finding: &Finding) -> RuleId {
    let in_call = matches!(
        finding.evidence,
        Evidence::Died {
            moment: Moment::Call,
            ..
        }
    );
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
    match finding.evidence {
        Evidence::Contents { .. } | Evidence::NotZero { .. } => RuleId::HappensBefore,
        Evidence::Died {
            death: Death::Hang { .. },
            ..
        } => RuleId::ThreadSafe,
        _ if resized => RuleId::ConcurrentRealloc,
        _ => RuleId::ThreadSafe,
    }
}
