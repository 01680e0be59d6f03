//! What a word is, for every kernel that compares texts.
//!
//! Two spellings of one word fold to the same bytes: composed and decomposed, full and half width,
//! upper and lower case. Punctuation, symbols and white space are no part of words. Nothing here
//! knows a language: no stemming, no stop words, no dictionary for scripts without spaces.

mod hash;
mod words;

pub use hash::{mixed, ngram_hashes, text_hash};
pub use words::{Word, folded, words};
