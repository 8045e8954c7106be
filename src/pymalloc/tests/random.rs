//! Random calls: every address as the model predicts it, every byte as it was written.

use super::model::{Model, Resized};
use super::world::{Asked, Watch};
use super::{Tiny, TinyOld};
use crate::pymalloc::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::ptr;

#[derive(Clone, Copy, Debug)]
enum Step {
    Malloc(usize),
    Calloc(usize, usize),
    Realloc(usize, usize),
    Free(usize),
    FailArena(usize),
    FailRaw(usize),
    Shift(usize),
}

/// Sizes to a little above a threshold, often at a class's end, sometimes 0.
fn size(threshold: usize) -> impl Strategy<Value = usize> {
    prop_oneof![
        1 => Just(0),
        8 => 1..=threshold,
        4 => (1..=threshold / 8).prop_map(|class| class * 8),
        2 => threshold - 1..threshold + 3,
        1 => threshold..4 * threshold,
    ]
}

fn step(threshold: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => size(threshold).prop_map(Step::Malloc),
        2 => (1..4usize, size(threshold)).prop_map(|(count, size)| Step::Calloc(count, size / count)),
        6 => (any::<usize>(), size(threshold)).prop_map(|(block, size)| Step::Realloc(block, size)),
        8 => any::<usize>().prop_map(Step::Free),
        1 => (1..4usize).prop_map(Step::FailArena),
        1 => prop_oneof![Just(0), Just(16), Just(512), Just(1024), Just(2064), 0..4096usize].prop_map(Step::Shift),
    ]
}

/// A block held, and the byte it is filled with.
#[derive(Clone, Copy)]
struct Held {
    block: *mut u8,
    size: usize,
    fill: u8,
}

impl Held {
    fn assert_filled(&self, block: *mut u8, size: usize) {
        // SAFETY: the block has this size.
        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
        assert!(
            bytes.iter().all(|&byte| byte == self.fill),
            "a block of {} bytes changed",
            self.size
        );
    }

    fn fill(&self) {
        // SAFETY: the block has this size.
        unsafe { self.block.write_bytes(self.fill, self.size) };
    }
}

/// A heap and what is known of it.
struct Run<L: Layout> {
    watch: Watch<L>,
    held: Vec<Held>,
    fills: u8,
}

impl<L: Layout> Run<L> {
    fn new(places: usize) -> Run<L> {
        Run {
            watch: Watch::with_places(places),
            held: Vec::new(),
            fills: 0,
        }
    }

    fn pick(&self, index: usize) -> Option<usize> {
        (!self.held.is_empty()).then(|| index % self.held.len())
    }

    fn hold(&mut self, block: *mut u8, size: usize) {
        if !block.is_null() {
            self.fills = self.fills % 250 + 1;
            let held = Held {
                block,
                size,
                fill: self.fills,
            };
            held.fill();
            self.held.push(held);
        }
    }

    /// Makes the call and verifies the contents of what it was made on. Answers with the block before, if there was
    /// one, and the block after.
    fn step(&mut self, step: Step) -> (Option<usize>, usize) {
        match step {
            Step::Malloc(size) => {
                let block = self.watch.heap.malloc(size);
                self.hold(block, size);
                (None, block.addr())
            }
            Step::Calloc(count, size) => {
                let block = self.watch.heap.calloc(count, size);
                if !block.is_null() {
                    Held {
                        block,
                        size: count * size,
                        fill: 0,
                    }
                    .assert_filled(block, count * size);
                }
                self.hold(block, count * size);
                (None, block.addr())
            }
            Step::Realloc(index, size) => {
                let Some(index) = self.pick(index) else {
                    let block = self.watch.realloc(ptr::null_mut(), size);
                    self.hold(block, size);
                    return (None, block.addr());
                };
                let held = self.held[index];
                let block = self.watch.realloc(held.block, size);
                if block.is_null() {
                    held.assert_filled(held.block, held.size);
                } else {
                    held.assert_filled(block, size.min(held.size));
                    self.held[index] = Held {
                        block,
                        size,
                        ..held
                    };
                    self.held[index].fill();
                }
                (Some(held.block.addr()), block.addr())
            }
            Step::Free(index) => {
                let Some(index) = self.pick(index) else {
                    return (None, 0);
                };
                let held = self.held.swap_remove(index);
                held.assert_filled(held.block, held.size);
                self.watch.free(held.block);
                (Some(held.block.addr()), 0)
            }
            Step::FailArena(nth) => {
                self.watch.world.borrow_mut().fail_arena(nth);
                (None, 0)
            }
            Step::FailRaw(nth) => {
                self.watch.world.borrow_mut().fail_raw(nth);
                (None, 0)
            }
            Step::Shift(shift) => {
                self.watch.world.borrow_mut().shift = shift;
                (None, 0)
            }
        }
    }

