//! The hooks do what they say, and every fault can be seen.

use super::*;
use crate::subject::log::EVENTS;
use std::collections::HashSet;

const ARENA: usize = P16kR64::ARENA_SIZE;
const LIMIT: usize = isize::MAX as usize;

/// Whether every page of an arena is mapped, or `None` if some are.
fn mapped(base: usize) -> Option<bool> {
    let mut residency = [0u8; 1];
    let pages = (base..base + ARENA).step_by(4096);
    // SAFETY: mincore only looks.
    let pages =
        pages.map(|page| unsafe { libc::mincore(page as *mut _, 1, residency.as_mut_ptr()) == 0 });
    let found: HashSet<bool> = pages.collect();
    (found.len() == 1).then(|| found.contains(&true))
}

#[test]
fn a_hook_sees_nothing_where_the_library_sees_one() {
    let mut subject = Reference::new();
    // SAFETY: as C says.
    unsafe {
        let block = subject.malloc(0);
        let result = block.addr();
        let malloc = [
            Event::Library { count: 1, size: 1 },
            Event::RawMalloc { size: 0, result },
        ];
        assert_eq!(subject.events(), malloc);
        subject.clear_events();
        let moved = subject.realloc(block, 0).addr();
        let realloc = [
            Event::Library { count: 1, size: 1 },
            Event::RawRealloc {
                block: result,
                size: 0,
                result: moved,
            },
        ];
        assert_eq!(subject.events(), realloc);
        subject.clear_events();
        let result = subject.calloc(0, 7).addr();
        let calloc = [
            Event::Library { count: 1, size: 1 },
            Event::RawCalloc {
                count: 0,
                size: 7,
                result,
            },
        ];
        assert_eq!(subject.events(), calloc);
    }
    assert_eq!(subject.live_blocks(), Some(2));
}

#[test]
fn requests_fail_when_they_are_told_to() {
    let mut subject = Reference::new();
    // SAFETY: as C says.
    unsafe {
        subject.malloc(600);
        subject.fail(Source::Raw, 2);
        assert!(!subject.malloc(600).is_null());
        assert!(subject.malloc(600).is_null());
        assert!(!subject.malloc(600).is_null());
        subject.fail(Source::Raw, 1);
        subject.fail(Source::Raw, 0);
        assert!(!subject.malloc(600).is_null());
        subject.clear_events();
        subject.fail(Source::Arena, 1);
        subject.malloc(1);
        subject.malloc(1);
    }
    let arenas = subject.events().iter().filter_map(|event| match event {
        Event::ArenaAlloc { size, result } => Some((*size, *result != 0)),
        _ => None,
    });
    assert_eq!(arenas.collect::<Vec<_>>(), [(ARENA, false), (ARENA, true)]);
}

/// What blocks hold.
const MARK: u64 = 0x6d61_726b_6564_0001;

/// The word at an address; `None` if nothing is mapped there.
fn peek(address: usize) -> Option<u64> {
    let mut word = 0_u64;
    let local = libc::iovec {
        iov_base: (&raw mut word).cast(),
        iov_len: size_of::<u64>(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address),
        iov_len: size_of::<u64>(),
    };
    // SAFETY: the kernel writes to `word`, and fails where it cannot read.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    (read == 8).then_some(word)
}

#[test]
fn arenas_lie_where_they_are_shifted_and_are_unmapped() {
    for shift in [0, 16, 0x1010] {
        let mut subject = Reference::new();
        subject.shift_arenas(shift);
        let mut blocks = Vec::new();
        let mut bases = Vec::new();
        // SAFETY: as C says.
        unsafe {
            for _ in 0..2 * 1984 {
                let block = subject.malloc(512);
                block.cast::<u64>().add(1).write(MARK);
                blocks.push(block);
            }
            for event in subject.events() {
                if let Event::ArenaAlloc { result, .. } = event {
                    assert_eq!(result % ARENA, shift);
                    bases.push(*result - shift);
                }
            }
            assert!(bases.iter().all(|&base| mapped(base) == Some(true)));
            subject.clear_events();
            for &block in &blocks {
                subject.free(block);
            }
        }
        let freed: Vec<usize> = subject
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::ArenaFree { base, size: ARENA } => Some(*base - shift),
                _ => None,
            })
            .collect();
        assert_eq!(freed.len(), bases.len() - 1);
        // Whatever other tests have mapped there meanwhile has no such mark.
        for block in blocks {
            let block = block.addr();
            let freed = freed
                .iter()
                .any(|&base| (base..base + ARENA + shift).contains(&block));
            assert_eq!(peek(block + size_of::<u64>()) == Some(MARK), !freed);
        }
        subject.check_invariants().unwrap();
    }
}

#[test]
fn the_log_is_bounded() {
    let mut subject = Reference::new();
    for _ in 0..1000 {
        // SAFETY: as C says.
        unsafe { subject.malloc(1000) };
    }
    assert_eq!(subject.events().len(), EVENTS);
    subject.clear_events();
    assert_eq!(subject.events(), []);
}

