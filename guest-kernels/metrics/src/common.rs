//! What two multisets have in common.

use std::cmp::Ordering;

/// Size of the intersection: each value counts as often as it is in both. Sorts both.
pub(crate) fn common<T: Ord>(left: &mut [T], right: &mut [T]) -> usize {
    left.sort_unstable();
    right.sort_unstable();
    let (mut at_left, mut at_right, mut count) = (0, 0, 0);
    while let (Some(one), Some(other)) = (left.get(at_left), right.get(at_right)) {
        let order = one.cmp(other);
        at_left += usize::from(order != Ordering::Greater);
        at_right += usize::from(order != Ordering::Less);
        count += usize::from(order == Ordering::Equal);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_counts_as_often_as_it_is_in_both() {
        let count = |left: &[u32], right: &[u32]| common(&mut left.to_vec(), &mut right.to_vec());
        assert_eq!(count(&[], &[1]), 0);
        assert_eq!(count(&[1, 1, 2], &[1, 3, 1, 1]), 2);
        assert_eq!(count(&[3, 2, 1], &[1, 2, 3]), 3);
        assert_eq!(count(&[5, 5], &[4, 6]), 0);
    }
}
