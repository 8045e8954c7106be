//! What real interpreters were seen to do, in every layout.

mod arenas;
mod pools;
mod requests;
mod resizing;

use crate::pymalloc::*;
use arenas::*;
use pools::*;
use requests::*;
use resizing::*;

/// What is known of a layout: numbers that were seen in interpreters, or worked out by hand where there was none.
trait Seen: Layout {
    /// The largest class.
    const LARGEST: usize;
    /// Blocks in a pool, by their size.
    const BLOCKS: &'static [(usize, usize)];
    /// Blocks of the largest class in a pool, of half of it in a pool, of the largest in an arena that starts at a pool
    /// and in one that does not.
    const IN_POOL: usize;
    const IN_POOL_OF_HALF: usize;
    const IN_ARENA: usize;
    const IN_MISALIGNED: usize;
    /// Sizes whose blocks move when resized to what they are.
    const MOVING: [(usize, usize); 3];
    /// Nodes of the address map.
    const NODES: &'static [usize];
}

const BY_8: [(usize, usize); 3] = [(1, 6), (9, 12), (17, 18)];
const BY_16: [(usize, usize); 3] = [(1, 12), (17, 24), (33, 36)];
const OF_4K_BY_8: &[(usize, usize)] = &[(8, 506), (16, 253), (24, 168), (256, 15)];
const OF_4K_BY_16: &[(usize, usize)] = &[
    (16, 253),
    (32, 126),
    (48, 84),
    (64, 63),
    (256, 15),
    (512, 7),
];
const OF_16K: &[(usize, usize)] = &[
    (16, 1021),
    (32, 510),
    (48, 340),
    (64, 255),
    (256, 63),
    (512, 31),
];

macro_rules! seen {
    ($($layout:ident $module:ident: $largest:literal, $blocks:expr, [$pool:literal, $half:literal],
        [$arena:literal, $misaligned:literal], $moving:expr, $nodes:expr;)*) => {$(
        impl Seen for $layout {
            const LARGEST: usize = $largest;
            const BLOCKS: &'static [(usize, usize)] = $blocks;
            const IN_POOL: usize = $pool;
            const IN_POOL_OF_HALF: usize = $half;
            const IN_ARENA: usize = $arena;
            const IN_MISALIGNED: usize = $misaligned;
            const MOVING: [(usize, usize); 3] = $moving;
            const NODES: &'static [usize] = $nodes;
        }

        mod $module {
            use super::*;
            in_layout!($layout:
                an_arena_is_asked_for_in_cpythons_order
                blocks_in_an_arena
                blocks_in_a_pool
                sizes_share_the_class_they_round_up_to
                at_the_edge_of_an_arena_only_the_old_thrash
                pools_come_from_the_fullest_arena
                empty_arenas_go_back_but_for_what_is_kept
                without_an_arena_the_raw_domain_serves
                the_vector_doubles_when_every_entry_is_taken
                entries_are_used_again_last_freed_first
                raw_blocks_stay_raw
                blocks_leave_pools_for_nothing_and_for_much
                a_freed_block_holds_a_link_and_is_otherwise_untouched
                pools_are_written_only_as_they_are_used
                a_full_pool_comes_to_the_front
                an_empty_pool_keeps_its_free_list_for_its_class
                empty_pools_are_used_before_virgin_ones_last_emptied_first
                a_block_moves_if_that_saves_a_quarter_of_its_class
                a_block_that_grows_takes_its_whole_class_along
                sizes_that_move_when_nothing_changes
                requests_for_nothing_reach_the_raw_domain
                nothing_above_the_limit_is_asked_for
                the_threshold_counts_the_product
                calloc_clears_what_was_used_before
                the_library_s_own_sources_serve
            );
        }
    )*};
}

macro_rules! in_layout {
    ($layout:ident: $($test:ident)*) => {$(
        #[test]
        fn $test() {
            super::$test::<$layout>();
        }
    )*};
}

seen! {
    P27old p27old: 256, OF_4K_BY_8, [15, 31], [960, 945], BY_8, &[];
    P4k8 p4k8: 512, OF_4K_BY_8, [7, 15], [448, 441], BY_8, &[];
    P4k16 p4k16: 512, OF_4K_BY_16, [7, 15], [448, 441], BY_16, &[];
    P4k16k1 p4k16k1: 512, OF_4K_BY_16, [7, 15], [448, 441], BY_16, &[];
    P16kR48 p16k_r48: 512, OF_16K, [31, 63], [1984, 1953], BY_16, &[8192, 2048];
    P16kR64 p16k_r64: 512, OF_16K, [31, 63], [1984, 1953], BY_16, &[262_144, 131_072];
    P16kHuge p16k_huge: 512, OF_16K, [31, 63], [3968, 3937], BY_16, &[262_144, 65_536];
    P4k16NoRadix p4k16_noradix: 512, OF_4K_BY_16, [7, 15], [1792, 1785], BY_16, &[];
}
