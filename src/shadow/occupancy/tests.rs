use super::*;

fn table() -> Occupancy {
    Occupancy::new().expect("address space for the table")
}

#[test]
fn neighbours_are_apart_and_overlaps_are_seen() {
    let mut table = table();
    assert_eq!(table.mark(0x1000, 100), Mark::Clear);
    assert_eq!(table.mark(0x1068, 8), Mark::Clear);
    assert_eq!(table.mark(0xff8, 8), Mark::Clear);
    table.clear(0x1000, 100);
    assert_eq!(table.mark(0x1000, 104), Mark::Clear);
    assert_eq!(table.mark(0x1060, 1), Mark::Taken);
}

#[test]
fn every_pair_of_small_ranges_agrees_with_interval_arithmetic() {
    let mut table = table();
    for first in 0..24u64 {
        for first_size in [1u64, 3, 8, 9, 16, 70] {
            for second in 0..24u64 {
                for second_size in [1u64, 8, 33, 600] {
                    let (a, b) = (0x7_0000_0000 + first * 8, 0x7_0000_0000 + second * 8);
                    assert_eq!(table.mark(a, first_size), Mark::Clear);
                    let apart = a + first_size.next_multiple_of(8) <= b
                        || b + second_size.next_multiple_of(8) <= a;
                    assert_eq!(table.mark(b, second_size) == Mark::Clear, apart);
                    table.clear(a, first_size);
                    table.clear(b, second_size);
                }
            }
        }
    }
}

/// A word is for 512 bytes: blocks in one word to six, beginning and ending anywhere in one.
#[test]
fn every_granule_of_a_block_is_marked_and_no_other() {
    let mut table = table();
    let base = 0x7_0000_0000;
    for start in [0u64, 8, 256, 504] {
        for granules in (1..330).step_by(7).chain([64, 128, 192, 256]) {
            let (block, size) = (base + start, granules * 8);
            assert_eq!(table.mark(block, size), Mark::Clear);
            for place in (base..block + size + 1024).step_by(8) {
                let inside = (block..block + size).contains(&place);
                let mark = table.mark(place, 8);
                assert_eq!(mark == Mark::Taken, inside, "{start} {size} {place:#x}");
                if !inside {
                    table.clear(place, 8);
                }
            }
            table.clear(block, size);
            // All of it again, since what is left of it anywhere would be met.
            let around = start + size + 1024;
            assert_eq!(table.mark(base, around), Mark::Clear, "{start} {size}");
            table.clear(base, around);
        }
    }
}

#[test]
fn blocks_of_many_regions_are_marked_and_cleared_whole() {
    let mut table = table();
    let base = 0x7f00_0000_0000 - 0x1234 * 16;
    let size = 5u64 << 30;
    assert_eq!(table.mark(base, size), Mark::Clear);
    for inside in [0, 8, 1 << 20, (3 << 30) + 4096, size - 1] {
        assert_eq!(table.mark(base + inside, 1), Mark::Taken, "at {inside}");
    }
    table.clear(base, size);
    for inside in [0, 1 << 20, (3 << 30) + 4096, size - 8] {
        assert_eq!(table.mark(base + inside, 8), Mark::Clear, "at {inside}");
    }
    assert_eq!(table.mark(base, size), Mark::Taken);
}

#[test]
fn blocks_of_many_spans_cost_little_and_exclude_others() {
    let mut table = table();
    let (base, size) = (0x1000_0000_0000, 60u64 << 40);
    assert_eq!(table.mark(base, size), Mark::Clear);
    assert_eq!(table.mark(base + (7 << 40) + 8, 16), Mark::Taken);
    assert_eq!(table.mark(base + (9 << 40), 3 << 30), Mark::Taken);
    table.clear(base, size);
    assert_eq!(table.mark(base + (5 << 40) + 8, 16), Mark::Clear);
    assert_eq!(table.mark(base, size), Mark::Taken);
}

#[test]
fn addresses_that_are_never_used_again_cost_no_memory() {
    let mut table = table();
    let live = 1000;
    let address = |number: u64| 0x1000_0000_0000 + (number << 21);
    for number in 0..100_000 {
        assert_eq!(table.mark(address(number), 100), Mark::Clear);
        assert_eq!(table.mark(address(number) + 64, 1), Mark::Taken);
        if number >= live {
            table.clear(address(number - live), 100);
        }
    }
    let leaves = table.growth.used.load(Relaxed) as u64;
    assert!(leaves <= 3 * live, "{leaves}");
    assert!(table.own_bytes() <= leaves * (REGION_WORDS * 8) as u64 + (4 << 20));
    for number in 100_000 - live..100_000 {
        assert_eq!(table.mark(address(number), 1), Mark::Taken);
    }
}

