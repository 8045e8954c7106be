//! Size classes: steps of 16 bytes to 128, then four to each power of two, to 32 KiB.
//!
//! Every class but the first is a multiple of 16, and spans start at multiples of their size, so that a block is
//! aligned to 16, and to its own size where that is a power of two.

/// The largest block cut from a span; larger ones are mapped one by one.
pub(super) const MAX_SMALL: usize = 32 << 10;

/// The number of classes.
pub(super) const COUNT: usize = 9 + 8 * 4;

/// The first class: 8 bytes, for variants that align tiny blocks to 8.
pub(super) const TINY: usize = 0;

/// The class of a block of `size` bytes, 1 to [`MAX_SMALL`]; never [`TINY`].
pub(super) fn of(size: usize) -> usize {
    if size <= 128 {
        return size.div_ceil(16);
    }
    // 129 to 160 is the first quarter after 128 = 2^7.
    let power = (size - 1).ilog2() as usize;
    let quarter = (size - 1) >> (power - 2) & 3;
    9 + (power - 7) * 4 + quarter
}

/// The bytes of each block of `class`.
pub(super) fn bytes(class: usize) -> usize {
    match class {
        TINY => 8,
        1..=8 => class * 16,
        _ => {
            let (power, quarter) = (7 + (class - 9) / 4, (class - 9) % 4);
            (5 + quarter) << (power - 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for size in 1..=MAX_SMALL {
            let class = of(size);
            assert!(bytes(class) >= size);
            assert!(class == 1 || bytes(class - 1) < size, "{size}");
            assert!(class < COUNT);
        }
        assert_eq!(bytes(COUNT - 1), MAX_SMALL);
    }
}
