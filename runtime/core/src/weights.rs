//! Shares as the sixteen-bit weights that a chain takes.

/// Scales shares so that the largest becomes 65535, each rounded to the nearest, halves up.
///
/// The answer has the length and order of `shares`. Where every share is zero, so is every weight.
#[must_use]
pub fn max_upscaled(shares: &[u64]) -> Vec<u16> {
    let largest = shares.iter().copied().max().unwrap_or(0).into();
    shares.iter().map(|share| scaled((*share).into(), largest)).collect()
}

/// `floor(share · 65535 / largest + 1/2)`, as the quotient of two integers.
fn scaled(share: u128, largest: u128) -> u16 {
    // A share is below 2^64, so nothing here comes near 2^128 and nothing saturates.
    let twice = share.saturating_mul(u128::from(u16::MAX)).saturating_mul(2);
    let quotient = twice.saturating_add(largest).checked_div(largest.saturating_mul(2));
    // No share is above the largest, so the quotient fits. There is none where all are zero.
    u16::try_from(quotient.unwrap_or(0)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shares: &[u64], expect: &[u16]) {
        assert_eq!(max_upscaled(shares), expect);
    }

    #[test]
    fn the_largest_share_gets_the_largest_weight() {
        check(&[], &[]);
        check(&[0, 0], &[0, 0]);
        check(&[1], &[65535]);
        check(&[700_000, 350_000, 0], &[65535, 32768, 0]);
        check(&[u64::MAX, u64::MAX, 1], &[65535, 65535, 0]);
    }
}
