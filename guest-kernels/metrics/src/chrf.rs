//! chrF2 (Popović 2015, 2016), equal to `sacrebleu.sentence_chrf` with its default settings.
//!
//! Characters are Unicode scalar values as they stand: no case folding, no normal form.

use crate::common::common;
use crate::python;

/// Longest n-gram, in characters.
const ORDER: usize = 6;
/// Bits of a character, and so 126 of an n-gram.
const CHARACTER_BITS: u32 = 21;
/// How much more recall counts than precision: the square of beta, which is 2.
const FACTOR: f64 = 4.0;

/// chrF2 between 0 and 100; 0 if either text has no characters but white space.
pub(crate) fn compare(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (characters(answer), characters(reference));
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0_u8);
    for order in 1..=ORDER.min(answer.len()).min(reference.len()) {
        let (mut answer, mut reference) = (ngrams(&answer, order), ngrams(&reference, order));
        let same = common(&mut answer, &mut reference) as f64;
        precision += same / answer.len() as f64;
        recall += same / reference.len() as f64;
        orders += 1;
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    precision /= f64::from(orders);
    recall /= f64::from(orders);
    let score = (1.0 + FACTOR) * precision * recall;
    100.0 * (score / (FACTOR * precision + recall))
}

fn characters(text: &str) -> Vec<u32> {
    text.chars().filter(|&character| !python::is_space(character)).map(u32::from).collect()
}

/// Every run of `order` characters, as one number.
fn ngrams(characters: &[u32], order: usize) -> Vec<u128> {
    let number = |run: &[u32]| {
        run.iter().fold(0, |number, &next| number << CHARACTER_BITS | u128::from(next))
    };
    characters.windows(order).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ngrams_are_as_distinct_as_their_characters() {
        let text = characters("\u{10ffff}a\0\u{10ffff}a\0 \u{10ffff}a\u{10ffff}");
        let numbers = ngrams(&text, 6);
        assert_eq!(numbers.len(), 4);
        assert!(numbers.iter().all(|number| number >> 126 == 0));
        assert_eq!(ngrams(&text, 2)[0], 0x10_ffff << 21 | 0x61);
    }

    #[test]
    fn white_space_does_not_count_and_case_does() {
        assert_eq!(compare("a b\u{1c}c", "ab c\u{85}"), 100.0);
        assert_eq!(compare("abc", "ABC"), 0.0);
        assert_eq!(compare(" ", ""), 0.0);
        assert_eq!(compare("a", ""), 0.0);
    }
}
