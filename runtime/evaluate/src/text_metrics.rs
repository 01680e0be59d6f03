//! How near an answer is to the right one, in words: exact match and token F1 over normalised text,
//! as SQuAD's evaluation defines them (Rajpurkar et al. 2016, section 6.1).
//!
//! Reported, never paid: the counts are integers, but the host computes them, not a pinned kernel.

use dataforge_core::units::Ppm;
use std::collections::BTreeMap;

const ONE: u64 = 1_000_000;

/// Whether both are the same words.
pub(crate) fn exact_match(answer: &str, right: &str) -> bool {
    words(answer) == words(right)
}

/// 2 · common words / words of both, each counted as often as it occurs. Of two empty texts 1.
pub(crate) fn token_f1(answer: &str, right: &str) -> Ppm {
    let (answer, right) = (words(answer), words(right));
    let both = (answer.len() + right.len()) as u64;
    if both == 0 {
        return Ppm(ONE as u32);
    }
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    for word in &right {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in &answer {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    Ppm((2 * common * ONE / both) as u32)
}

/// The mean, rounded down; 0 of nothing.
pub(crate) fn mean(values: &[Ppm]) -> Ppm {
    let total: u64 = values.iter().map(|value| u64::from(value.0)).sum();
    Ppm((total / values.len().max(1) as u64) as u32)
}

/// Lower-case words without ASCII punctuation and without articles.
fn words(text: &str) -> Vec<String> {
    let plain: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let words = plain.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the"));
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_punctuation_articles_and_space_do_not_count() {
        assert!(exact_match("The  Eiffel Tower.", "eiffel tower"));
        assert!(!exact_match("theatre", "atre"));
        assert!(exact_match("", "the"));
    }

    #[test]
    fn f1_counts_each_word_as_often_as_it_occurs() {
        let f1 = |a, b| token_f1(a, b).0;
        assert_eq!(f1("friday may 7", "Friday, May 7."), 1_000_000);
        assert_eq!(f1("may may", "may 7"), 500_000);
        assert_eq!(f1("x", "may 7"), 0);
        assert_eq!(f1("", ""), 1_000_000);
        assert_eq!(f1("", "may"), 0);
        assert_eq!(f1("cat sat", "cat sat on mat"), 666_666);
    }

    #[test]
    fn means_of_shares() {
        assert_eq!(mean(&[Ppm(1), Ppm(2)]), Ppm(1));
        assert_eq!(mean(&[]), Ppm(0));
    }
}
