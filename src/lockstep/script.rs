//! The part that both play: made from a seed, without looking at what comes of it.
//!
//! It goes in phases. In each the heap grows or shrinks to some number of blocks, steadily or not, and stays there for a
//! while; blocks are freed in one order, sizes are of a few classes or of any, and arenas are displaced by one distance. Now and then a request of the allocator's
//! own fails. Golden traces tell what came of these very steps: to change them is to record those anew.

use super::play::{
    CALLOC, FAIL_ARENA, FAIL_RAW, FREE, MALLOC, NO_SLOT, REALLOC, SHIFT, SLOTS, Step,
};
use crate::program::SplitMix;
use crate::pymalloc::Geometry;
use std::collections::VecDeque;

/// Blocks that are live at once, at most.
const MOST: usize = 120_000;
const _: () = assert!(MOST < SLOTS);

/// The order in which blocks are freed.
#[derive(Clone, Copy)]
enum Order {
    OldestFirst,
    NewestFirst,
    Any,
}

/// Sizes asked for.
#[derive(Clone, Copy)]
enum Sizes {
    /// Of any class, sometimes beyond.
    Any,
    /// Of these, up to a few bytes less.
    Of([usize; 3]),
}

/// An endless part.
pub struct Script {
    random: SplitMix,
    geometry: Geometry,
    /// Slots in use, in the order of their use.
    live: VecDeque<u32>,
    empty: Vec<u32>,
    /// Blocks that are to be live.
    target: usize,
    /// Of 100 steps on the way there, how many lead there.
    pace: u64,
    /// Steps to stay there.
    left: u64,
    order: Order,
    sizes: Sizes,
}

impl Script {
    /// The part of this seed for an allocator of this layout.
    pub fn new(seed: u64, geometry: Geometry) -> Script {
        Script {
            random: SplitMix::new(seed),
            geometry,
            live: VecDeque::new(),
            empty: (0..MOST as u32).rev().collect(),
            target: 0,
            pace: 100,
            left: 0,
            order: Order::Any,
            sizes: Sizes::Any,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Begins a phase, with the displacement of arenas for it.
    fn begin(&mut self) -> Step {
        let most = self.pick(&[0, 0, 20, 200, 2_000, 6_000, 20_000, 40_000, MOST]);
        self.target = self.below(most + 1);
        self.pace = self.pick(&[100, 90, 75]);
        self.left = self.pick(&[10, 100, 1_000, 4_000]);
        self.order = self.pick(&[Order::OldestFirst, Order::NewestFirst, Order::Any]);
        self.sizes = if self.below(3) == 0 {
            Sizes::Any
        } else {
            let largest = self.below(3);
            let threshold = self.geometry.threshold;
            let mut class = || match largest {
                0 => threshold - self.random.below(96) as usize,
                _ => 1 + self.random.below(threshold as u64) as usize,
            };
            let first = class();
            Sizes::Of([first, first, class()])
        };
        let Geometry { pool, arena, .. } = self.geometry;
        let shifts = [
            0,
            16,
            256,
            0x1010,
            pool / 2,
            pool - 16,
            pool,
            arena / 2,
            arena - 16,
        ];
        // Half of the time they lie at multiples of their size.
        let shift = if self.below(2) == 0 {
            0
        } else {
            self.pick(&shifts)
        };
        step(SHIFT, NO_SLOT, shift, 0)
    }

    /// A size that pools serve, or one a little or much beyond.
    fn size(&mut self) -> usize {
        let threshold = self.geometry.threshold;
        match self.below(256) {
            0..4 => 0,
            4..24 => threshold - 2 + self.below(5),
            24..32 => threshold + 1 + self.below(4_000),
            32 => self.below(1 << 18),
            _ => match self.sizes {
                Sizes::Of(sizes) => {
                    let size = self.pick(&sizes);
                    size - self.below(self.geometry.alignment).min(size - 1)
                }
                Sizes::Any => 1 + self.below(threshold),
            },
        }
    }

    /// A size that nobody has, or that just exceeds what may be asked for.
    fn absurd(&mut self) -> usize {
        let edge = isize::MAX as usize;
        self.pick(&[
            edge,
            edge + 1,
            edge + 2,
            usize::MAX,
            usize::MAX - 15,
            1 << 50,
        ])
    }

    fn make(&mut self) -> Step {
        let Some(slot) = self.empty.pop() else {
            return self.release();
        };
        self.live.push_back(slot);
        match self.below(64) {
            0 => {
                let size = self.absurd();
                step(MALLOC, slot, size, 0)
            }
            1 => {
                let (count, size) = (self.absurd(), 1 + self.below(3));
                step(CALLOC, slot, count, size)
            }
            2..5 => {
                let size = self.size();
                step(REALLOC, slot, size, 0)
            }
            5..15 => {
                let size = self.size();
                let (count, size) = match self.below(4) {
                    0 => (1, size),
                    1 => (size, 1),
                    2 => (0, size),
                    _ => (1 + size / 24, self.below(24)),
                };
                step(CALLOC, slot, count, size)
            }
            _ => {
                let size = self.size();
                step(MALLOC, slot, size, 0)
            }
        }
    }

    fn release(&mut self) -> Step {
        let chosen = match self.order {
            Order::OldestFirst => self.live.pop_front(),
            Order::NewestFirst => self.live.pop_back(),
            Order::Any => {
                let index = self.below(self.live.len().max(1));
                self.live.swap_remove_back(index)
            }
        };
        let Some(slot) = chosen else {
            return step(FREE, NO_SLOT, 0, 0);
        };
        self.empty.push(slot);
        step(FREE, slot, 0, 0)
    }

    fn resize(&mut self) -> Step {
        let index = self.below(self.live.len());
        let slot = self.live[index];
        let size = match self.below(64) {
            0 => self.absurd(),
            1..16 => self.below(self.geometry.threshold + 80),
            _ => self.size(),
        };
        step(REALLOC, slot, size, 0)
    }

    /// The next step.
    pub fn next_step(&mut self) -> Step {
        if self.left == 0 {
            return self.begin();
        }
        let live = self.live.len();
        let growth = if live < self.target {
            self.pace
        } else if live > self.target + self.target / 8 {
            100 - self.pace
        } else {
            self.left -= 1;
            50
        };
        match self.below(512) {
            0..3 => step(FAIL_RAW, NO_SLOT, self.below(4), 0),
            3..5 => step(FAIL_ARENA, NO_SLOT, self.below(3), 0),
            5 => step(FREE, NO_SLOT, 0, 0),
            6..40 if !self.live.is_empty() => self.resize(),
            _ if self.random.below(100) < growth => self.make(),
            _ => self.release(),
        }
    }
}

impl Iterator for Script {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(self.next_step())
    }
}

fn step(call: u32, slot: u32, a: usize, b: usize) -> Step {
    Step {
        call,
        slot,
        a: a as u64,
        b: b as u64,
    }
}
