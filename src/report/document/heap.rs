//! The part of the address space that a finding is about, as it was after each of the last operations.

use crate::program::{Call, NO_SLOT, Slot};
use crate::report::evidence::{gave_block, shared};
use crate::report::words::bytes;
use crate::shadow::{Case, Evidence};
use serde::Serialize;
use std::collections::BTreeMap;

#[cfg(test)]
use schemars::JsonSchema;

/// Operations shown at most, the guilty one included.
const FRAMES: usize = 4;
/// Blocks shown at most in one frame.
const BLOCKS: usize = 8;

/// The address and the size of every live block.
type Live = BTreeMap<Slot, (u64, u64)>;

/// The blocks around the one in question, operation by operation; the last frame is that of the guilty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct HeapMap {
    /// The first address shown.
    pub start: u64,
    /// The bytes shown.
    pub size: u64,
    /// The frames.
    pub frames: Vec<Frame>,
    /// The bytes in question.
    pub mark: Mark,
}

/// The blocks after one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Frame {
    /// The operation, as in a trace.
    pub operation: String,
    /// The live blocks in sight, by address.
    pub blocks: Vec<Block>,
}

/// A live block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Block {
    /// The slot that owns it, such as `p0`.
    pub owner: String,
    /// Its address in the subject's process.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// Whether the finding is about this block.
    pub guilty: bool,
}

/// The bytes that are overlapped, lost or misplaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Mark {
    /// The first of them.
    pub address: u64,
    /// How many; 0 for a place between bytes.
    pub size: u64,
    /// What they are, in a few words.
    pub what: String,
}

impl HeapMap {
    /// The map of a case; none if it is not about a place in memory.
    pub fn of(case: &Case) -> Option<HeapMap> {
        let subject = Focus::of(case)?;
        let (start, end) = subject.window();
        let extent = end.saturating_sub(start).max(1);
        let mut frames = history(case);
        let last = case.program.lines().nth(case.finding.op_index);
        frames.push((
            last.map_or(String::new(), |line| line.to_string()),
            case.live
                .iter()
                .map(|live| (live.slot, (live.address, live.size)))
                .collect(),
        ));
        let final_frame = frames.len() - 1;
        let frames = frames.into_iter().enumerate();
        let frames = frames.map(|(index, (operation, mut blocks))| {
            let is_last = index == final_frame;
            if is_last {
                subject.add_to(&mut blocks);
            }
            // A block of no bytes has its place too.
            let in_sight = |&(_, &(address, size)): &(&Slot, &(u64, u64))| {
                shared((address, size.max(1)), (start, extent)) > 0
            };
            let mut shown: Vec<Block> = blocks
                .iter()
                .filter(in_sight)
                .map(|(&slot, &(address, size))| Block {
                    owner: owner(slot),
                    address,
                    size,
                    guilty: is_last && subject.is(slot),
                })
                .collect();
            shown
                .sort_by_key(|block| (!block.guilty, block.address.abs_diff(subject.mark.address)));
            shown.truncate(BLOCKS);
            shown.sort_by_key(|block| (block.address, block.guilty));
            Frame {
                operation,
                blocks: shown,
            }
        });
        Some(HeapMap {
            start,
            size: extent,
            frames: frames.collect(),
            mark: subject.mark.clone(),
        })
    }
}

fn owner(slot: Slot) -> String {
    match slot {
        NO_SLOT => "the block".into(),
        _ => format!("p{slot}"),
    }
}

/// What the map is drawn around.
struct Focus {
    /// The block in question.
    block: (Slot, u64, u64),
    /// The one it has to do with.
    other: Option<(Slot, u64, u64)>,
    mark: Mark,
}

impl Focus {
    fn of(case: &Case) -> Option<Focus> {
        let slot = case.op().map_or(NO_SLOT, |op| op.slot);
        let mark = |address, size, what: String| Mark {
            address,
            size,
            what,
        };
        Some(match case.finding.evidence {
            Evidence::Overlap {
                address,
                size,
                other,
                other_address,
                other_size,
            } => {
                let common = shared((address, size), (other_address, other_size));
                let from = address.max(other_address);
                let what = match common {
                    0 => "the same address".to_owned(),
                    _ => format!("overlap: {}", bytes(common)),
                };
                Focus {
                    block: (slot, address, size),
                    other: Some((other, other_address, other_size)),
                    mark: mark(from, common, what),
                }
            }
            Evidence::Contents {
                slot,
                address,
                size,
                offset,
                stored,
                found,
            } => Focus {
                block: (slot, address, size),
                other: None,
                mark: mark(
                    address.saturating_add(offset),
                    1,
                    format!("byte {offset}: {found:#04x}, not {stored:#04x}"),
                ),
            },
            Evidence::NotZero {
                address,
                size,
                offset,
                found,
            } => Focus {
                block: (slot, address, size),
                other: None,
                mark: mark(
                    address.saturating_add(offset),
                    1,
                    format!("byte {offset}: {found:#04x}, not 0"),
                ),
            },
            Evidence::Misaligned { address, alignment } => {
                let size = case.op().and_then(|op| op.size()).unwrap_or_default();
                let past = address % alignment.max(1);
                Focus {
                    block: (slot, address, size),
                    other: None,
                    mark: mark(
                        address - past,
                        0,
                        format!("a multiple of {alignment}, {past} before"),
                    ),
                }
            }
            Evidence::Foreign {
                address,
                size,
                other,
            } => Focus {
                block: (slot, address, size),
                other: None,
                mark: mark(
                    other,
                    address.saturating_add(size).saturating_sub(other),
                    "the program's own memory".into(),
                ),
            },
            _ => return None,
        })
    }

