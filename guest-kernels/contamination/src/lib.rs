//! The contamination kernel: which parts of a text are n-grams of known documents.
//!
//! It makes the index of the documents as well as looking texts up in it, so that both sides agree
//! on what a word is. Which documents count, and how much overlap is too much, is for others to
//! say.
//!
//! Invariant: the evidence of a text depends on the index and that text alone.

mod index;

pub use bindings::exports::dataforge::kernel::ngrams::{Evidence, Guest};
use dataforge_guest_text::{Word, ngram_hashes, text_hash, words};
use index::Index;

dataforge_kernel_sdk::kernel!("contamination" in "../../wit/1.1.0");

/// The kernel.
pub struct Kernel;

impl Guest for Kernel {
    fn index(n: u32, documents: Vec<String>) -> Result<Vec<u8>, String> {
        let n = index::checked_n(n)?;
        let hashes = documents.iter().flat_map(|document| {
            let words = word_hashes(&words(document));
            ngram_hashes(&words, n).collect::<Vec<_>>()
        });
        Ok(index::write(n, hashes.collect()))
    }

    fn overlap(index: Vec<u8>, texts: Vec<String>) -> Result<Vec<Evidence>, String> {
        let index = Index::read(&index)?;
        Ok(texts.iter().map(|text| evidence(&index, text)).collect())
    }
}

fn word_hashes(words: &[Word]) -> Vec<u64> {
    words.iter().map(|word| text_hash(&word.folded)).collect()
}

fn evidence(index: &Index<'_>, text: &str) -> Evidence {
    let words = words(text);
    let mut evidence = Evidence { ngrams: 0, found: 0, start: 0, end: 0 };
    // Neighbours in the index, up to the n-gram at hand, and the most that there were.
    let (mut run, mut longest) = (0, 0);
    for (first, hash) in ngram_hashes(&word_hashes(&words), index.n).enumerate() {
        evidence.ngrams += 1;
        if !index.holds(hash) {
            run = 0;
            continue;
        }
        evidence.found += 1;
        run += 1;
        if run > longest {
            longest = run;
            evidence.start = words[first + 1 - run].place.start as u32;
            evidence.end = words[first + index.n - 1].place.end as u32;
        }
    }
    evidence
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Kernel with_types_in bindings);

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTS: [&str; 2] =
        ["The quick brown fox jumps over the lazy dog.", "日本語の文章はこのように続く"];

    fn index(n: u32, documents: &[&str]) -> Vec<u8> {
        Kernel::index(n, documents.iter().map(|text| (*text).to_owned()).collect()).unwrap()
    }

    #[track_caller]
    fn check(text: &str, found: u32, ngrams: u32, part: &str) {
        let evidence = Kernel::overlap(index(3, &DOCUMENTS), vec![text.to_owned()]).unwrap();
        let Evidence { start, end, .. } = evidence[0];
        let got = (evidence[0].found, evidence[0].ngrams, &text[start as usize..end as usize]);
        assert_eq!(got, (found, ngrams, part));
    }

    #[test]
    fn what_was_taken_is_shown() {
        check("", 0, 0, "");
        check("quick brown", 0, 0, "");
        check("a slow brown fox jumped over it", 0, 5, "");
        check("See: QUICK — brown Fox! jumps not", 2, 4, "QUICK — brown Fox! jumps");
        check("quick brown fox and over the lazy dog", 3, 6, "over the lazy dog");
        check("その日本語の文章を", 4, 7, "日本語の文章");
    }

    #[test]
    fn the_order_of_documents_and_repetition_do_not_matter() {
        let [one, other] = DOCUMENTS;
        assert_eq!(index(3, &[one, other]), index(3, &[other, one, other]));
        assert_ne!(index(3, &[one]), index(4, &[one]));
    }

    #[test]
    fn no_run_of_words_leads_from_one_document_to_the_next() {
        let index = index(2, &["a b", "c d"]);
        let found =
            |text: &str| Kernel::overlap(index.clone(), vec![text.into()]).unwrap()[0].found;
        assert_eq!((found("a b"), found("b c"), found("c d")), (1, 0, 1));
    }

    #[test]
    fn what_is_not_an_index_is_refused() {
        let good = index(3, &DOCUMENTS);
        let refused = |bytes: &[u8]| Kernel::overlap(bytes.to_vec(), vec![]).unwrap_err();
        assert_eq!(refused(b""), "not an n-gram index");
        assert_eq!(refused(&good[..good.len() - 1]), "an n-gram index with 4 bytes too many");
        let mut swapped = good.clone();
        let end = swapped.len();
        swapped[8..end].rotate_left(5);
        assert_eq!(refused(&swapped), "an n-gram index that is not in order");
        let mut other = good;
        other[5] = 1;
        assert_eq!(refused(&other), "n-grams of 1 words: 2 to 64 are possible");
        assert_eq!(
            Kernel::index(65, vec![]).unwrap_err(),
            "n-grams of 65 words: 2 to 64 are possible"
        );
    }
}
