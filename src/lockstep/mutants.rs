//! The comparison checked: the reference with a fault that no rule of the catalogue speaks of, in lockstep with the sound
//! one.
//!
//! Both play one script on stages that are alike. Everything that can be seen of the two is compared after every step, and
//! what they count now and then. The first difference ends it, so that what a fault leads to later is never seen.

use super::play::{FAIL_RAW, MALLOC, SLOTS, Step};
use super::reference::{faulty, reference};
use super::script::Script;
use crate::pymalloc::{Build, Edition, Fault};
use crate::run::{CheckError, MutantRow, MutantVerdict};
use crate::subject::reference::breaks;
use std::io;
use std::time::Instant;

/// What the table says of them.
const LOCKSTEP: &str = "lockstep";
/// Steps that are played before a mutant has survived: about ten times what it takes to find the most hidden.
const PATIENCE: u64 = 4_000_000;
/// Steps between two looks at what is counted, which visits every pool.
const COUNT: u64 = 256;

/// The faults of order, which no rule speaks of.
fn faults() -> impl Iterator<Item = Fault> {
    let all = Fault::ALL.iter().copied();
    all.filter(|&fault| breaks(fault).is_none() && !fault.is_of_debug_layer())
}

/// Whether this is the name of a mutant that only the comparison finds.
pub fn is_mutant(name: &str) -> bool {
    faults().any(|fault| fault.name() == name)
}

/// Plays a script of this seed on every such mutant, or on those of these names, telling of each as it is done.
///
/// # Errors
///
/// When the memory cannot be had.
pub fn mutants(
    names: &[String],
    seed: u64,
    tell: &mut dyn FnMut(&MutantRow),
) -> Result<Vec<MutantRow>, CheckError> {
    let chosen = |fault: &Fault| names.is_empty() || names.iter().any(|name| name == fault.name());
    let mut rows = Vec::new();
    for fault in faults().filter(chosen) {
        let started = Instant::now();
        let found =
            first_difference(fault, seed, PATIENCE).map_err(|error| CheckError::Resources {
                what: "address space for a stage",
                reason: error.to_string(),
            })?;
        let row = MutantRow {
            name: fault.name().to_owned(),
            breaks: LOCKSTEP,
            description: fault.description().to_owned(),
            caught: found.map(|_| LOCKSTEP).into_iter().collect(),
            verdict: match found {
                Some(_) => MutantVerdict::Caught,
                None => MutantVerdict::Survived,
            },
            ops_needed: found.unwrap_or(PATIENCE),
            elapsed: started.elapsed(),
        };
        tell(&row);
        rows.push(row);
    }
    Ok(rows)
}

/// The layouts to play in: today's, and an old one, in which many classes fill their pools to the last byte.
const BUILDS: [Build; 2] = [Edition::USUAL.build, Build::Early37];

/// The number of steps after which the two differ, if they do within so many in any layout.
fn first_difference(fault: Fault, seed: u64, most: u64) -> io::Result<Option<u64>> {
    for build in BUILDS {
        if let Some(step) = first_difference_in(build, fault, seed, most)? {
            return Ok(Some(step));
        }
    }
    Ok(None)
}

fn first_difference_in(
    build: Build,
    fault: Fault,
    seed: u64,
    most: u64,
) -> io::Result<Option<u64>> {
    let mut sound = reference(build, 0)?;
    let mut faulty = faulty(build, fault)?;
    let script = refused().chain(Script::new(seed, build.geometry()));
    for (step, played) in (1..=most).zip(script) {
        let played = [played];
        let same = sound.play(&played) == faulty.play(&played);
        let counts = step.is_multiple_of(COUNT);
        if !same || counts && sound.blocks() != faulty.blocks() {
            return Ok(Some(step));
        }
    }
    Ok(None)
}

/// Steps in which everything is refused that the first arena takes: the vector, a node of either level. The script does
/// not use their slots.
fn refused() -> impl Iterator<Item = Step> {
    let step = |call, slot, a| Step {
        call,
        slot,
        a,
        b: 0,
    };
    let slots = SLOTS as u32 - 8..;
    let nth = [1, 2, 1, 2].into_iter().zip(slots);
    nth.flat_map(move |(nth, slot)| [step(FAIL_RAW, slot, nth), step(MALLOC, slot, 100)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_and_none_where_there_is_none() {
        let rows = mutants(&[], 1, &mut |_| {}).expect("address space");
        assert!(rows.len() >= 19);
        for row in rows {
            assert_eq!(row.verdict, MutantVerdict::Caught, "{}", row.name);
        }
        // A fault that shows elsewhere: the C library is not on the stage.
        let unseen = first_difference(Fault::ZeroReachesLibrary, 1, 100_000);
        assert_eq!(unseen.expect("address space"), None);
    }
}
