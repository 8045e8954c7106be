//! The text of the statistics, in the form that interpreters print it in.

use super::world::Watch;
use crate::pymalloc::*;

/// Blocks of two classes, one of them in a pool that was emptied, a raw block, and an arena that starts anywhere.
fn text<L: Layout>() -> String {
    let mut watch = Watch::<L>::with_places(2);
    watch.world.borrow_mut().shift = 16;
    watch.many(3, 100);
    watch.heap.malloc(600);
    let blocks = watch.many(1, 16);
    watch.many(1000, 256);
    watch.free(blocks[0]);
    watch.heap.usage().to_string()
}

#[test]
fn of_3_14() {
    let expected = "\
Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    6    112           1               3           142
   15    256          16            1000             8

# arenas allocated total           =                    1
# arenas reclaimed                 =                    0
# arenas highwater mark            =                    1
# arenas allocated current         =                    1
1 arenas * 1048576 bytes/arena     =            1,048,576

# bytes in allocated blocks        =              256,336
# bytes in available blocks        =               17,952
46 unused pools * 16384 bytes      =              753,664
# bytes lost to pool headers       =                  816
# bytes lost to quantization       =                3,424
# bytes lost to arena alignment    =               16,384
Total                              =            1,048,576

arena map counts
# arena map mid nodes              =                    1
# arena map bot nodes              =                    1

# bytes lost to arena map root     =              262,144
# bytes lost to arena map mid      =              262,144
# bytes lost to arena map bot      =              131,072
Total                              =              655,360
";
    assert_eq!(text::<P16kR64>(), expected);
}

#[test]
fn of_3_8() {
    let expected = "\
Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    6    112           1               3            33
   15    256          67            1000             5

# arenas allocated total           =                    2
# arenas reclaimed                 =                    0
# arenas highwater mark            =                    2
# arenas allocated current         =                    2
2 arenas * 262144 bytes/arena      =              524,288

# bytes in allocated blocks        =              256,336
# bytes in available blocks        =                4,976
58 unused pools * 4096 bytes       =              237,568
# bytes lost to pool headers       =                3,264
# bytes lost to quantization       =               13,952
# bytes lost to arena alignment    =                8,192
Total                              =              524,288
";
    assert_eq!(text::<P4k16>(), expected);
}

#[test]
fn nothing_is_lost_sight_of() {
    fn conserves<L: Layout>() {
        let text = text::<L>();
        let number = |label: &str| {
            let mut rows = text.lines().filter(|line| line.contains(label));
            let value = rows.next().and_then(|line| line.split_once('=')).unwrap().1;
            value.trim().replace(',', "").parse::<usize>().unwrap()
        };
        assert_eq!(number("Total "), number("bytes/arena"), "{text}");
    }
    conserves::<P27old>();
    conserves::<P4k8>();
    conserves::<P4k16k1>();
    conserves::<P16kR48>();
    conserves::<P16kHuge>();
    conserves::<P4k16NoRadix>();
}

#[test]
fn a_block_of_a_pool_has_the_size_of_its_class() {
    let mut watch = Watch::new();
    for (size, class) in [
        (1, Some(16)),
        (17, Some(32)),
        (512, Some(512)),
        (513, None),
        (0, None),
    ] {
        let block = watch.heap.malloc(size);
        // SAFETY: the block is live.
        assert_eq!(unsafe { watch.heap.class_size(block) }, class, "{size}");
    }
}