    /// Makes the call and compares what it gave with what the model says.
    fn step_with(&mut self, step: Step, model: &mut Model<L>) {
        let bases = self.watch.world.borrow().arenas.clone();
        let (before, after) = self.step(step);
        let asked = self.watch.asked();
        let current = self.watch.world.borrow().arenas.clone();
        for asked in &asked {
            if let Asked::Arena(_, place) = asked {
                model.supply.push_back(place.map(|place| current[&place]));
            }
        }
        let in_pool = |address: usize| self.watch.place(address).map(|_| address);
        match (step, before) {
            (Step::Malloc(size), _) | (Step::Realloc(_, size), None) => {
                assert_eq!(in_pool(after), model.malloc(size), "{step:?}");
            }
            (Step::Calloc(count, size), _) => {
                assert_eq!(in_pool(after), model.malloc(count * size), "{step:?}")
            }
            (Step::Realloc(_, size), Some(before)) => match model.realloc(before, size) {
                Resized::InPlace => assert_eq!(after, before, "{step:?}"),
                Resized::To(predicted) => assert_eq!(after, predicted, "{step:?}"),
                Resized::ToRaw => assert!(asked.contains(&Asked::Malloc(size)), "{step:?}"),
                Resized::Raw => assert_eq!(asked, [Asked::Realloc(size)], "{step:?}"),
            },
            (Step::Free(_), Some(before)) => {
                assert_eq!(
                    asked.contains(&Asked::Free),
                    !model.free(before),
                    "{step:?}"
                );
            }
            _ => assert_eq!(asked, [], "{step:?}"),
        }
        let released = asked.iter().filter_map(|asked| match asked {
            Asked::ArenaFree(place) => Some(bases[place]),
            _ => None,
        });
        assert_eq!(
            released.collect::<Vec<_>>(),
            std::mem::take(&mut model.released),
            "{step:?}"
        );
        assert!(model.supply.is_empty(), "an arena that was not needed");
    }

    fn finish(mut self) {
        for held in std::mem::take(&mut self.held) {
            held.assert_filled(held.block, held.size);
            self.watch.free(held.block);
        }
        self.watch.check();
        assert_eq!(self.watch.heap.allocated_blocks(), 0);
        assert!(self.watch.heap.statistics().current <= usize::from(L::KEEPS_LAST));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_address_is_as_predicted(steps in vec(step(Tiny::THRESHOLD), 1..1500)) {
        as_predicted::<Tiny>(steps);
    }

    #[test]
    fn every_address_is_as_predicted_of_the_old(steps in vec(step(TinyOld::THRESHOLD), 1..1500)) {
        as_predicted::<TinyOld>(steps);
    }

    #[test]
    fn failures_leave_nothing_behind(
        steps in vec(prop_oneof![5 => step(Tiny::THRESHOLD), 1 => (1..4usize).prop_map(Step::FailRaw)], 1..600),
    ) {
        survives::<Tiny>(&steps);
        survives::<TinyOld>(&steps);
    }
}

fn as_predicted<L: Layout>(steps: Vec<Step>) {
    let mut run = Run::<L>::new(64);
    let mut model = Model::new();
    for step in steps {
        run.step_with(step, &mut model);
        run.watch.check();
        assert_eq!(run.watch.heap.allocated_blocks(), run.held.len());
    }
    run.finish();
}

fn survives<L: Layout>(steps: &[Step]) {
    let mut run = Run::<L>::new(6);
    for &step in steps {
        run.step(step);
        run.watch.check();
        assert_eq!(run.watch.heap.allocated_blocks(), run.held.len());
    }
    run.watch.world.borrow_mut().stop_failing();
    run.finish();
}

macro_rules! for_long {
    ($($test:ident $layout:ident;)*) => {
        mod for_long {
            use super::*;
            $(
                #[test]
                fn $test() {
                    as_predicted_for_long::<$layout>();
                }
            )*
        }
    };
}

for_long! {
    p27old P27old;
    p4k8 P4k8;
    p4k16 P4k16;
    p4k16k1 P4k16k1;
    p16k_r48 P16kR48;
    p16k_r64 P16kR64;
    p16k_huge P16kHuge;
    p4k16_noradix P4k16NoRadix;
}

/// A long run in the sizes of CPython: allocations outnumber frees for a while, then frees outnumber allocations.
fn as_predicted_for_long<L: Layout>() {
    let mut run = Run::<L>::new(160);
    let mut model = Model::new();
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for turn in 0..120_000 {
        let growing = turn / 30_000 % 2 == 0;
        let kind = random(10);
        let size = if random(8) == 0 {
            random(L::THRESHOLD + 188)
        } else {
            L::THRESHOLD - random(L::THRESHOLD / 4)
        };
        let step = match kind {
            0 if random(50) == 0 => {
                Step::Shift([0, 16, 0x1010, 0x4000, L::ARENA_SIZE / 2][random(5)])
            }
            0..=1 => Step::Realloc(random(1 << 30), size),
            _ if (kind < 8) == growing => Step::Malloc(size),
            _ => Step::Free(random(1 << 30)),
        };
        run.step_with(step, &mut model);
        if turn % 10_000 == 0 {
            run.watch.check();
        }
    }
    assert!(
        run.watch.heap.statistics().highwater > 2,
        "{:?}",
        run.watch.heap.statistics()
    );
    run.finish();
}
