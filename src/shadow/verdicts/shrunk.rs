//! Which rule a shrunk program proves broken.

use super::deaths::parsed;
use super::*;
use crate::shadow::{Death, Evidence, Finding, Moment, attribute_shrunk};

const PROGRAMS: [&str; 26] = [
    "p0 = malloc 2093055",
    "p0 = malloc 2093056",
    "p0 = malloc 24",
    "p0 = malloc 1048576",
    "p0 = malloc 1044480",
    "p0 = malloc 1044479",
    "p0 = malloc 2101248",
    "p0 = malloc 2101249",
    "p0 = malloc 1572864",
    "p0 = malloc 18446744073709551615",
    "p0 = malloc 24\nstretch p0",
    "p0 = memalign 64 24\np0 = realloc p0 48",
    "p0 = memalign 16 24\np0 = realloc p0 48",
    "p0 = malloc 24\np0 = realloc p0 48",
    "p0 = malloc 24\nfree_sized p0",
    "p0 = aligned_alloc 64 24\nfree_aligned_sized p0",
    "p0 = new 24\ndelete_sized p0",
    "p0 = new 24\ndelete p0",
    "free_sized null 8",
    "p0 = calloc 1 8",
    "p0 = calloc 1 8\np1 = calloc 8 1",
    "limit 1000000\np0 = calloc 1 8",
    "fail raw 1\np0 = calloc 1 8",
    "fail arena 1\np0 = calloc 1 8",
    "fail syscall mmap 1\np0 = calloc 1 8",
    "under signals 100\np0 = malloc 24",
];

#[test]
fn by_what_is_left() {
    let died = |signal| Evidence::Died {
        death: Death::Signal {
            signal,
            address: None,
        },
        moment: Moment::Call,
        said: String::new(),
    };
    let evidences = [
        (
            "contents",
            Evidence::Contents {
                slot: 0,
                address: 16,
                size: 24,
                offset: 0,
                stored: 1,
                found: 2,
            },
        ),
        (
            "overlap",
            Evidence::Overlap {
                address: 16,
                size: 24,
                other: 1,
                other_address: 32,
                other_size: 24,
            },
        ),
        (
            "misaligned",
            Evidence::Misaligned {
                address: 1,
                alignment: 16,
            },
        ),
        (
            "growth",
            Evidence::Growth {
                bytes: 2,
                allowed: 1,
            },
        ),
        ("NULL", Evidence::UnexpectedNull),
        ("crash", died(libc::SIGSEGV)),
        ("killed", died(libc::SIGKILL)),
    ];
    let rules = [
        RuleId::AllocNonnullUsable,
        RuleId::Disjoint,
        RuleId::DistinctNonzero,
        RuleId::ContentStable,
        RuleId::CallReturns,
        RuleId::MetadataInviolate,
        RuleId::UsableWritable,
        RuleId::ReallocContent,
        RuleId::CallocZero,
        RuleId::CallocZeroAfterOom,
        RuleId::CallocArgsSym,
        RuleId::FreeSizedEquiv,
        RuleId::CxxSizedEquiv,
        RuleId::SignalInterrupt,
        RuleId::AlignFundamentalFit,
    ];
    let absent = [
        None,
        Some(RuleId::AlignReallocFirst),
        Some(RuleId::UsableWritable),
        Some(RuleId::SizeBoundaries),
        Some(RuleId::FreeSizedEquiv),
    ];
    let mut table = Table::default();
    for lines in PROGRAMS {
        for (name, evidence) in &evidences {
            let mut usual = Vec::new();
            for purpose in [None, Some(RuleId::SizeBoundaries)] {
                let program = Program {
                    rule: purpose,
                    ..parsed(lines)
                };
                for absent in absent {
                    let checked = without(all(), absent.as_slice());
                    let laid = rules.map(|rule| {
                        let finding = Finding {
                            rule,
                            op_index: program.ops.len() - 1,
                            evidence: evidence.clone(),
                        };
                        match attribute_shrunk(&finding, &program, &checked) {
                            laid if laid == rule => "itself".to_owned(),
                            laid => laid.to_string(),
                        }
                    });
                    let laid = laid.to_vec();
                    // What changes nothing is not told.
                    if usual == laid {
                        continue;
                    }
                    let mut about = format!("{}, {name}", lines.replace('\n', "; "));
                    purpose
                        .into_iter()
                        .for_each(|_| about += ", for a boundary");
                    absent
                        .into_iter()
                        .for_each(|rule| about += &format!(", without {rule}"));
                    for (rule, laid) in rules.iter().zip(&laid) {
                        table.enter(&about, rule, laid.clone());
                    }
                    if usual.is_empty() {
                        usual = laid;
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(table.text());
}