#[test]
fn faults_have_names_and_break_a_rule_each() {
    let names: HashSet<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(names.len(), Fault::ALL.len());
    assert!(names.iter().all(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    }));
    let broken: Vec<RuleId> = Fault::ALL
        .iter()
        .filter_map(|&fault| breaks(fault))
        .collect();
    assert_eq!(broken.iter().collect::<HashSet<_>>().len(), broken.len());
}

/// The bytes of the radix map's nodes. How many it has depends on where the arenas lie: one across a boundary needs two.
const NODES: [usize; 2] = [1 << 17, 1 << 18];

/// What can be seen of the reference, written down.
struct Tour<F: Faults> {
    subject: Reference<F>,
    seen: Vec<String>,
}

impl<F: Faults> Tour<F> {
    /// A heap that has an arena, unless it is to be a fresh one.
    fn start(faults: F, fresh: bool) -> Tour<F> {
        let mut tour = Tour {
            subject: Reference::assemble(faults),
            seen: Vec::new(),
        };
        if !fresh {
            tour.malloc(1);
        }
        tour
    }

    /// Notes a block by its place in its arena, and the requests made for it by their sizes.
    fn note(&mut self, what: &str, block: *mut u8) -> *mut u8 {
        let place = match block.addr() {
            0 => "null".to_owned(),
            address => match self
                .subject
                .heap
                .arenas_mut()
                .mappings
                .iter()
                .position(|mapping| {
                    (mapping.arena.addr()..mapping.arena.addr() + ARENA).contains(&address)
                }) {
                Some(index) => {
                    let arena = self.subject.heap.arenas_mut().mappings[index].arena.addr();
                    format!("arena {index} + {:#x}", address - arena)
                }
                None => "raw".to_owned(),
            },
        };
        let events: Vec<String> = self
            .subject
            .events()
            .iter()
            .filter(|event| {
                !matches!(**event, Event::Library { size, .. } | Event::RawCalloc { size, .. }
                    if NODES.contains(&size))
            })
            .map(|event| match *event {
                Event::RawMalloc { size, result } => format!("malloc {size} {}", result != 0),
                Event::RawCalloc {
                    count,
                    size,
                    result,
                } => format!("calloc {count} {size} {}", result != 0),
                Event::RawRealloc {
                    block,
                    size,
                    result,
                } => format!("realloc {} {size} {}", block != 0, result != 0),
                Event::RawFree { block } => format!("free {}", block != 0),
                Event::Library { count, size } => format!("library {count} {size}"),
                Event::ArenaAlloc { size, result } => format!("arena {size} {}", result % 4096),
                Event::ArenaFree { base, size } => format!("arena free {} {size}", base % 4096),
            })
            .collect();
        self.subject.clear_events();
        self.seen.push(format!(
            "{what}: {place}, {events:?}, {:?} live",
            self.subject.live_blocks()
        ));
        block
    }

    fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: as C says, here and below.
        let block = unsafe { self.subject.malloc(size) };
        self.note(&format!("malloc {size}"), block)
    }
    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: see `malloc`.
        let block = unsafe { self.subject.calloc(count, size) };
        self.note(&format!("calloc {count} {size}"), block)
    }
    fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: see `malloc`.
        let block = unsafe { self.subject.realloc(block, size) };
        self.note(&format!("realloc {size}"), block)
    }
    fn free(&mut self, block: *mut u8) {
        // SAFETY: see `malloc`.
        unsafe { self.subject.free(block) };
        self.note("free", ptr::null_mut());
    }
    fn fill(&mut self, block: *mut u8, size: usize) {
        // SAFETY: tours fill what they hold.
        unsafe { block.write_bytes(0x5c, size) };
    }
    fn look(&mut self, block: *mut u8, size: usize) {
        // SAFETY: tours look at what they hold.
        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
        self.seen.push(format!("{bytes:x?}"));
    }
}

