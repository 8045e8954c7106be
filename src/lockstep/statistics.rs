//! The text of the statistics: an interpreter's before the script, brought forward by what the reference counted, must be
//! the interpreter's after it.

use super::Difference;
use crate::pymalloc::{ClassUsage, Geometry, MAX_CLASSES, Statistics, Usage};

/// Compares the texts before and after with the counts before and after.
pub(super) fn compare(texts: [&str; 2], counts: [&Usage; 2]) -> Option<Difference> {
    let mut expected = read(texts[0], counts[0].geometry);
    // What the interpreter began with is told as it tells it; what comes of that is compared with it.
    if let Some(difference) = first(texts[0], &expected.to_string()) {
        return Some(difference);
    }
    let [old, new] = counts;
    let change = |from: &mut usize, old: usize, new: usize| *from = *from + new - old;
    let of_classes = expected
        .classes
        .iter_mut()
        .zip(old.classes.iter().zip(&new.classes));
    for (class, (old, new)) in of_classes {
        change(&mut class.pools, old.pools, new.pools);
        change(&mut class.used, old.used, new.used);
        change(&mut class.available, old.available, new.available);
    }
    change(
        &mut expected.arenas.total,
        old.arenas.total,
        new.arenas.total,
    );
    change(
        &mut expected.arenas.current,
        old.arenas.current,
        new.arenas.current,
    );
    // Both began with every entry of the vector in use, so neither had ever had more.
    expected.arenas.highwater = expected.arenas.highwater.max(new.arenas.highwater);
    change(
        &mut expected.unused_pools,
        old.unused_pools,
        new.unused_pools,
    );
    change(
        &mut expected.lost_to_alignment,
        old.lost_to_alignment,
        new.lost_to_alignment,
    );
    for level in 0..2 {
        change(
            &mut expected.nodes[level],
            old.nodes[level],
            new.nodes[level],
        );
    }
    first(texts[1], &expected.to_string())
}

/// The first line that is not the same.
fn first(theirs: &str, ours: &str) -> Option<Difference> {
    let (mut theirs, mut ours) = (theirs.lines(), ours.lines());
    loop {
        let (interpreter, reference) = (theirs.next(), ours.next());
        if interpreter.is_none() && reference.is_none() {
            return None;
        }
        if interpreter != reference {
            let line = |line: Option<&str>| line.unwrap_or("no more lines").to_owned();
            return Some(Difference::Statistics {
                interpreter: line(interpreter),
                reference: line(reference),
            });
        }
    }
}

/// The counts in a text; what is not found is 0.
fn read(text: &str, geometry: Geometry) -> Usage {
    let number = |text: &str| text.trim().replace(',', "").parse::<usize>().ok();
    let value = |wanted: &str| {
        let mut rows = text.lines().filter_map(|line| line.split_once('='));
        rows.find(|(label, _)| label.trim() == wanted)
            .and_then(|(_, value)| number(value))
            .unwrap_or(0)
    };
    let mut classes = [ClassUsage::default(); MAX_CLASSES];
    for line in text.lines() {
        let numbers: Option<Vec<usize>> = line.split_whitespace().map(number).collect();
        if let Some(&[class, _, pools, used, available]) = numbers.as_deref()
            && let Some(place) = classes.get_mut(class)
        {
            *place = ClassUsage {
                pools,
                used,
                available,
            };
        }
    }
    let unused = text
        .lines()
        .find_map(|line| line.split_once(" unused pools"));
    Usage {
        geometry,
        classes,
        arenas: Statistics {
            current: value("# arenas allocated current"),
            highwater: value("# arenas highwater mark"),
            total: value("# arenas allocated total"),
        },
        unused_pools: unused.and_then(|(count, _)| number(count)).unwrap_or(0),
        lost_to_alignment: value("# bytes lost to arena alignment"),
        nodes: [
            value("# arena map mid nodes"),
            value("# arena map bot nodes"),
        ],
    }
}
