//! ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004), equal to `rouge_score.rouge_scorer.RougeScorer` without
//! stemming.
//!
//! Words are runs of the letters a to z and digits: a text in another script has none and scores 0.

use std::collections::BTreeMap;

use crate::Overlap;
use crate::common::common;
use crate::lcs;

/// The three measures of one pair.
pub(crate) struct Rouge {
    pub(crate) unigrams: Overlap,
    pub(crate) bigrams: Overlap,
    pub(crate) subsequence: Overlap,
}

/// Compares the words of both texts.
pub(crate) fn compare(answer: &str, reference: &str) -> Rouge {
    let (answer, reference) = (answer.to_lowercase(), reference.to_lowercase());
    let mut numbers = BTreeMap::new();
    let mut answer = numbered(&answer, &mut numbers);
    let mut reference = numbered(&reference, &mut numbers);
    let subsequence = overlap(lcs::length(&answer, &reference), answer.len(), reference.len());
    let bigrams = shared(&mut bigrams(&answer), &mut bigrams(&reference));
    Rouge { unigrams: shared(&mut answer, &mut reference), bigrams, subsequence }
}

/// A number for each word; equal words have equal numbers.
fn numbered<'text>(text: &'text str, numbers: &mut BTreeMap<&'text str, usize>) -> Vec<usize> {
    let outside = |character: char| !character.is_ascii_lowercase() && !character.is_ascii_digit();
    let words = text.split(outside).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let next = numbers.len();
            *numbers.entry(word).or_insert(next)
        })
        .collect()
}

fn bigrams(words: &[usize]) -> Vec<[usize; 2]> {
    words.array_windows().copied().collect()
}

fn shared<T: Ord>(answer: &mut [T], reference: &mut [T]) -> Overlap {
    overlap(common(answer, reference), answer.len(), reference.len())
}

/// Shares of what is common; 0 of nothing.
fn overlap(common: usize, answer: usize, reference: usize) -> Overlap {
    let precision = common as f64 / answer.max(1) as f64;
    let recall = common as f64 / reference.max(1) as f64;
    let f1 = if common == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
    Overlap { precision, recall, f1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: usize) {
        let text = text.to_lowercase();
        let mut numbers = BTreeMap::new();
        assert_eq!(numbered(&text, &mut numbers).len(), expect);
    }

    // Expected: len(rouge_score.tokenize.tokenize(text, None)) of rouge-score 0.1.2.
    #[test]
    fn words_are_those_of_the_reference() {
        check("", 0);
        check("The cat's 3.5 km_run", 7);
        check("naïve café", 3);
        check("\u{212a}g \u{130}stanbul", 3);
        check("日本語 русский", 0);
        check("a\u{85}b\u{1c}c", 3);
    }

    #[test]
    fn bigrams_need_two_words() {
        let scores = compare("x", "x");
        assert_eq!((scores.unigrams.f1, scores.bigrams.f1, scores.subsequence.f1), (1.0, 0.0, 1.0));
    }
}
