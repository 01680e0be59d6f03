//! Mean cosine of all pairs of vectors, in time linear in their number.
//!
//! With unit vectors u, the sum over all ordered pairs of different vectors is |Σu|² − Σ|u|²
//! (|Σu|² − n if none is zero), so no pair is looked at. Everything is added in one order: vectors
//! as given, then components as numbered. Nothing is clamped.

/// Running sums of unit vectors.
pub(crate) struct MeanCosine {
    /// Of each component, its sum over the vectors.
    sums: Vec<f64>,
    /// Of each component, the sum of its squares. Subtracted component by component, because what
    /// one vector alone has then cancels to exactly 0.
    squares: Vec<f64>,
    vectors: usize,
}

impl MeanCosine {
    /// Of no vectors yet, of so many components.
    pub(crate) fn new(components: usize) -> Self {
        Self { sums: vec![0.0; components], squares: vec![0.0; components], vectors: 0 }
    }

    /// Adds a vector, given by components that are not zero, each once. One without components
    /// has cosine 0 with every other.
    pub(crate) fn add(&mut self, components: impl Iterator<Item = (usize, f64)> + Clone) {
        let norm = components.clone().map(|(_, value)| value * value).sum::<f64>().sqrt();
        for (place, value) in components {
            let unit = value / norm;
            self.sums[place] += unit;
            self.squares[place] += unit * unit;
        }
        self.vectors += 1;
    }

    /// The mean over all pairs of different vectors; none if there is no pair.
    pub(crate) fn mean(&self) -> Option<f64> {
        let pairs = self.vectors as f64 * self.vectors.checked_sub(1)? as f64;
        let cosine = |(sum, square): (&f64, &f64)| sum * sum - square;
        let total: f64 = self.sums.iter().zip(&self.squares).map(cosine).sum();
        (pairs > 0.0).then(|| total / pairs)
    }
}

/// Mean cosine of the counts of numbers below `different` in each text; 0 of fewer than two texts.
pub(crate) fn of_counts(texts: &[Vec<u32>], different: usize) -> f64 {
    let mut mean = MeanCosine::new(different);
    for text in texts {
        let mut sorted = text.clone();
        sorted.sort_unstable();
        let counts = sorted.chunk_by(|one, other| one == other);
        mean.add(counts.map(|same| (same[0] as usize, same.len() as f64)));
    }
    mean.mean().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(texts: &[&[u32]]) -> f64 {
        let texts: Vec<Vec<u32>> = texts.iter().map(|text| text.to_vec()).collect();
        of_counts(&texts, 100)
    }

    /// The definition: every pair.
    fn by_pairs(texts: &[Vec<u32>]) -> f64 {
        let counts = |text: &Vec<u32>| {
            let mut counts = vec![0.0_f64; 100];
            text.iter().for_each(|&word| counts[word as usize] += 1.0);
            counts
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let counts: Vec<_> = texts.iter().map(counts).collect();
        let (mut total, mut pairs) = (0.0, 0.0);
        for (at, one) in counts.iter().enumerate() {
            for other in &counts[..at] {
                let norms = (dot(one, one) * dot(other, other)).sqrt();
                total += if norms == 0.0 { 0.0 } else { dot(one, other) / norms };
                pairs += 1.0;
            }
        }
        total / pairs
    }

    #[test]
    fn simple_cases_are_exact() {
        assert_eq!(mean(&[]), 0.0);
        assert_eq!(mean(&[&[1, 2]]), 0.0);
        assert_eq!(mean(&[&[1], &[1], &[1, 1]]), 1.0);
        assert_eq!(mean(&[&[0, 1, 2], &[3, 3, 4], &[5, 6, 7, 8]]), 0.0);
        assert_eq!(mean(&[&[], &[]]), 0.0);
        assert_eq!(mean(&[&[1], &[1], &[]]), 1.0 / 3.0);
    }

    #[test]
    fn equals_the_mean_over_pairs() {
        let mut state = 7_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % bound
        };
        for case in 0..50 {
            let texts: Vec<Vec<u32>> = (0..2 + below(60))
                .map(|_| (0..below(40)).map(|_| below(100).min(below(100)) as u32).collect())
                .collect();
            let (found, expected) = (of_counts(&texts, 100), by_pairs(&texts));
            assert!((found - expected).abs() < 1e-14, "case {case}: {found} {expected}");
        }
    }
}