    fn is(&self, slot: Slot) -> bool {
        self.block.0 == slot
    }

    /// The first address shown, and the one after the last: what is in question, and a third of it on either side.
    fn window(&self) -> (u64, u64) {
        let (_, address, size) = self.block;
        let mut start = address.min(self.mark.address);
        let mut end = address
            .saturating_add(size.max(1))
            .max(self.mark.address.saturating_add(self.mark.size));
        if let Some((_, address, size)) = self.other {
            start = start.min(address);
            end = end.max(address.saturating_add(size));
        }
        let margin = (end - start) / 3 + 8;
        (start.saturating_sub(margin), end.saturating_add(margin))
    }

    /// Puts the blocks in question among the live ones: the shadow has not taken in what broke the rule.
    fn add_to(&self, blocks: &mut Live) {
        for (slot, address, size) in [Some(self.block), self.other].into_iter().flatten() {
            blocks.insert(slot, (address, size));
        }
    }
}

/// The live blocks after each of the last operations before the guilty one. None of a program that repeats operations:
/// what they gave is known of their first time only.
fn history(case: &Case) -> Vec<(String, Live)> {
    let guilty = case.finding.op_index;
    let ops = &case.program.ops;
    if ops
        .iter()
        .any(|op| matches!(op.call, Call::Repeat | Call::Fork))
        || case.outcomes.len() < guilty
    {
        return Vec::new();
    }
    let mut live = Live::new();
    let mut frames = Vec::new();
    let lines: Vec<String> = case
        .program
        .lines()
        .take(guilty)
        .map(|line| line.to_string())
        .collect();
    for ((op, outcome), line) in ops.iter().zip(&case.outcomes).zip(lines) {
        if op.call.frees() {
            live.remove(&op.slot);
        } else if gave_block(op, outcome) {
            live.insert(op.slot, (outcome.value, op.size().unwrap_or_default()));
        } else if !(op.call.allocates() || op.call.reallocates()) {
            continue;
        }
        // A request that failed changed nothing, which is a thing to see.
        frames.push((line, live.clone()));
    }
    let before = frames.len().saturating_sub(FRAMES - 1);
    frames.split_off(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Op;
    use crate::report::sample;
    use crate::spec::RuleId;

    #[test]
    fn an_overlap_is_the_last_of_the_frames() {
        let map = HeapMap::of(&sample::realloc_fail_keeps()).expect("an overlap has a place");
        let frames: Vec<(&str, usize)> = map
            .frames
            .iter()
            .map(|frame| (frame.operation.as_str(), frame.blocks.len()))
            .collect();
        assert_eq!(
            frames,
            [
                ("p0 = malloc 100", 1),
                ("p0 = realloc p0 9223372036854775807", 1),
                ("p1 = malloc 100", 2)
            ]
        );
        let guilty: Vec<&str> = map.frames[2]
            .blocks
            .iter()
            .filter(|block| block.guilty)
            .map(|block| block.owner.as_str())
            .collect();
        assert_eq!(guilty, ["p1"]);
        assert_eq!(
            (map.mark.size, map.mark.what.as_str()),
            (100, "overlap: 100 B")
        );
        assert!(map.start < 0x7f31_c400_1040 && map.start + map.size > 0x7f31_c400_1040 + 100);
    }

    #[test]
    fn blocks_far_away_are_out_of_sight() {
        let ops = [
            Op::new(Call::Malloc, 0, 100, 0),
            Op::new(Call::Malloc, 1, 100, 0),
            Op::new(Call::Sweep, NO_SLOT, 0, 0),
        ];
        let outcomes = [sample::gave(0x9000), sample::gave(0x1000), sample::gave(0)];
        let evidence = Evidence::Contents {
            slot: 1,
            address: 0x1000,
            size: 100,
            offset: 99,
            stored: 0xa5,
            found: 0,
        };
        let map = HeapMap::of(&sample::case(
            RuleId::ContentStable,
            &ops,
            &outcomes,
            evidence,
        ))
        .expect("contents have a place");
        let last = map.frames.last().expect("the guilty operation has a frame");
        assert_eq!(last.blocks.len(), 1);
        assert_eq!((map.mark.address, map.mark.size), (0x1000 + 99, 1));
        assert_eq!(map.mark.what, "byte 99: 0x00, not 0xa5");
    }

    #[test]
    fn an_error_number_has_no_place() {
        let ops = [Op::new(Call::Malloc, 0, u64::MAX, 0)];
        let evidence = Evidence::Errno {
            before: 0,
            after: 0,
            wanted: Some(libc::ENOMEM),
        };
        let case = sample::case(RuleId::MallocErrno, &ops, &[sample::gave(0)], evidence);
        assert_eq!(HeapMap::of(&case), None);
    }
}
