//! Which C++ operators a library must define together.
//!
//! A form that a library leaves out is served by the C++ library, whose plain forms call `malloc` and `free`, whose
//! aligned ones call `aligned_alloc` and `free`, and all of whose others call these, whoever defines them.

use crate::program::Call;
use crate::spec::RuleId;

/// A kind of blocks: the plain and the `nothrow` form that make them, and the plain and the sized form that delete them.
const KINDS: [[Call; 4]; 4] = [
    [Call::New, Call::NewNothrow, Call::Delete, Call::DeleteSized],
    [
        Call::NewAligned,
        Call::NewAlignedNothrow,
        Call::DeleteAligned,
        Call::DeleteSizedAligned,
    ],
    [
        Call::NewArray,
        Call::NewArrayNothrow,
        Call::DeleteArray,
        Call::DeleteArraySized,
    ],
    [
        Call::NewArrayAligned,
        Call::NewArrayAlignedNothrow,
        Call::DeleteArrayAligned,
        Call::DeleteArraySizedAligned,
    ],
];

/// What is wrong with the operators of a library that defines these, by the rule it breaks.
pub fn broken(defines: impl Fn(Call) -> bool) -> Vec<(RuleId, String)> {
    let mut sized_alone = Vec::new();
    let mut unsized_alone = Vec::new();
    let mut new_alone = Vec::new();
    for (kind, [new, nothrow, delete, sized]) in KINDS.into_iter().enumerate() {
        match (defines(delete), defines(sized)) {
            (false, true) => sized_alone.push((sized, delete)),
            (true, false) => unsized_alone.push((delete, sized)),
            _ => {}
        }
        // The forms for arrays are served by those for single objects.
        let single = KINDS[kind % 2];
        if !defines(delete) && !(kind >= 2 && defines(single[2])) {
            let news = [new, nothrow].into_iter().filter(|&call| defines(call));
            new_alone.extend(news.map(|call| (call, delete)));
        }
    }
    let told = |pairs: Vec<(Call, Call)>| {
        let each = pairs
            .iter()
            .map(|(one, other)| format!("`{}` but not `{}`", one.as_str(), other.as_str()));
        format!("defines {}", each.collect::<Vec<_>>().join(", "))
    };
    [
        (RuleId::CxxPairComplete, sized_alone),
        (RuleId::CxxPairSized, unsized_alone),
        (RuleId::CxxPairDelete, new_alone),
    ]
    .into_iter()
    .filter(|(_, pairs)| !pairs.is_empty())
    .map(|(rule, pairs)| (rule, told(pairs)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(defined: &[Call]) -> Vec<RuleId> {
        let broken = broken(|call| defined.contains(&call));
        broken.into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn pairs_that_are_not_complete_are_found() {
        use Call::*;
        let all: Vec<Call> = Call::ALL
            .iter()
            .copied()
            .filter(|call| call.operator().is_some())
            .collect();
        assert_eq!(of(&all), []);
        assert_eq!(of(&[]), []);
        let complete = &[RuleId::CxxPairComplete][..];
        let sized = &[RuleId::CxxPairSized][..];
        let delete = &[RuleId::CxxPairDelete][..];
        let both = &[RuleId::CxxPairComplete, RuleId::CxxPairDelete][..];
        for (defined, broken) in [
            (&[New][..], delete),
            (&[NewNothrow], delete),
            (&[NewArray], delete),
            (&[NewAligned], delete),
            (&[DeleteSized], complete),
            (&[DeleteArraySized, Delete, DeleteSized], complete),
            (&[New, DeleteSized], both),
            // Of who replaces delete alone, as to count, nothing is said.
            (&[Delete], sized),
            (&[Delete, DeleteSized], &[]),
            (&[New, Delete], sized),
            (&[New, Delete, DeleteSized], &[]),
            // The C++ library's `new[]` calls `new`, and its `delete[]` calls `delete`.
            (&[New, NewArray, Delete, DeleteSized], &[]),
            (
                &[New, Delete, DeleteSized, DeleteArray, DeleteArraySized],
                &[],
            ),
            // But it has aligned forms of its own.
            (&[New, Delete, DeleteSized, NewAligned], delete),
        ] {
            assert_eq!(of(defined), broken, "{defined:?}");
        }
    }
}