/// Everything that a fault can change, seen.
fn tour<F: Faults>(faults: F) -> Vec<String> {
    let mut seen = Vec::new();
    let mut walk = |fresh: bool, path: fn(&mut Tour<F>)| {
        let mut tour = Tour::start(faults, fresh);
        path(&mut tour);
        seen.append(&mut tour.seen);
    };
    walk(false, |tour| {
        let (first, second) = (tour.malloc(0), tour.malloc(0));
        tour.seen.push(format!("distinct: {}", first != second));
        tour.calloc(0, 7);
        tour.realloc(first, 0);
        let small = tour.malloc(100);
        tour.realloc(small, 0);
        tour.free(ptr::null_mut());
    });
    walk(false, |tour| {
        let (small, large) = (tour.malloc(100), tour.malloc(1000));
        tour.malloc(LIMIT + 1);
        tour.realloc(small, LIMIT + 1);
        tour.realloc(large, LIMIT + 1);
        tour.calloc(1 << 63, 2);
        tour.calloc(LIMIT / 2, 2);
    });
    walk(false, |tour| {
        for (count, size) in [(1, 100), (20, 20), (3, 200)] {
            tour.calloc(count, size);
        }
        for size in [511, 512, 513] {
            tour.malloc(size);
        }
        let dirty = tour.malloc(64);
        tour.fill(dirty, 64);
        tour.free(dirty);
        let clean = tour.calloc(8, 8);
        tour.look(clean, 64);
    });
    walk(false, |tour| {
        for size in [64, 32, 0, 100, 600, 5000, 700] {
            let large = tour.malloc(600);
            tour.realloc(large, size);
        }
        let null = ptr::null_mut();
        tour.realloc(null, 600);
        let large = tour.malloc(600);
        tour.fill(large, 600);
        tour.subject.fail(Source::Raw, 1);
        tour.realloc(large, 700);
        tour.look(large, 600);
        tour.subject.fail(Source::Raw, 1);
        tour.realloc(large, 0);
        let small = tour.malloc(100);
        tour.subject.fail(Source::Raw, 1);
        tour.realloc(small, 600);
        let large = tour.malloc(600);
        tour.free(large);
    });
    walk(false, |tour| {
        for (from, to) in [
            (64, 48),
            (48, 40),
            (16, 1),
            (498, 512),
            (512, 600),
            (100, 200),
            (200, 40),
        ] {
            let block = tour.malloc(from);
            tour.fill(block, from);
            let block = tour.realloc(block, to);
            tour.look(block, from.min(to));
        }
    });
    walk(false, |tour| {
        let blocks = [tour.malloc(48), tour.malloc(48), tour.malloc(48)];
        for block in blocks {
            tour.fill(block, 48);
        }
        tour.free(blocks[1]);
        tour.look(blocks[2], 48);
        tour.malloc(65);
        tour.malloc(65);
        for _ in 0..33 {
            tour.malloc(512);
        }
    });
    walk(true, |tour| {
        tour.malloc(600);
        tour.subject.fail(Source::Arena, 1);
        tour.malloc(100);
    });
    walk(true, |tour| {
        tour.subject.shift_arenas(0x1010);
        let blocks: Vec<*mut u8> = (0..3 * 1953).map(|_| tour.malloc(512)).collect();
        for block in blocks {
            if tour
                .subject
                .heap
                .arenas_mut()
                .mappings
                .iter()
                .any(|mapping| {
                    (mapping.arena.addr()..mapping.arena.addr() + ARENA).contains(&block.addr())
                })
            {
                tour.free(block);
            }
        }
    });
    seen
}

#[test]
fn every_fault_shows() {
    let sound = tour(Sound);
    assert_eq!(
        sound,
        tour(Sound),
        "what is seen does not depend on where things lie"
    );
    // Faults of order show in lockstep, those of the debug layer in its model.
    let faults = Fault::ALL.iter().copied();
    for fault in faults.filter(|&fault| breaks(fault).is_some()) {
        assert!(
            tour(Planted(fault)) != sound,
            "{} does not show",
            fault.name()
        );
    }
}

#[test]
fn a_renewed_reference_asks_for_the_same_again() {
    /// An event without its addresses.
    fn bare(event: &Event) -> Event {
        match *event {
            Event::RawMalloc { size, .. } => Event::RawMalloc { size, result: 0 },
            Event::RawCalloc { count, size, .. } => Event::RawCalloc {
                count,
                size,
                result: 0,
            },
            Event::RawRealloc { size, .. } => Event::RawRealloc {
                block: 0,
                size,
                result: 0,
            },
            Event::ArenaAlloc { size, .. } => Event::ArenaAlloc { size, result: 0 },
            other => other,
        }
    }
    let mut subject = Reference::new();
    let mut seen = Vec::new();
    for round in 0..3 {
        let mut events = Vec::new();
        // SAFETY: blocks are live, and lost with the heap that they are from.
        unsafe {
            let blocks: Vec<*mut u8> = (0..2000).map(|_| subject.malloc(512)).collect();
            events.extend(subject.events().iter().map(bare));
            // The vector of arenas and two nodes, each asked of the library as well, and two arenas.
            assert_eq!(events.len(), 8);
            let large = subject.calloc(1, LARGE);
            large.write_bytes(0xff, LARGE);
            subject.free(large);
            assert_eq!(subject.live_blocks(), Some(blocks.len()));
            assert_eq!(subject.check_invariants(), Ok(()));
            subject.fail(Source::Arena, 1);
            subject.shift_arenas(16);
            subject.renew();
        }
        assert_eq!(subject.live_blocks(), Some(0), "round {round}");
        assert_eq!(subject.check_invariants(), Ok(()));
        assert_eq!(subject.events(), []);
        seen.push(events);
    }
    assert_eq!(seen[1], seen[0]);
    assert_eq!(seen[2], seen[0]);
}
