//! Distinct-n (Li et al. 2016, section 5.3): different n-grams of words as a share of all.

/// Different n-grams of all texts, divided by all their n-grams; 0 if there are none. No n-gram
/// reaches from one text into another.
pub(crate) fn share<const N: usize>(texts: &[Vec<u32>]) -> f64 {
    let mut ngrams: Vec<[u32; N]> =
        texts.iter().flat_map(|words| words.array_windows().copied()).collect();
    let all = ngrams.len();
    ngrams.sort_unstable();
    ngrams.dedup();
    ngrams.len() as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_ngrams_as_a_share_of_all() {
        let texts = [vec![0, 1, 0, 1, 0], vec![0, 1], vec![], vec![2]];
        assert_eq!(share::<1>(&texts), 3.0 / 8.0);
        assert_eq!(share::<2>(&texts), 2.0 / 5.0);
        assert_eq!(share::<3>(&texts), 2.0 / 3.0);
        assert_eq!(share::<3>(&texts[1..]), 0.0);
        assert_eq!(share::<1>(&[]), 0.0);
    }
}
