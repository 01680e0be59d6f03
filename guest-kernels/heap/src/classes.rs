//! Sizes of blocks: multiples of 16 up to 256 bytes, then four to each power of two.

/// Classes there are: 16 of up to 256 bytes, and 4 for each power of two up to 2^31.
pub(crate) const CLASSES: usize = 16 + 4 * (31 - 8);

/// Largest block, which is the largest object there can be in 32-bit memory.
const BYTES_MAX: usize = 1 << 31;

/// A size of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    /// Its place among the classes, by size.
    pub(crate) index: usize,
    /// Bytes of each of its blocks.
    pub(crate) bytes: usize,
}

impl Class {
    /// The class with the least blocks that hold `size` bytes; None if there is none.
    #[inline]
    pub(crate) fn of(size: usize) -> Option<Self> {
        if size <= 256 {
            let sixteens = size.max(1).div_ceil(16);
            return Some(Self { index: sixteens - 1, bytes: sixteens * 16 });
        }
        if size > BYTES_MAX {
            return None;
        }
        // 2^power is the least power of two that is not below `size`, so `size` takes 5 to 8 of
        // its eighths.
        let power = usize::BITS - (size - 1).leading_zeros();
        let eighth = power - 3;
        let eighths = ((size - 1) >> eighth) + 1;
        let index = 16 + 4 * (power as usize - 9) + (eighths - 5);
        Some(Self { index, bytes: eighths << eighth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_each_other_without_gaps() {
        let (mut size, mut index) = (0, 0);
        while let Some(class) = Class::of(size + 1) {
            assert_eq!(class.index, index);
            assert_eq!(class.bytes % 16, 0);
            assert_eq!(Class::of(class.bytes), Some(class), "{size}");
            assert!(class.bytes > size);
            assert!(size <= 256 || class.bytes - size - 1 < size / 4, "{class:?} after {size}");
            (size, index) = (class.bytes, index + 1);
        }
        assert_eq!((size, index), (BYTES_MAX, CLASSES));
    }

    #[test]
    fn nothing_has_a_block_too() {
        assert_eq!(Class::of(0), Some(Class { index: 0, bytes: 16 }));
    }

    #[test]
    fn what_no_memory_can_hold_has_none() {
        assert_eq!(Class::of(BYTES_MAX + 1), None);
    }
}
