//! The cost of an operation as the heap grows.

use super::checking::{Cost, cost};
use super::workload::Workload;
use super::{Measure, Subject, Target};
use crate::program::Slot;
use crate::run::CheckError;

const FEW: Slot = 4096;
const MANY: Slot = 1_000_000;
/// Operations in a turn.
const OPERATIONS: usize = 1_000_000;
const TURNS: usize = 3;

/// The cost of an operation with so many blocks live.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Live blocks.
    pub live: Slot,
    /// What an operation takes.
    pub cost: Cost,
}

pub(super) fn measure() -> Result<Vec<Measure>, CheckError> {
    let mut measures = Vec::new();
    for largest in [64, 256, 1024] {
        let [few, many] = [FEW, MANY].map(|live| at(live, largest));
        let (few, many) = (few?.ratio, many?.ratio);
        let sizes = format!("1 to {largest} bytes");
        let measure = |what, value| Measure::new(Subject::Growth, what, value, "x");
        measures.push(measure(
            format!("{sizes}: checked beside unchecked, 4,096 live"),
            few,
        ));
        measures.push(measure(format!("{sizes}: the same, 1,000,000 live"), many));
        measures.push(
            measure(format!("{sizes}: the second beside the first"), many / few)
                .with_target(Target::AtMost(1.0)),
        );
    }
    Ok(measures)
}

/// The cost of an operation on small blocks, from a hundred live ones to `most`, at least twice in every decade.
pub(super) fn points(most: Slot) -> Result<Vec<Point>, CheckError> {
    let decades = (2..).map(|power| 10u32.pow(power));
    let lives = decades.flat_map(|decade| [decade, decade.saturating_mul(3)]);
    lives
        .take_while(|&live| live <= most)
        .map(|live| {
            let cost = at(live, 128)?;
            Ok(Point { live, cost })
        })
        .collect()
}

fn at(live: Slot, largest: u64) -> Result<Cost, CheckError> {
    cost(&Workload::mixed(live, largest, OPERATIONS), live, TURNS)
}
