//! Numbers for words, so that n-grams compare quickly.
//!
//! What a word is, is said by `dataforge_guest_text`. Invariant: numbers count up from 0 in the
//! order in which words first occur.

use dataforge_guest_text::words;
use std::collections::BTreeMap;

/// The words seen so far.
#[derive(Default)]
pub(crate) struct Vocabulary(BTreeMap<String, u32>);

impl Vocabulary {
    /// The words of a text as numbers, in order.
    pub(crate) fn numbers(&mut self, text: &str) -> Vec<u32> {
        words(text).into_iter().map(|word| self.number(word.folded)).collect()
    }

    /// How many different words there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn number(&mut self, word: String) -> u32 {
        // A 32-bit guest has no room for 2³² words.
        let next = self.0.len() as u32;
        *self.0.entry(word).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_its_number() {
        let mut vocabulary = Vocabulary::default();
        assert_eq!(vocabulary.numbers("To be, or not TO be"), [0, 1, 2, 3, 0, 1]);
        assert_eq!(vocabulary.numbers("be \u{ff22}\u{ff25} 日本"), [1, 1, 4, 5]);
        assert_eq!(vocabulary.numbers("?!"), [0; 0]);
        assert_eq!(vocabulary.len(), 6);
    }
}