#[test]
fn what_the_table_takes_is_counted_wherever_blocks_lie() {
    let mut table = table();
    let address = |number: u64| number << 40;
    let all = |table: &mut Occupancy| {
        for number in 1..=100 {
            assert_eq!(table.mark(address(number), 100), Mark::Clear);
        }
        for number in 1..=100 {
            table.clear(address(number), 100);
        }
        table.own_bytes() / 4096
    };
    assert_eq!(table.own_bytes(), 0);
    let pages = all(&mut table);
    // Its span, its region and its bits for each block.
    assert!(pages >= 300, "{pages}");
    assert_eq!(all(&mut table), pages, "the same again takes no more");
}

#[test]
fn without_bits_nothing_is_called_clear() {
    let mut table = Occupancy::with_leaves(3).expect("address space for the table");
    let address = |number: u64| number << 21;
    for number in 1..=3 {
        assert_eq!(table.mark(address(number), 8), Mark::Clear);
    }
    assert_eq!(table.mark(address(4), 8), Mark::Taken);
    table.clear(address(4), 8);
    assert_eq!(table.mark(address(4), 8), Mark::Taken);
    table.clear(address(2), 8);
    assert_eq!(table.mark(address(5), 8), Mark::Clear);
    assert_eq!(table.mark(address(3), 8), Mark::Taken);
}

#[test]
fn blocks_that_share_a_granule_do_not_clear_each_other() {
    let mut table = table();
    assert_eq!(table.mark(0x4000, 3), Mark::Clear);
    assert_eq!(table.mark(0x4003, 2), Mark::Taken);
    table.share(0x4003, 2, true, true);
    table.clear(0x4000, 3);
    assert_eq!(table.mark(0x4001, 8), Mark::Taken);
    table.clear(0x4003, 2);
    table.clear(0x4001, 8);
    assert_eq!(table.mark(0x4000, 8), Mark::Clear);
}

/// Two threads that are given the same memory at the same time: one of them at least learns of it.
#[test]
fn two_threads_cannot_both_find_the_same_memory_clear() {
    const ROUNDS: u64 = 4000;
    let mut table = table();
    let base = 0x1000_0000_0000;
    // In one word, in several, over the border of two regions, a whole region, a whole span; most of them where nothing was
    // before, so that both need bits that do not exist yet.
    let ranges = |round: u64| {
        let (offset, size): (u64, u64) = match round % 5 {
            0 => (0, 8),
            1 => (512 * (round % 7), 3000),
            2 => ((1 << 20) - 64, 128),
            3 => (0, 1 << 20),
            _ => (0, 1 << 30),
        };
        let place = match round % 5 {
            4 => base + (round << 31),
            _ => base + ((round / 10) << 22) + offset,
        };
        [(place, size), (place + round % 3 % size.div_ceil(8) * 8, 8)]
    };
    let turn = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let work = |mut handle: Occupancy, me: usize| {
        let turn = &turn;
        let meet = move |step: usize| {
            turn[me].store(step, SeqCst);
            while turn[1 - me].load(SeqCst) < step {
                std::thread::yield_now(); // the other may be waiting for this processor
            }
        };
        move || {
            let mut marks = Vec::new();
            for round in 0..ROUNDS {
                let (place, size) = ranges(round)[(me + round as usize) % 2];
                meet(2 * round as usize + 1);
                marks.push(handle.mark(place, size));
                meet(2 * round as usize + 2);
                if me == 0 {
                    // The larger one has both.
                    let (place, size) = ranges(round)[0];
                    handle.clear(place, size);
                }
            }
            marks
        }
    };
    let (one, other) = (table.sibling(), table.sibling());
    assert!(!table.is_alone());
    let [one, other] = std::thread::scope(|scope| {
        let threads = [scope.spawn(work(one, 0)), scope.spawn(work(other, 1))];
        threads.map(|thread| thread.join().expect("the marks of a thread"))
    });
    for (round, marks) in one.into_iter().zip(other).enumerate() {
        assert_ne!(marks, (Mark::Clear, Mark::Clear), "round {round}");
    }
    table.rejoin();
    assert!(table.is_alone());
    for round in 0..ROUNDS {
        let (place, size) = ranges(round)[0];
        assert_eq!(table.mark(place, size), Mark::Clear, "round {round}");
        table.clear(place, size);
    }
}
