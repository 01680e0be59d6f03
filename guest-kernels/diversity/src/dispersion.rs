//! Dispersion of vectors: how far apart they point, such as embeddings of texts.

use crate::cosine::MeanCosine;

/// 1 − mean cosine of all pairs of different vectors; 0 if there is no pair.
///
/// Fails with a reason that counts vectors from 0, if one is zero, not finite or longer or shorter
/// than the first.
pub(crate) fn measure(vectors: &[Vec<f32>]) -> Result<f64, String> {
    let components = vectors.first().map_or(0, Vec::len);
    let mut mean = MeanCosine::new(components);
    for (index, vector) in vectors.iter().enumerate() {
        check(vector, components).map_err(|fault| format!("vector {index} {fault}"))?;
        // Squares of f32 in f64 neither overflow nor vanish: the norm is finite and above 0.
        mean.add(vector.iter().copied().map(f64::from).enumerate());
    }
    Ok(mean.mean().map_or(0.0, |cosine| 1.0 - cosine))
}

fn check(vector: &[f32], components: usize) -> Result<(), String> {
    if vector.len() != components {
        return Err(format!("has {} components, the first has {components}", vector.len()));
    }
    if !vector.iter().all(|value| value.is_finite()) {
        return Err("is not finite".to_owned());
    }
    if vector.iter().all(|&value| value == 0.0) {
        return Err("is zero".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_ok(vectors: &[&[f32]], expect: f64) {
        let vectors: Vec<Vec<f32>> = vectors.iter().map(|vector| vector.to_vec()).collect();
        assert_eq!(measure(&vectors), Ok(expect));
    }

    #[track_caller]
    fn check_fault(vectors: &[&[f32]], expect: &str) {
        let vectors: Vec<Vec<f32>> = vectors.iter().map(|vector| vector.to_vec()).collect();
        assert_eq!(measure(&vectors), Err(expect.to_owned()));
    }

    #[test]
    fn simple_cases_are_exact() {
        check_ok(&[], 0.0);
        check_ok(&[&[3.0, 4.0]], 0.0);
        check_ok(&[&[2.0, 0.0], &[0.5, 0.0]], 0.0);
        check_ok(&[&[1.0, 0.0], &[0.0, -7.0]], 1.0);
        check_ok(&[&[1.0, 0.0], &[-2.0, 0.0]], 2.0);
        check_ok(&[&[f32::MAX, 0.0], &[0.0, 1e-45]], 1.0);
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        check_fault(&[&[1.0], &[1.0, 2.0]], "vector 1 has 2 components, the first has 1");
        check_fault(&[&[1.0, f32::NAN]], "vector 0 is not finite");
        check_fault(&[&[1.0], &[f32::INFINITY]], "vector 1 is not finite");
        check_fault(&[&[1.0, 0.0], &[0.0, -0.0]], "vector 1 is zero");
        check_fault(&[&[]], "vector 0 is zero");
    }

    // numpy 2.4.6: 1 − the mean of the off-diagonal cosines of these vectors.
    #[test]
    fn equals_the_mean_over_pairs() {
        let vector = |row: u16| (0..16).map(|column| wave(row * 31 + column * 17)).collect();
        let vectors: Vec<Vec<f32>> = (0..40).map(vector).collect();
        let found = measure(&vectors).unwrap();
        assert!((found - 0.917_331_842_467_733_8).abs() < 1e-14, "{found}");
    }

    fn wave(index: u16) -> f32 {
        f32::from(index % 101) - 40.0
    }
}
