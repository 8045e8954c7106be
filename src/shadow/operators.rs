//! What must be true of `operator new` and `operator delete`, beyond what holds of every block.

use super::Evidence;
use super::model::{At, Checked, Reply, Shadow, Thrown};
use crate::program::Call;
use crate::spec::RuleId;

/// The rule that says how a `new` tells that there is no memory.
pub(super) fn rule_of_failure(call: Call) -> RuleId {
    match call.operator() {
        Some(form) if form.nothrow => RuleId::CxxNothrowNull,
        _ => RuleId::CxxNewThrows,
    }
}

/// The rules that a `delete` is about, the most special first.
pub(super) fn rules_of_delete(call: Call, null: bool) -> Vec<RuleId> {
    let Some(form) = call.operator() else {
        return Vec::new();
    };
    let rules = [
        (null, RuleId::CxxDeleteNull),
        (form.sized && !null, RuleId::CxxSizedEquiv),
        (form.aligned && !null, RuleId::CxxAlignedDelete),
    ];
    let about = rules.into_iter().filter(|(about, _)| *about);
    about.map(|(_, rule)| rule).collect()
}

fn threw(thrown: Thrown) -> Evidence {
    let what = match thrown {
        Thrown::BadAlloc => "St9bad_alloc".into(),
        Thrown::Other(name) => name.to_string_lossy().into_owned(),
    };
    Evidence::Threw { what }
}

impl Shadow<'_> {
    /// Whether a `new` that gave no block says so as its form must, and one that gave a block threw nothing.
    #[inline(never)]
    pub(super) fn check_failure_of_new(&self, at: At, reply: &Reply) -> Checked {
        if reply.value != 0 {
            return Ok(());
        }
        let rule = rule_of_failure(at.op.call);
        self.ledger.count(rule);
        let null = Evidence::UnexpectedNull;
        match (rule, reply.thrown) {
            // A form that throws nothing may say so that it fails.
            (RuleId::CxxNewThrows, None) if at.op.size() == Some(0) => {
                self.broken(at, RuleId::CxxNewZero, null)
            }
            (RuleId::CxxNewThrows, None) => self.broken(at, rule, null),
            (RuleId::CxxNewThrows, Some(Thrown::BadAlloc)) | (_, None) => Ok(()),
            (_, Some(thrown)) => self.broken(at, rule, threw(thrown)),
        }
    }

    /// Whether a `new` gave up only once there was no new handler.
    #[inline(never)]
    pub(super) fn check_handler(&self, at: At, reply: &Reply) -> Checked {
        let Some(handler) = reply.handler else {
            return Ok(());
        };
        let gave_up = reply.value == 0 && handler.is_set;
        if handler.calls > 0 || gave_up {
            self.ledger.count(RuleId::CxxNewHandler);
        }
        if !gave_up {
            return Ok(());
        }
        let evidence = Evidence::Requests {
            wanted: "the new handler called until there is memory, or no handler".into(),
            found: format!(
                "no block, though there is a handler; calls of it: {}",
                handler.calls
            ),
        };
        self.broken(at, RuleId::CxxNewHandler, evidence)
    }

    /// Whether a `delete` threw nothing. What has become of a block whose `delete` did cannot be told.
    #[inline(never)]
    pub(super) fn check_delete(&self, at: At, reply: &Reply) -> Checked {
        self.ledger.count(RuleId::CxxDeleteNothrow);
        match reply.thrown {
            Some(thrown) => self.ruined(at, RuleId::CxxDeleteNothrow, threw(thrown)),
            None => Ok(()),
        }
    }

    /// Counts what a `delete` of a block exercises.
    #[inline(never)]
    pub(super) fn count_delete(&self, call: Call) {
        for rule in rules_of_delete(call, false) {
            self.ledger.count(rule);
        }
    }
}
