//! Mutations of an input by records, so that what changes is an operation and not the way all that follow are read.

use crate::program::{RECORD, SplitMix, begins_as_trace};

/// Inputs are kept at this many records or more, so that a heap has something in it.
const LEAST: usize = 56;
/// Records that one mutation inserts, removes or repeats at most.
const RUN: u64 = 16;

type Record = [u8; RECORD];

/// Mutates the first `size` bytes of `data`, of which all may be used. Answers how many are used then.
///
/// `seed` decides what is done. `by_bytes` is the fuzzer's own mutation, of the same arguments: it is left some of the
/// work, and all that is done on traces. The others become records.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    seed: u32,
    by_bytes: impl FnOnce(&mut [u8], usize) -> usize,
) -> usize {
    let mut random = SplitMix::new(seed.into());
    let (size, most) = (size.min(data.len()), data.len() / RECORD);
    // A trace is a good program, but most of what comes of one by changing bytes is none.
    let is_trace = begins_as_trace(&data[..size]);
    if random.below(if is_trace { 4 } else { 8 }) == 0 || most < LEAST {
        return by_bytes(data, size);
    }
    let mut records = match is_trace {
        true => Vec::new(),
        false => data[..size].as_chunks::<RECORD>().0.to_vec(),
    };
    for _ in 0..=random.below(3) {
        mutate_records(&mut records, &mut random);
    }
    while records.len() < LEAST {
        records.push(any_record(&mut random));
    }
    records.truncate(most);
    let bytes = records.as_flattened();
    data[..bytes.len()].copy_from_slice(bytes);
    bytes.len()
}

fn mutate_records(records: &mut Vec<Record>, random: &mut SplitMix) {
    let length = records.len() as u64;
    let run = 1 + random.below(RUN) as usize;
    let at = random.below(length + 1) as usize;
    if length == 0 || random.below(4) == 0 {
        let new: Vec<Record> = (0..run).map(|_| any_record(random)).collect();
        records.splice(at..at, new);
        return;
    }
    let from = random.below(length) as usize;
    let end = (from + run).min(records.len());
    match random.below(8) {
        0 => drop(records.drain(from..end)),
        1 => {
            let copied = records[from..end].to_vec();
            records.splice(at..at, copied);
        }
        2 => {
            let other = random.below(length) as usize;
            records.swap(from, other);
        }
        3 => records[from] = any_record(random),
        // One of the two words of a record: what is done, or with which size.
        half => {
            let word = if half < 6 { 0..8 } else { 8..16 };
            let new = match random.below(2) {
                0 => random.next_u64(),
                _ => {
                    let old = u64::from_le_bytes(
                        *records[from][word.clone()].first_chunk().unwrap_or(&[0; 8]),
                    );
                    old.wrapping_add(random.below(129)).wrapping_sub(64)
                }
            };
            records[from][word].copy_from_slice(&new.to_le_bytes());
        }
    }
}

fn any_record(random: &mut SplitMix) -> Record {
    let mut record = [0; RECORD];
    for word in record.chunks_exact_mut(8) {
        word.copy_from_slice(&random.next_u64().to_le_bytes());
    }
    record
}
