//! What is laid to circumstances, and kinds of evidence.

use super::deaths::parsed;
use super::*;
use crate::shadow::{Evidence, Moment};

const HERE: u64 = 0x2_0000;

#[test]
fn of_a_call() {
    let ground = Ground::new();
    let mut table = Table::default();
    let programs = [
        "p0 = malloc 24",
        "under signals 100\np0 = malloc 24",
        "under closed descriptors\nunder signals 100\np0 = malloc 24",
        "fork\nwait\np0 = malloc 24",
        "fork\np0 = malloc 24\nwait",
        "p0 = malloc 24\nunder signals 100",
    ];
    let answers = [
        ("NULL", failed(libc::ENOMEM)),
        ("NULL, errno kept", failed(ERRNO_BEFORE)),
        ("a block", block(ground.at(HERE))),
        ("misaligned", block(ground.at(HERE + 8))),
        ("nowhere", block(1 << 47)),
    ];
    let signals = RuleId::SignalInterrupt;
    for left_out in [None, Some(signals), Some(RuleId::ForkSt)] {
        let rules = without(of_c(), left_out.as_slice());
        for lines in programs {
            for (answer, reply) in answers {
                for expect in [crate::program::Expect::Any, crate::program::Expect::Pointer] {
                    let ledger = Ledger::new();
                    let mut shadow = View::of_answers(rules).shadow(&ledger);
                    let program = parsed(lines);
                    shadow.begin(&program);
                    let index = program.ops.iter().position(|op| op.call == Call::Malloc);
                    let index = index.expect("a malloc");
                    let op = program.ops[index].expecting(expect);
                    let request = shadow.request(&op);
                    let _ = shadow.settle(index, &op, &request, &reply);
                    shadow.count_circumstance(index);
                    let found = shadow.take_finding().map(|finding| finding.rule);
                    let counted: Vec<String> = [signals, RuleId::ForkSt, RuleId::ClosedDescriptors]
                        .iter()
                        .filter(|&&rule| ledger.checks(rule) > 0)
                        .map(ToString::to_string)
                        .collect();
                    let found = found.map_or("nothing".into(), |rule| rule.to_string());
                    table.enter(
                        format!(
                            "{}, {expect:?}, without {left_out:?}",
                            lines.replace('\n', "; ")
                        ),
                        answer,
                        format!("{found}; exercises {}", counted.join(", ")),
                    );
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}

/// What is known of a rule and a call is known of no other.
#[test]
fn that_are_known() {
    let mut muted = Muted::NONE;
    let (rule, other) = (RuleId::Disjoint, RuleId::ContentStable);
    muted.mute(rule, Call::Malloc);
    muted.mute(rule, Call::Free);
    muted.mute(other, Call::Malloc);
    muted.unmute(rule, Call::Malloc);
    let pairs: Vec<(u16, u8)> = muted.pairs().collect();
    assert_eq!(Muted::from_pairs(&pairs), muted);
    assert!(!muted.contains(rule, Call::Malloc));
    assert!(muted.contains(rule, Call::Free) && muted.contains(other, Call::Malloc));
}

#[test]
fn that_are_seen() {
    let mut table = Table::default();
    let slot = 0;
    let (address, size, offset, other) = (16, 24, 0, 1);
    let died = |moment| Evidence::Died {
        death: crate::shadow::Death::Exit { status: 1 },
        moment,
        said: String::new(),
    };
    let moments = (0..9).map(|number| {
        let moment = Moment::from_u8(number);
        assert!(moment as u8 == number || number == 8, "{moment:?}");
        (format!("died, {moment:?}"), died(moment))
    });
    let others = [
        Evidence::UnexpectedPointer { address },
        Evidence::UnexpectedNull,
        Evidence::BadAddress { address },
        Evidence::Foreign {
            address,
            size,
            other: 4096,
        },
        Evidence::Misaligned {
            address,
            alignment: 32,
        },
        Evidence::Overlap {
            address,
            size,
            other,
            other_address: 32,
            other_size: 24,
        },
        Evidence::Contents {
            slot,
            address,
            size,
            offset,
            stored: 1,
            found: 2,
        },
        Evidence::NotZero {
            address,
            size,
            offset,
            found: 1,
        },
        Evidence::NotDiscarded {
            address,
            size,
            offset,
        },
        Evidence::Threw { what: "i".into() },
    ];
    let others = others.into_iter().map(|evidence| {
        let text = format!("{evidence:?}");
        let kind = text.split([' ', '{']).next().unwrap_or_default().to_owned();
        (kind, evidence)
    });
    for (kind, evidence) in others.chain(moments) {
        let is = |does: bool| if does { "yes" } else { "no" }.to_owned();
        table.enter(&kind, "harms-memory", is(evidence.harms_memory()));
        table.enter(&kind, "breaks-down", is(evidence.is_breakdown()));
        table.enter(&kind, "harms", is(evidence.is_harm()));
    }
    insta::assert_snapshot!(table.text());
}
